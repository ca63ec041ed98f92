from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from benchmarks.support.rows import (
    APP,
    MINUTE,
    FlakyDatabase,
    delta,
    facts,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.storage.coordination.heartbeat import new_row
from fastapi_lens.storage.coordination.sequence import WorkerForgottenError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention import worker_deletion
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.schema.tables import WORKER
from fastapi_lens.storage.writing.batches import Batch

DAY = 86_400
NOW = MINUTE * 60 + 12_345.6
CALLED = facts("/called")


def ended_workers(database: Database, number: int, *, app: str, days_ago: float = 0.0) -> None:
    """Rows of workers, a minute apart, the last one as long ago as is said."""
    last = round((NOW - days_ago * DAY) * 1e6)
    rows = [
        {
            **new_row(
                worker(f"{app}-{age:03}", app=app), applied=3, now_us=last - age * 60_000_000
            ),
            "ended_at": last - age * 60_000_000,
        }
        for age in range(number)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(WORKER), rows)


def change_worker(database: Database, name: str, **values: object) -> None:
    with database.write() as connection:
        connection.execute(sa.update(WORKER).where(WORKER.c.id == name).values(**values))


def worker_names(database: Database) -> set[str]:
    return {row.id for row in table_rows(database, WORKER)}


def test_workers_that_ended_long_ago_are_forgotten_but_the_latest_of_each_app(
    database: Database,
) -> None:
    ended_workers(database, 230, app="old", days_ago=8)
    ended_workers(database, 230, app="new")
    ended_workers(database, 60, app="few", days_ago=900)
    before = worker_names(database)
    # Lost calls are counted in their worker's row.
    change_worker(database, "old-229", dropped=7)
    # One that is back already.
    change_worker(database, "old-228", ended_at=0, seen_at=round(NOW * 1e6))
    gone = {f"old-{age:03}" for age in range(200, 228)}
    assert prune(database, Retention(app=APP), now=NOW) == len(gone)
    assert before - worker_names(database) == gone


def test_a_worker_that_never_said_that_it_ends_keeps_its_fence(
    sqlite_database: FlakyDatabase,
) -> None:
    ended_workers(sqlite_database, 2, app="silent")
    for name, days in (("silent-000", 499), ("silent-001", 501)):
        at_us = round((NOW - days * DAY) * 1e6)
        change_worker(sqlite_database, name, ended_at=0, seen_at=at_us)
    assert prune(sqlite_database, Retention(1, app=APP), now=NOW) == 1
    assert worker_names(sqlite_database) == {"silent-000"}


def test_a_worker_that_comes_back_between_two_transactions_is_not_forgotten(
    sqlite_database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_workers(sqlite_database, 201, app="old", days_ago=8)
    found = worker_deletion.old_workers

    def come_back(connection: Connection, *others: Any) -> list[str]:
        names = found(connection, *others)
        of_it = sa.update(WORKER).where(WORKER.c.id == "old-200")
        connection.execute(of_it.values(ended_at=0, seen_at=round(NOW * 1e6)))
        return names

    monkeypatch.setattr(worker_deletion, "old_workers", come_back)
    assert prune(sqlite_database, Retention(app=APP), now=NOW) == 0
    assert "old-200" in worker_names(sqlite_database)


def test_a_forgotten_worker_that_comes_back_loses_and_doubles_nothing(database: Database) -> None:
    deltas = [delta(CALLED.id, [500 + n], minute=MINUTE + n) for n in range(4)]
    first, *rest = (Batch(seq, (one,)) for seq, one in enumerate(deltas, 1))
    writer = Writer(database, worker("back", app="old"))
    writer.register([CALLED], applied=0, now_us=round((NOW - 9 * DAY) * 1e6))
    writer.write(first)
    ended_us = round((NOW - 9 * DAY) * 1e6)
    change_worker(database, "back", ended_at=ended_us, seen_at=ended_us)
    ended_workers(database, 200, app="old")
    prune(database, Retention(app=APP), now=NOW)
    assert "back" not in worker_names(database)
    with pytest.raises(WorkerForgottenError):
        writer.write(rest[0])
    writer.register([CALLED], applied=1, now_us=round(NOW * 1e6))
    for batch in (first, *rest, rest[-1]):
        writer.write(batch)
    assert rows_in(database) == rows_of(deltas)
