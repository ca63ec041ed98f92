"""Endpoints that are no longer in the routes of any worker: the time of their removal.

A worker reports all endpoints in its routes when it starts, and again when they change, but not
later. So an endpoint that was last seen before the oldest living worker started was removed. Each
worker's reports carry times of the clock that its own start has, so these two are compared as they
are; all other times here are those of the database's clock.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.heartbeat import SILENT_INTERVALS, SILENT_SECONDS
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects import dialect_of
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.retention.chunks import Chunk
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER

RESTART_SECONDS = 600
"""Endpoints of a worker that ended less than this long ago are still there: it may be restarting,
beside workers of another service that records under the same name."""

_RESTART_US = RESTART_SECONDS * 1_000_000
AT_ONCE = 500
"""Endpoints of one transaction."""


def removal_chunks(
    database: Database, app: str, *, now: float, timer: Callable[[], float]
) -> Iterator[Chunk]:
    """Note which endpoints of an app were removed; yields each transaction once committed.

    Without a living worker, nothing is noted. Endpoints that are reported only after a call are
    never noted: their absence from the reports of a worker says nothing.

    Args:
        database: The database of the rows.
        app: The name of the app.
        now: Epoch seconds of a clock that the database confirms.
        timer: Seconds of a monotonic clock.

    Raises:
        StorageError: The database cannot be read or written.
    """
    now_us, app = microseconds(now), storable(app)
    with database.read() as connection:
        starts = _starts(connection, app, now_us)
        # A worker that starts in the future has a wrong clock, and its endpoints wrong times.
        if not starts.living or starts.latest > now_us:
            return
        present = (ENDPOINT.c.app == app) & (ENDPOINT.c.removed_at == 0) & _is_reported()
        is_gone = present & (ENDPOINT.c.last_seen_at < starts.oldest)
        gone = _ids(connection, is_gone)
        # Workers of an older release report an endpoint without noting its return.
        is_back = (
            (ENDPOINT.c.app == app)
            & (ENDPOINT.c.removed_at > 0)
            & (ENDPOINT.c.last_seen_at > ENDPOINT.c.removed_at)
            & (ENDPOINT.c.last_seen_at >= starts.oldest)
        )
        back = _ids(connection, is_back)
    changes = (
        (gone, is_gone, {"removed_at": now_us}),
        (back, is_back, {"removed_at": 0, "present_since": now_us}),
    )
    for ids, where, values in changes:
        for begin in range(0, len(ids), AT_ONCE):
            begun = timer()
            part = ENDPOINT.c.id.in_(ids[begin : begin + AT_ONCE])
            with database.write() as connection:
                # The condition once more: a worker may have reported some of them meanwhile.
                connection.execute(sa.update(ENDPOINT).where(part, where).values(values))
                note_change(database, connection)
            yield Chunk(0, timer() - begun)


class _Starts(NamedTuple):
    """Starts of the workers whose endpoints count as present, in microseconds since the epoch.

    Attributes:
        living: Number of workers that are running.
    """

    oldest: int
    latest: int
    living: int


def _starts(connection: Connection, app: str, now_us: int) -> _Starts:
    # The same as `heartbeat.now_of` and `heartbeat.is_silent`.
    clock_us = sa.case(
        (WORKER.c.clock_ahead_us.is_(None), now_us),
        else_=sa.func.coalesce(dialect_of(connection).clock_us, now_us),
    )
    patience_us = WORKER.c.interval_ms * (1_000 * SILENT_INTERVALS)
    silent_us = clock_us - WORKER.c.seen_at
    is_patient = silent_us <= patience_us
    is_heard = (silent_us <= SILENT_SECONDS * 1_000_000) | is_patient
    # One that was seen in the future is silent, but its endpoints may be there.
    is_living = (WORKER.c.ended_at == 0) & is_heard & (-silent_us <= SILENT_SECONDS * 1_000_000)
    row = connection.execute(
        sa.select(
            sa.func.min(WORKER.c.started_at),
            sa.func.max(WORKER.c.started_at),
            sa.func.sum(sa.case((is_living, 1), else_=0)),
        ).where(WORKER.c.app == app, (silent_us <= _RESTART_US) | is_patient)
    ).one()
    return _Starts(*(int(one or 0) for one in row))


def _is_reported() -> sa.ColumnElement[bool]:
    """True for endpoints that workers report without a call.

    Of all others, such as ``<unmapped>`` and a method that a class-based handler may answer,
    nothing but method and path is known.
    """
    is_known = (ENDPOINT.c.kind != "http") | (ENDPOINT.c.name != "")
    return ENDPOINT.c.path.startswith("/") & (ENDPOINT.c.method != "_OTHER") & is_known


def _ids(connection: Connection, where: sa.ColumnElement[bool]) -> list[int]:
    return list(connection.execute(sa.select(ENDPOINT.c.id).where(where)).scalars())
