"""The random key with which the keys of callers are hashed. No export contains it."""

import secrets
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import identity_of
from fastapi_lens.storage.schema.tables import META

_BYTES = 32


def caller_key(database: Database, app: str) -> bytes:
    """The key of an app's ledger, made at its first use; all workers share it.

    It may be replaced, see `renew_caller_key`, so a worker reads it again before each flush.

    Args:
        database: A database with tables.
        app: Name of the app.

    Raises:
        StorageError: The database cannot be read or written.
    """
    name = meta_name(app)
    stored = sa.select(META.c.value).where(META.c.name == name)
    with database.read() as connection:
        found = connection.execute(stored).scalar_one_or_none()
    if found is None:
        row = {"name": name, "value": secrets.token_hex(_BYTES)}
        with database.write() as connection:
            connection.execute(database.insert_ignore(META), row)
            # Another worker may have been first.
            found = connection.execute(stored).scalar_one()
    return bytes.fromhex(found)


def key_id(key: bytes) -> int:
    """The id of a key, which tells nothing about it; never 0."""
    return identity_of("caller key", key.hex()) or 1


def renew_caller_key(database: Database, app: str) -> None:
    """Replace the key of an app's ledger: callers of kind key get other names from then on.

    Raises:
        StorageError: The database cannot be written.
    """
    row = {"name": meta_name(app), "value": secrets.token_hex(_BYTES)}
    with database.write() as connection:
        connection.execute(database.insert_ignore(META), row)
        of_app = sa.update(META).where(META.c.name == row["name"])
        connection.execute(of_app.values(value=row["value"]))


def delete_caller_key(connection: Connection, app: str) -> None:
    """Delete the key of an app, in a writing transaction; `caller_key` makes another one."""
    connection.execute(sa.delete(META).where(META.c.name == meta_name(app)))


def locked_key_ids(connection: Connection, apps: Iterable[str]) -> set[int]:
    """Lock the keys of some apps, so that none is replaced before the commit; returns their ids."""
    names = sorted(map(meta_name, apps))
    of_apps = sa.select(META.c.value).where(META.c.name.in_(names)).order_by(META.c.name)
    found = connection.execute(of_apps.with_for_update()).scalars()
    return {key_id(bytes.fromhex(value)) for value in found}


def meta_name(app: str) -> str:
    """The name of the key among the facts of a database."""
    return f"caller_key:{identity_of(app)}"
