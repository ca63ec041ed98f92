"""Workers of an app: their state, and the health of their counts. Knows no calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from statistics import mean
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import Health, Worker, WorkerState
from fastapi_lens.storage.coordination.dropped_calls import (
    dropped_by_workers,
    dropped_calls,
    note_of,
)
from fastapi_lens.storage.coordination.heartbeat import (
    SILENT_INTERVALS,
    SILENT_SECONDS,
    is_silent,
    latest_open,
    now_of,
)
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.dialects import dialect_of
from fastapi_lens.storage.engine.dialects.base import Dialect
from fastapi_lens.storage.schema.data_version import data_version
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US
from fastapi_lens.storage.schema.sanitized_rows import sound_rows, whole
from fastapi_lens.storage.schema.tables import EXCEPTION, INBOX, WORKER
from fastapi_lens.storage.writing.open_calls import Open, parsed

NEW_SECONDS = 86_400.0
"""Time for which the bar calls a kind of exceptions new."""

MILLIONTHS = 1_000_000
MOST = 200
"""Most workers that are listed; those that ended the longest time ago are left out."""


@dataclass(frozen=True, slots=True)
class State:
    """Data version and live workers, from one query.

    Attributes:
        version: A text that differs after each change of the shown counts.
        log_version: A text that differs after each change of the shown counts or of the log.
        complete_to: Epoch seconds up to which every live worker has written; ``None`` before
            the first flush.
        workers: Number of live workers.
        dropped: Calls dropped since recording began.
        core_share: Average share of one core that the thread of a worker uses; ``None`` before
            the first measurement.
        oldest_start: Start of the oldest live worker, in microseconds; 0 if none lives. Workers
            that have not written yet do not count, because their endpoints are unknown.
        opened: The open calls of all live workers by endpoint, in times of our clock.
        waits_since: Epoch seconds of the oldest counts that wait in the inbox, before which all
            are added; ``None`` if none waits.
        new_exceptions: Kinds of exceptions whose first was in the last `NEW_SECONDS`, also those
            of endpoints that are not shown.
    """

    version: str
    log_version: str
    complete_to: float | None
    workers: int
    dropped: int
    core_share: float | None
    oldest_start: int
    opened: Mapping[int, Open]
    waits_since: float | None = None
    new_exceptions: int = 0

    def health(self, *, database_bytes: int | None) -> Health:
        """The health of the recording."""
        return Health(self.complete_to, self.workers, self.dropped, database_bytes, self.core_share)


def read_state(connection: Connection, *, app: str, now: float) -> State:
    """Read the live workers of an app, and the version of its data."""
    values = {
        "app": app,
        "note": note_of(app),
        "now_us": microseconds(now),
        "new_since": microseconds(now - NEW_SECONDS),
    }
    answer = list(connection.execute(_state_of(dialect_of(connection)), values))
    found = sound_rows((row for row in answer if row.id is not None), WORKER)
    living = [row for row in found if _state(row, now) is WorkerState.RUNNING]
    complete = min((_by_our_clock(row, row.complete_to, now) for row in living), default=0)
    # Where nobody lives, counts are complete up to the end of the last worker.
    if not complete:
        latest = (row.complete_to for part in _latest(connection, app) for row in part)
        complete = max(latest, default=0)
    # Counts in the inbox are not shown yet, even if their worker has ended.
    complete = min(complete, answer[0].waits_since or complete)
    shares = [row.core_ppm for row in living if row.core_ppm is not None]
    new_exceptions = whole(answer[0].new_exceptions)
    # Every page shows their number.
    version = f"{answer[0].data_version}-{new_exceptions}"
    return State(
        version=version,
        # With the number of workers, because the sum falls when one of them ends.
        log_version=f"{version}-{len(living)}-{sum(row.log_seq for row in living)}",
        complete_to=_seconds(whole(complete, MAX_TIME_US)),
        workers=len(living),
        dropped=whole(dropped_calls(answer[0].dropped, answer[0].forgotten)),
        core_share=mean(shares) / MILLIONTHS if shares else None,
        oldest_start=min((row.started_at for row in living if row.complete_to), default=0),
        opened=_opened(living, now),
        waits_since=_seconds(whole(answer[0].waits_since, MAX_TIME_US)),
        new_exceptions=new_exceptions,
    )


def read_workers(connection: Connection, *, app: str, now: float) -> list[Worker]:
    """The workers of an app, running ones first, then the latest; at most `MOST`."""
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


def _opened(living: Iterable[Any], now: float) -> Mapping[int, Open]:
    found: dict[int, Open] = {}
    for row in living:
        for identity, one in parsed(row.open_calls).items():
            connections, since_us = one.connections, _by_our_clock(row, one.since_us, now)
            before = found.get(identity)
            if before is not None:
                connections += before.connections
                since_us = min(since_us, before.since_us)
            found[identity] = Open(connections, since_us)
    return found


@cache
def _state_of(dialect: Dialect) -> sa.Select[Any]:
    """A row for each live worker, at least one row; each row has the data of the app as well.

    Cached, because building the statement takes longer than its execution. Its parameters are
    ``app``, ``note``, ``now_us`` and ``new_since``.
    """
    app, note = sa.bindparam("app", type_=WORKER.c.app.type), sa.bindparam("note", type_=sa.String)
    ours_us = sa.bindparam("now_us", type_=sa.BigInteger)
    dropped, forgotten = dropped_by_workers(app, note)
    waits_since = sa.select(sa.func.min(INBOX.c.since)).where(INBOX.c.app == app).scalar_subquery()
    since = sa.bindparam("new_since", type_=sa.BigInteger())
    new = sa.select(sa.func.count()).where(EXCEPTION.c.app == app, EXCEPTION.c.first_at >= since)
    always = sa.select(
        data_version().label("data_version"),
        dropped.label("dropped"),
        forgotten.label("forgotten"),
        waits_since.label("waits_since"),
        new.scalar_subquery().label("new_exceptions"),
        dialect.clock_us.label("database_now"),
    ).subquery()
    latest = latest_open(app).subquery()
    # The same as `now_of`.
    now_us = sa.case(
        (latest.c.clock_ahead_us.is_(None), ours_us),
        else_=sa.func.coalesce(always.c.database_now, ours_us),
    )
    patience_us = latest.c.interval_ms * (1_000 * SILENT_INTERVALS)
    # Not the longer of the two: no function for it has the same name in all databases.
    is_heard = sa.or_(
        latest.c.seen_at >= now_us - SILENT_SECONDS * 1_000_000,
        latest.c.seen_at >= now_us - patience_us,
    )
    return sa.select(always, latest).select_from(always.outerjoin(latest, is_heard))


def _rows(connection: Connection, app: str) -> sa.Select[Any]:
    """The rows of an app's workers, each with the time by the database's clock."""
    clock = dialect_of(connection).clock_us.label("database_now")
    return sa.select(WORKER, clock).where(WORKER.c.app == app)


def _by_our_clock(row: Any, at_us: int, now: float) -> int:
    """A time of a worker's clock in terms of ours, if both were compared with the database's.

    Args:
        row: The row of the worker.
        at_us: Microseconds since the epoch; 0, which means never, stays.
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
        interval_seconds=row.interval_ms / 1_000,
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
