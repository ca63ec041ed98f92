"""The state of an app's notifications, as one row of facts. Does not read it.

No export contains it: another database sends its own.
"""

import hashlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import META


def read_notifications(database: Database, app: str) -> str:
    """The state as text; empty before the first.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        found = connection.execute(
            sa.select(META.c.value).where(META.c.name == meta_name(app))
        ).scalar_one_or_none()
    return found or ""


def write_notifications(database: Database, app: str, text: str, *, replaces: str) -> bool:
    """Change the state; false if it is no longer the one that was read.

    Args:
        database: A database with tables.
        app: Name of the app.
        text: The new state, never empty.
        replaces: The state as it was read.

    Raises:
        StorageError: The database cannot be written.
    """
    name = meta_name(app)
    with database.write() as connection:
        connection.execute(database.insert_ignore(META), {"name": name, "value": ""})
        changed = connection.execute(
            sa.update(META).where(META.c.name == name, META.c.value == replaces).values(value=text)
        )
        return changed.rowcount == 1


def forget_notifications(connection: Connection, app: str) -> None:
    """Delete the state of an app whose history is deleted, in a write transaction."""
    connection.execute(sa.delete(META).where(META.c.name == meta_name(app)))


def meta_name(app: str) -> str:
    """The name of the row; fits the column for any app."""
    return f"notifications {hashlib.sha256(app.encode()).hexdigest()[:32]}"
