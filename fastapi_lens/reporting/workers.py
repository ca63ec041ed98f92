"""Who records an app, how they do, and whether their numbers can be trusted. Knows no calls."""

from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import Health, Worker, WorkerState
from fastapi_lens.storage.clocks import database_clock
from fastapi_lens.storage.row_checks import MAX_TIME_US
from fastapi_lens.storage.sound import sound_rows, whole
from fastapi_lens.storage.tables import WORKER

SILENT_SECONDS = 60
"""A worker that has said nothing for so long, and for three of its intervals, is silent."""

MOST = 200
"""Workers that are listed; those that have ended longest ago are left out."""

_SILENT_INTERVALS = 3


def read_health(
    connection: Connection, *, app: str, now: float, database_bytes: int | None
) -> Health:
    """Whether the numbers of an app can be trusted."""
    mine = WORKER.c.app == app
    living = _running(connection, app, now)
    told = [_by_our_clock(row, row.complete_to, now) for row in living]
    complete: int | None = min(told, default=0)
    if not complete:
        complete = connection.execute(
            sa.select(sa.func.max(WORKER.c.complete_to)).where(mine)
        ).scalar()
    dropped = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(WORKER.c.dropped), 0)).where(mine)
    ).scalar_one()
    costs = [row.cost_ns for row in living if row.cost_ns]
    return Health(
        complete_to=_seconds(whole(complete, MAX_TIME_US)),
        workers=len(living),
        dropped=whole(dropped),
        database_bytes=database_bytes,
        cost_us=median(costs) / 1_000 if costs else None,
    )


def read_workers(connection: Connection, *, app: str, now: float) -> list[Worker]:
    """The workers of an app, those that record first, then the latest; at most `MOST`."""
    rows = connection.execute(
        _rows(connection, app)
        .order_by(WORKER.c.ended_at != 0, WORKER.c.seen_at.desc(), WORKER.c.id)
        .limit(MOST)
    ).all()
    workers = [_worker(row, now) for row in sound_rows(rows, WORKER)]
    return sorted(workers, key=lambda worker: worker.state is not WorkerState.RUNNING)


def oldest_start(connection: Connection, *, app: str, now: float) -> int:
    """When the oldest living worker started, in microseconds; 0 when none lives.

    One that has not written anything yet has not told its endpoints either.
    """
    told = [row.started_at for row in _running(connection, app, now) if row.complete_to]
    return min(told, default=0)


def _running(connection: Connection, app: str, now: float) -> list[Any]:
    """The rows of the workers that are neither ended nor silent."""
    rows = connection.execute(_rows(connection, app).where(WORKER.c.ended_at == 0))
    return [row for row in sound_rows(rows, WORKER) if _state(row, now) is WorkerState.RUNNING]


def _rows(connection: Connection, app: str) -> sa.Select[Any]:
    """The rows of an app's workers, each with the time by the database's clock."""
    clock = database_clock(connection.dialect.name).label("database_now")
    return sa.select(WORKER, clock).where(WORKER.c.app == app)


def _by_our_clock(row: Any, microseconds: int, now: float) -> int:
    """A time of a worker's clock by ours, as far as both were compared with the database's.

    Args:
        row: Of the worker.
        microseconds: Since the epoch; 0, which is never, stays.
        now: Epoch seconds by our clock.
    """
    if not microseconds or row.clock_ahead_us is None or row.database_now is None:
        return microseconds
    ours_ahead_us = round(now * 1_000_000) - int(row.database_now)
    return microseconds + ours_ahead_us - int(row.clock_ahead_us)


def _worker(row: Any, now: float) -> Worker:
    ahead_us = row.clock_ahead_us
    return Worker(
        host=row.host,
        pid=row.pid,
        release=row.release,
        state=_state(row, now),
        started_at=_by_our_clock(row, row.started_at, now) / 1_000_000,
        seen_at=_by_our_clock(row, row.seen_at, now) / 1_000_000,
        pending=row.pending,
        dropped=row.dropped,
        flush_ms=row.flush_us / 1_000,
        cost_us=row.cost_ns / 1_000 if row.cost_ns else None,
        clock_ahead_seconds=None if ahead_us is None else ahead_us / 1_000_000,
    )


def _state(row: Any, now: float) -> WorkerState:
    if row.killed:
        return WorkerState.KILLED
    if row.ended_at:
        return WorkerState.ENDED
    patience_ms = max(SILENT_SECONDS * 1_000, _SILENT_INTERVALS * row.interval_ms)
    seen_at = _by_our_clock(row, row.seen_at, now)
    silent = seen_at + patience_ms * 1_000 < round(now * 1_000_000)
    return WorkerState.SILENT if silent else WorkerState.RUNNING


def _seconds(microseconds: int) -> float | None:
    return microseconds / 1_000_000 if microseconds else None
