"""Rows of workers: their heartbeats, and their end, reported or found out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.leases import free_leases
from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.clock_skew import clock_ahead_us
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import WRITTEN_AS, require_schema
from fastapi_lens.storage.schema.statements import HAS_SCHEMA
from fastapi_lens.storage.schema.tables import WORKER

SILENT_SECONDS = 60
"""A worker without a heartbeat for this long, and for three of its intervals, is silent."""

MOST_READ = 1_000
"""Maximum of workers of an app that a query reads: those last seen most recently."""

SILENT_INTERVALS = 3


def is_silent(seen_at_us: int, interval_ms: int, *, now_us: int) -> bool:
    """True if a worker last seen at a time is silent; both times by the database's clock.

    A worker last seen in the future is silent, too: its clock was wrong and has been corrected.
    """
    patience_us = max(SILENT_SECONDS * 1_000, SILENT_INTERVALS * interval_ms) * 1_000
    return abs(now_us - seen_at_us) > patience_us


def now_of(row: Any, now_us: int) -> int:
    """The present by the clock that a worker's last-seen time uses.

    Args:
        row: The worker's row, with the database's time as ``database_now``.
        now_us: Microseconds since the epoch by this process's clock; used for a worker that could
            never compare its clock with the database's.
    """
    if row.clock_ahead_us is None or row.database_now is None:
        return now_us
    return int(row.database_now)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another worker on a host of the same name.

    Attributes:
        id: The id of its row.
        pid: Its process id.
        is_silent: True if it has sent no heartbeat for long.
    """

    id: str
    pid: int
    is_silent: bool


def new_row(
    worker: WorkerFacts, *, applied: int, now_us: int, log_applied: int = 0
) -> dict[str, Any]:
    """The row of a worker before its first heartbeat.

    Args:
        worker: The worker.
        applied: Number of its last batch known to be applied.
        now_us: Microseconds since the epoch.
        log_applied: Number of its last batch of the request log.
    """
    return {
        "id": worker.id,
        "app": worker.app,
        "host": worker.host,
        "pid": worker.pid,
        "release": worker.release,
        "interval_ms": worker.interval_ms,
        "started_at": worker.started_at_us,
        "seen_at": now_us,
        "ended_at": 0,
        "killed": False,
        "complete_to": 0,
        "seq": applied,
        "dropped": 0,
        "pending": 0,
        "flush_us": 0,
        "cost_ns": 0,
        "clock_ahead_us": None,
        "log_seq": log_applied,
        "open_calls": None,
        "core_ppm": None,
    }


def beat(
    database: Database,
    worker: WorkerFacts,
    heartbeat: Heartbeat,
    clock: Callable[[], float] | None = None,
    *,
    mark: Callable[[Connection], bool] = lambda _: True,
) -> bool:
    """Write a worker's heartbeat.

    Args:
        database: The database with its row.
        worker: The worker.
        heartbeat: Its report.
        clock: Its clock, in epoch seconds, to compare with the database's.
        mark: Marks what it has observed, in the same transaction; see `observed.ReleaseMarks`.

    Returns:
        The result of `mark`, once it is committed.

    Raises:
        SchemaTooNewError: A newer release has migrated the database since this one began.
        StorageError: The database cannot be written.
    """
    values: dict[str, Any] = {
        # A worker that was noted as killed by mistake corrects it.
        "killed": False,
        "complete_to": heartbeat.complete_to_us,
        "dropped": heartbeat.dropped,
        "pending": heartbeat.pending,
        "flush_us": heartbeat.flush_us,
        "core_ppm": heartbeat.core_ppm,
    }
    if heartbeat.interval_ms is not None:
        values["interval_ms"] = heartbeat.interval_ms
    marked: list[bool] = []
    # Workers of a release share the rows that are marked.
    retry_on_deadlock(
        lambda: marked.append(_beat(database, worker, heartbeat, values, clock, mark))
    )
    return marked[-1]


def _beat(
    database: Database,
    worker: WorkerFacts,
    heartbeat: Heartbeat,
    values: dict[str, Any],
    clock: Callable[[], float] | None,
    mark: Callable[[Connection], bool],
) -> bool:
    with database.write() as connection:
        ahead_us = None if clock is None else clock_ahead_us(connection, clock)
        if ahead_us is not None:
            values["clock_ahead_us"] = ahead_us
        # By the database's clock, if this worker's clock was ever compared with it.
        known = WORKER.c.clock_ahead_us if ahead_us is None else _big(ahead_us)
        seen_at = _big(heartbeat.now_us) - sa.func.coalesce(known, 0)
        # A worker that has reported its end may start again.
        values |= {"seen_at": seen_at, "ended_at": seen_at if heartbeat.ended else 0}
        noted = connection.execute(
            sa.update(WORKER).where(WORKER.c.id == worker.id, HAS_SCHEMA).values(values),
            {"schema": str(WRITTEN_AS)},
        )
        # A deleted row is no error: `mark` finds it, and the worker registers again.
        if not noted.rowcount:
            require_schema(connection)
        return mark(connection)


def note_killed(
    database: Database,
    worker: WorkerFacts,
    is_gone: Callable[[Neighbour], bool],
    *,
    now_us: int,
) -> list[WorkerFacts]:
    """Note the workers of the same app and host that were killed before they reported their end.

    Args:
        database: The database to write to; at most `MOST_READ` rows are read.
        worker: The calling worker; never noted itself.
        is_gone: Returns true if a worker no longer runs.
        now_us: Microseconds since the epoch by the asking worker's clock.

    Returns:
        The workers that were not noted before.

    Raises:
        StorageError: The database cannot be written.
    """
    latest = latest_open(worker.app).subquery()
    clock = database.dialect.clock_us.label("database_now")
    with database.read() as connection:
        rows = connection.execute(
            sa.select(latest, clock).where(latest.c.host == worker.host, latest.c.id != worker.id)
        ).all()
    gone = [row for row in rows if is_gone(_neighbour(row, now_us))]
    return [_facts(row) for row in gone if _noted(database, row.id)]


def latest_open(app: str | sa.ColumnElement[str]) -> sa.Select[Any]:
    """A query for an app's workers that have not reported their end, most recently seen first."""
    of_app = sa.select(WORKER).where(WORKER.c.app == app, WORKER.c.ended_at == 0)
    return of_app.order_by(WORKER.c.seen_at.desc()).limit(MOST_READ)


def _big(number: int) -> sa.ColumnElement[int]:
    """A 64-bit number, whatever its value; PostgreSQL would treat a small one as 32-bit."""
    return sa.literal(number, sa.BigInteger())


def _neighbour(row: Any, now_us: int) -> Neighbour:
    silent = is_silent(row.seen_at, row.interval_ms, now_us=now_of(row, now_us))
    return Neighbour(row.id, row.pid, silent)


def _noted(database: Database, worker_id: str) -> bool:
    with database.write() as connection:
        noted = connection.execute(
            sa.update(WORKER)
            # Compared again, because another worker may have noted it first.
            .where(WORKER.c.id == worker_id, WORKER.c.ended_at == 0)
            # The last time that is known: nobody saw when it died.
            .values(ended_at=WORKER.c.seen_at, killed=True)
        )
        # Otherwise nobody drains or deletes until they expire.
        free_leases(connection, worker_id)
        return noted.rowcount == 1


def _facts(row: Any) -> WorkerFacts:
    return WorkerFacts(
        id=row.id,
        app=row.app,
        host=row.host,
        pid=row.pid,
        release=row.release,
        started_at_us=row.started_at,
        interval_ms=row.interval_ms,
    )
