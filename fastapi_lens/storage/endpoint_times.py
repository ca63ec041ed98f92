"""Times of endpoints that a clock has told while it was wrong, and which are set right later."""

import sqlalchemy as sa

from fastapi_lens.storage.database import Database
from fastapi_lens.storage.tables import ENDPOINT

_TIMES = ("first_seen_at", "last_seen_at", "first_called_at", "last_called_at")


def mend_times(database: Database, app: str, *, after_us: int, shift_us: int) -> None:
    """Move an app's times that lie ahead.

    Args:
        database: Whose rows.
        app: Whose endpoints.
        after_us: Only later ones are moved, in microseconds since the epoch.
        shift_us: By so much, which is negative.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        for name in _TIMES:
            time = ENDPOINT.c[name]
            moved = sa.update(ENDPOINT).where(ENDPOINT.c.app == app, time > after_us)
            connection.execute(moved.values({name: time + shift_us}))
