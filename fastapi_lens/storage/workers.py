"""The rows of the workers: that one records, how it does, that it has ended or was killed."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.batches import Heartbeat, WorkerFacts
from fastapi_lens.storage.clocks import clock_ahead_us
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import known_version, require_schema
from fastapi_lens.storage.statements import HAS_SCHEMA
from fastapi_lens.storage.tables import WORKER


def new_row(
    worker: WorkerFacts, *, applied: int, now_us: int, log_applied: int = 0
) -> dict[str, Any]:
    """The row of a worker that has said nothing of itself yet.

    Args:
        worker: Who it is.
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
    }


def beat(
    database: Database,
    worker: WorkerFacts,
    heartbeat: Heartbeat,
    clock: Callable[[], float] | None = None,
) -> None:
    """Note that a worker lives, up to when its counts are written, and how it does.

    Args:
        database: Where its row is.
        worker: Who it is.
        heartbeat: What it says.
        clock: Its own, in epoch seconds, to be compared with the database's.

    Raises:
        SchemaTooNewError: A newer release has migrated the database since this one began.
        StorageError: The database cannot be written.
    """
    values = {
        "seen_at": heartbeat.now_us,
        "ended_at": heartbeat.now_us if heartbeat.ended else 0,
        # Whoever was taken for dead knows better.
        "killed": False,
        "complete_to": heartbeat.complete_to_us,
        "dropped": heartbeat.dropped,
        "pending": heartbeat.pending,
        "flush_us": heartbeat.flush_us,
        "cost_ns": heartbeat.cost_ns,
    }
    with database.write() as connection:
        ahead_us = None if clock is None else clock_ahead_us(connection, clock)
        if ahead_us is not None:
            values["clock_ahead_us"] = ahead_us
        noted = connection.execute(
            sa.update(WORKER).where(WORKER.c.id == worker.id, HAS_SCHEMA).values(values),
            {"schema": str(known_version())},
        )
        if not noted.rowcount:
            require_schema(connection)


def note_killed(
    database: Database, worker: WorkerFacts, is_gone: Callable[[int, float], bool]
) -> list[WorkerFacts]:
    """Note which workers of the same app and host were killed before they could say that they end.

    Args:
        database: Where their rows are.
        worker: Who asks; never noted itself.
        is_gone: Whether the process with a number that ran at a time, in epoch seconds, runs
            no more.

    Returns:
        Those that nobody has noted before.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.read() as connection:
        rows = connection.execute(
            sa.select(WORKER).where(
                WORKER.c.app == worker.app,
                WORKER.c.host == worker.host,
                WORKER.c.id != worker.id,
                WORKER.c.ended_at == 0,
            )
        ).all()
    gone = [row for row in rows if is_gone(row.pid, row.started_at / 1_000_000)]
    return [_facts(row) for row in gone if _noted(database, row.id)]


def _noted(database: Database, worker_id: str) -> bool:
    with database.write() as connection:
        noted = connection.execute(
            sa.update(WORKER)
            .where(WORKER.c.id == worker_id, WORKER.c.ended_at == 0)
            .values(ended_at=WORKER.c.seen_at, killed=True)
        )
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
