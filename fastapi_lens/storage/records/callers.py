"""Labels of callers: the names that admins give them."""

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.tables import CALLER

MOST_CHARACTERS = 200
"""Most characters of a caller's name, and of its label."""


def label_caller(database: Database, app: str, caller_id: int, label: str) -> int:
    """Set the label of a caller; returns the number of callers with this id, 0 or 1.

    Args:
        database: The database of the ledger.
        app: Name of the app.
        caller_id: Id of the caller.
        label: Its new label; an empty one removes the old.

    Raises:
        ValueError: The label is too long.
        StorageError: The database cannot be written.
    """
    label = storable(label)
    if len(label) > MOST_CHARACTERS:
        raise ValueError(f"a label has at most {MOST_CHARACTERS} characters")
    of_it = sa.update(CALLER).where(CALLER.c.id == caller_id, CALLER.c.app == storable(app))
    with database.write() as connection:
        found = connection.execute(of_it.values(label=label)).rowcount
        note_change(database, connection)
    return found
