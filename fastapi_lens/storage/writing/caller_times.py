"""Times of callers that a wrong clock recorded, and their correction.

A call in the future was made before now. A caller that calls again is corrected with that call, see
`use_totals`; here are those that do not.
"""

from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.statements import LOCK_ENDPOINTS
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, USE
from fastapi_lens.storage.writing.callers import locked_uses, update_uses
from fastapi_lens.storage.writing.use_totals import UseTotals, day_of

_AT_ONCE = 100
_EARLIEST_US = microseconds(EARLIEST)


def correct_callers(database: Database, app: str, *, now: float) -> None:
    """Correct calls of callers in 1970, or far in the future.

    A last call becomes now, and a first one the first call of its endpoint.

    Args:
        database: The database to write to.
        app: Name of the app.
        now: Epoch seconds of a clock that is set.

    Raises:
        StorageError: The database cannot be written.
    """
    now_us, limit_us = microseconds(now), microseconds(now + AHEAD_SECONDS)
    while rows := _wrong_uses(database, app, limit_us):
        first_us = {row.endpoint_id: row.first_called_at for row in rows}
        with database.write() as connection:
            LOCK_ENDPOINTS.read_of(connection, {}, sorted(first_us))
            found = locked_uses(connection, {(row.endpoint_id, row.caller_id) for row in rows})
            for (endpoint, _), totals in found.items():
                _correct(totals, first_us[endpoint], now_us=now_us, limit_us=limit_us)
            update_uses(connection, found)
            note_change(database, connection)
    with database.write() as connection:
        ahead = sa.update(CALLER).where(CALLER.c.app == app, CALLER.c.last_at > limit_us)
        connection.execute(ahead.values(last_at=now_us))


def _wrong_uses(database: Database, app: str, limit_us: int) -> list[Any]:
    """Some pairs of an app with impossible times, and the first calls of their endpoints."""
    first, last, day = USE.c.first_at, USE.c.last_at, day_of(limit_us)
    is_wrong = sa.or_(
        *(last > limit_us, USE.c.last_day > day, USE.c.refused_day > day),
        (first < _EARLIEST_US) & (USE.c.days > 0),
    )
    wrong = (
        sa.select(USE.c.endpoint_id, USE.c.caller_id, ENDPOINT.c.first_called_at)
        .join(ENDPOINT, ENDPOINT.c.id == USE.c.endpoint_id)
        .where(ENDPOINT.c.app == app, is_wrong)
        .limit(_AT_ONCE)
    )
    with database.read() as connection:
        return list(connection.execute(wrong))


def _correct(totals: UseTotals, first_us: int, *, now_us: int, limit_us: int) -> None:
    if totals.last_at > limit_us or totals.last_day > day_of(limit_us):
        totals.end_at(now_us, day_of(now_us))
    if totals.days and totals.first_at < _EARLIEST_US:
        totals.begin_at(first_us if _EARLIEST_US <= first_us <= now_us else now_us)
    totals.refused_day = min(totals.refused_day, day_of(limit_us))
