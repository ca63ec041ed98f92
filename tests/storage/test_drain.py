"""How many batches the drain takes at a time, and how many rows one statement locks."""

import pytest

from fastapi_lens.storage import statements
from fastapi_lens.storage.batches import Batch
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.drain import Drain
from fastapi_lens.storage.inbox import Inbox
from fastapi_lens.storage.registrar import Registrar
from tests.storage.helpers import FlakyDatabase, delta, rows_in, rows_of, worker

NOW = 1_790_000_000.0


def test_a_slow_drain_does_not_cut_what_waits_into_parts(sqlite_database: FlakyDatabase) -> None:
    writer, seconds = worker(), iter(range(1_000))
    Registrar(sqlite_database, writer).register([], applied=0, now_us=1)
    inbox = Inbox(sqlite_database, writer)
    # A second passes at each look at the time: every transaction is slow.
    drain = Drain(
        sqlite_database,
        clock=lambda: NOW,
        timer=lambda: float(next(seconds)),
        pause=lambda _seconds: None,
    )
    for turn in range(2):
        for number in range(12):
            inbox.put(Batch(turn * 12 + number + 1, (delta(1),)), now=NOW)
        drain.run(seconds=1)

    assert rows_in(sqlite_database).buckets == rows_of([delta(1)] * 24).buckets


def test_many_batches_are_folded_while_they_are_read(
    sqlite_database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.storage.drain.FOLD_EVERY", 2)
    writer = worker()
    Registrar(sqlite_database, writer).register([], applied=0, now_us=1)
    inbox, deltas = Inbox(sqlite_database, writer), tuple(map(delta, (1, 2, 3)))
    for number in range(5):
        inbox.put(Batch(number + 1, deltas), now=NOW)
    Drain(sqlite_database, clock=lambda: NOW).run(seconds=10)

    assert rows_in(sqlite_database).latencies == rows_of(deltas * 5).latencies


def test_rows_of_more_endpoints_than_one_statement_locks_are_added_to(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MOST_ENDPOINTS", 3)
    writer = worker()
    Registrar(database, writer).register([], applied=0, now_us=1)
    inbox, drain = Inbox(database, writer), Drain(database, clock=lambda: NOW)
    for number in (1, 2):
        inbox.put(Batch(number, tuple(map(delta, range(1, 9)))), now=NOW)
        drain.run_once()

    found, expected = rows_in(database), rows_of(map(delta, [*range(1, 9)] * 2))
    assert (found.buckets, found.latencies) == (expected.buckets, expected.latencies)
    assert found.statuses == expected.statuses
