"""Who records an app, how they do, and whether their numbers can be trusted. Knows no calls."""

from collections.abc import Mapping
from statistics import mean
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import Health, Worker, WorkerState
from fastapi_lens.storage.clocks import microseconds
from fastapi_lens.storage.dialects import dialect_of
from fastapi_lens.storage.drain import waiting
from fastapi_lens.storage.forgetting import dropped_calls
from fastapi_lens.storage.open_calls import Open, parsed
from fastapi_lens.storage.row_checks import MAX_TIME_US
from fastapi_lens.storage.sound import sound_rows, whole
from fastapi_lens.storage.tables import WORKER
from fastapi_lens.storage.workers import (
    SILENT_INTERVALS,
    SILENT_SECONDS,
    is_silent,
    latest_open,
    now_of,
)

MILLIONTHS = 1_000_000
MOST = 200
"""Workers that are listed; those that have ended longest ago are left out."""


def read_health(
    connection: Connection, *, app: str, now: float, database_bytes: int | None
) -> Health:
    """Whether the numbers of an app can be trusted."""
    living = _running(connection, app, now)
    told = [_by_our_clock(row, row.complete_to, now) for row in living]
    _, waits_since = waiting(connection, app)
    complete = min([*told, *([waits_since] if waits_since and told else [])], default=0)
    if not complete:
        latest = (row.complete_to for part in _latest(connection, app) for row in part)
        complete = max(latest, default=0)
    shares = [row.core_ppm for row in living if row.core_ppm is not None]
    return Health(
        complete_to=_seconds(whole(complete, MAX_TIME_US)),
        workers=len(living),
        dropped=whole(dropped_calls(connection, app)),
        database_bytes=database_bytes,
        core_share=mean(shares) / MILLIONTHS if shares else None,
    )


def read_workers(connection: Connection, *, app: str, now: float) -> list[Worker]:
    """The workers of an app, those that record first, then the latest; at most `MOST`."""
    open_ones, ended = _latest(connection, app)
    workers = [_worker(row, now) for row in sound_rows((*open_ones, *ended), WORKER)][:MOST]
    return sorted(workers, key=lambda worker: worker.state is not WorkerState.RUNNING)


def _latest(connection: Connection, app: str) -> tuple[list[Any], list[Any]]:
    """The latest workers of an app: those that have not reported their end, and those that have."""
    rows = _rows(connection, app)
    open_ones = rows.where(WORKER.c.ended_at == 0).order_by(WORKER.c.seen_at.desc(), WORKER.c.id)
    ended = rows.where(WORKER.c.ended_at > 0).order_by(WORKER.c.ended_at.desc(), WORKER.c.id)
    return (
        list(connection.execute(open_ones.limit(MOST))),
        list(connection.execute(ended.limit(MOST))),
    )


def oldest_start(connection: Connection, *, app: str, now: float) -> int:
    """When the oldest living worker started, in microseconds; 0 when none lives.

    One that has not written anything yet has not told its endpoints either.
    """
    told = [row.started_at for row in _running(connection, app, now) if row.complete_to]
    return min(told, default=0)


def read_open(connection: Connection, *, app: str, now: float) -> Mapping[int, Open]:
    """Read the open calls of all running workers together, by endpoint and by our clock."""
    found: dict[int, Open] = {}
    for row in _running(connection, app, now):
        for identity, one in parsed(row.open_calls).items():
            connections, since_us = one.connections, _by_our_clock(row, one.since_us, now)
            before = found.get(identity)
            if before is not None:
                connections += before.connections
                since_us = min(since_us, before.since_us)
            found[identity] = Open(connections, since_us)
    return found


def _running(connection: Connection, app: str, now: float) -> list[Any]:
    """The rows of the workers that are neither ended nor silent."""
    clock = dialect_of(connection).clock_us.label("database_now")
    latest, ours_us = latest_open(app).subquery(), sa.literal(microseconds(now), sa.BigInteger)
    # The same as `now_of`.
    now_us = sa.case(
        (latest.c.clock_ahead_us.is_(None), ours_us),
        else_=sa.func.coalesce(dialect_of(connection).clock_us, ours_us),
    )
    patience_us = latest.c.interval_ms * (1_000 * SILENT_INTERVALS)
    rows = connection.execute(
        sa.select(latest, clock).where(
            sa.or_(
                latest.c.seen_at >= now_us - SILENT_SECONDS * 1_000_000,
                latest.c.seen_at >= now_us - patience_us,
            )
        )
    )
    return [row for row in sound_rows(rows, WORKER) if _state(row, now) is WorkerState.RUNNING]


def _rows(connection: Connection, app: str) -> sa.Select[Any]:
    """The rows of an app's workers, each with the time by the database's clock."""
    clock = dialect_of(connection).clock_us.label("database_now")
    return sa.select(WORKER, clock).where(WORKER.c.app == app)


def _by_our_clock(row: Any, at_us: int, now: float) -> int:
    """A time of a worker's clock by ours, as far as both were compared with the database's.

    Args:
        row: Of the worker.
        at_us: Microseconds since the epoch; 0, which is never, stays.
        now: Epoch seconds by our clock.
    """
    if not at_us or row.clock_ahead_us is None or row.database_now is None:
        return at_us
    ours_ahead_us = microseconds(now) - int(row.database_now)
    return at_us + ours_ahead_us - int(row.clock_ahead_us)


def _worker(row: Any, now: float) -> Worker:
    ahead_us = row.clock_ahead_us
    return Worker(
        host=row.host,
        pid=row.pid,
        release=row.release,
        state=_state(row, now),
        started_at=_by_our_clock(row, row.started_at, now) / 1_000_000,
        seen_at=now - (now_of(row, microseconds(now)) - row.seen_at) / 1_000_000,
        pending=row.pending,
        dropped=row.dropped,
        flush_ms=row.flush_us / 1_000,
        core_share=None if row.core_ppm is None else row.core_ppm / MILLIONTHS,
        clock_ahead_seconds=None if ahead_us is None else ahead_us / 1_000_000,
    )


def _state(row: Any, now: float) -> WorkerState:
    if row.killed:
        return WorkerState.KILLED
    if row.ended_at:
        return WorkerState.ENDED
    now_us = now_of(row, microseconds(now))
    silent = is_silent(row.seen_at, row.interval_ms, now_us=now_us)
    return WorkerState.SILENT if silent else WorkerState.RUNNING


def _seconds(at_us: int) -> float | None:
    return at_us / 1_000_000 if at_us else None
