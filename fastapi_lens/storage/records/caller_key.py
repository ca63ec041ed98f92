"""The random key with which the keys of callers are hashed. No export contains it."""

import secrets

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import identity_of
from fastapi_lens.storage.schema.tables import META

_BYTES = 32


def caller_key(database: Database, app: str) -> bytes:
    """The key of an app's ledger, made at its first use; all workers share it.

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


def meta_name(app: str) -> str:
    """The name of the key among the facts of a database."""
    return f"caller_key:{identity_of(app)}"
