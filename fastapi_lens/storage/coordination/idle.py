"""The time in which no worker of an app lived, for platforms that start one for any call.

Only workers that reported their end, and lost nothing, show that nobody worked after them.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.confirmed_time import OFF_SECONDS
from fastapi_lens.storage.coordination.observed import MINUTE_US
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.tables import WORKER

MOST_MINUTES = 400 * 24 * 60
"""Most minutes without a worker that count; of a longer time, the last ones."""

DOUBT_US = 3_600 * 1_000_000
"""A worker that was killed or lost calls this long before the end of the last one may have worked
after it."""


def idle_minutes(connection: Connection, worker: WorkerFacts) -> range:
    """The whole minutes, since the epoch, without any worker before a worker began.

    Args:
        connection: In a reading transaction.
        worker: The worker that has begun.

    Returns:
        Empty if there was no other worker, if one of the others still lived, or if it is in doubt:
        the last ones were killed, are silent, dropped calls, or had another time.
    """
    others = _LAST.where(WORKER.c.app == storable(worker.app), WORKER.c.id != worker.id)
    found = connection.execute(others).one()
    if found.ended is None or (found.unclear or 0) >= found.ended - DOUBT_US:
        return range(0)
    # Another worker may have begun first.
    start_us = min(worker.started_at_us, found.started or worker.started_at_us)
    minutes = range(-(-int(found.ended) // MINUTE_US), start_us // MINUTE_US)
    return minutes[-MOST_MINUTES:]


_HAS_ENDED = WORKER.c.ended_at > 0
_IS_UNCLEAR = sa.or_(
    WORKER.c.killed,
    WORKER.c.dropped > 0,
    # It ended with calls that it could not write.
    _HAS_ENDED & (WORKER.c.pending > 0),
    sa.func.abs(sa.func.coalesce(WORKER.c.clock_ahead_us, 0)) > OFF_SECONDS * 1_000_000,
)
_LAST = sa.select(
    sa.func.max(sa.case((_HAS_ENDED, WORKER.c.complete_to))).label("ended"),
    sa.func.min(sa.case((WORKER.c.ended_at == 0, WORKER.c.started_at))).label("started"),
    sa.func.max(sa.case((_IS_UNCLEAR, WORKER.c.seen_at))).label("unclear"),
)
