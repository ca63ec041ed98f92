import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection

from benchmarks.support.ordeal import stream
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
from fastapi_lens.errors import DeadlockError, SchemaTooNewError, StorageError
from fastapi_lens.storage.coordination.heartbeat import Neighbour, beat, note_killed
from fastapi_lens.storage.coordination.sequence import TRIES, WorkerForgottenError
from fastapi_lens.storage.coordination.worker import Heartbeat
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import known_version, migrate
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    INBOX,
    LEASE,
    META,
    SCHEMA_VERSION,
    STATUS,
    WORKER,
)
from fastapi_lens.storage.writing.batches import Batch, Delta
from tests.storage.conftest import Together
from tests.storage.processes import register
from tests.support.statements import engine_of

IS_W1 = WORKER.c.id == "w1"


def batches(seed: int, number: int) -> list[Batch]:
    return list(islice(stream(seed), number))


def registered(database: Database, name: str = "w1") -> Writer:
    writer = Writer(database, worker(name))
    writer.register([], applied=0, now_us=1)
    return writer


def all_deltas(written: list[Batch]) -> list[Delta]:
    return list(chain.from_iterable(batch.deltas for batch in written))


def worker_row(database: Database, name: str = "w1") -> Any:
    return next(row for row in table_rows(database, WORKER) if row.id == name)


def test_an_endpoint_has_the_same_id_everywhere_and_shares_it_with_no_other() -> None:
    assert endpoint_id("orders", "GET", "/v1/orders/{order_id}") == 0x67241B3BB4F1FC6C
    parts = ("a", "b", "ab", "", "é", "\ud800")
    ids = {endpoint_id(app, method, path) for app in parts for method in parts for path in parts}
    assert len(ids) == len(parts) ** 3
    assert all(0 <= each < 2**63 for each in ids)


def test_a_batch_is_added_to_every_tier(flaky: Database) -> None:
    writer, written = registered(flaky), batches(1, 12)
    for batch in written:
        writer.write(batch)
    assert rows_in(flaky) == rows_of(all_deltas(written))
    assert worker_row(flaky).seq == 12


def test_a_batch_that_is_written_again_is_not_added_again(local: Database) -> None:
    writer, written = registered(local), batches(1, 3)
    for batch in written:
        writer.write(batch)
        writer.write(batch)
    assert rows_in(local) == rows_of(all_deltas(written))


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_acknowledgement_costs_and_doubles_nothing(local: FlakyDatabase, lost: int) -> None:
    # The first transaction makes the rows, the second one adds to them.
    writer, (batch,) = registered(local), batches(1, 1)
    commits = iter(range(10))
    local.loses = lambda: next(commits) == lost + 1
    with pytest.raises(StorageError, match="acknowledgement"):
        writer.write(batch)
    local.loses = lambda: False
    writer.write(batch)
    assert rows_in(local) == rows_of(batch.deltas)


@pytest.mark.parametrize("table", [BUCKET, STATUS, ENDPOINT], ids=lambda table: table.name)
def test_rows_are_taken_in_the_order_of_their_keys_so_that_workers_never_deadlock(
    local: FlakyDatabase, table: sa.Table
) -> None:
    taken: list[list[tuple[int, ...]]] = []
    names = [column.name for column in table.primary_key]

    @event.listens_for(engine_of(local), "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *others: Any) -> None:
        parameters, context = others[0], others[1]
        if statement.startswith(f"UPDATE {table.name} "):
            # The key comes last, in the WHERE.
            rows = parameters if isinstance(parameters, list) else [parameters]
            taken.append([tuple(row[-len(names) :]) for row in rows])
        elif statement.startswith(f"INSERT INTO {table.name} "):
            taken.append(
                [tuple(row[name] for name in names) for row in context.compiled_parameters]
            )

    deltas = list(batches(1, 1)[0].deltas)
    backwards = sorted(deltas, key=lambda one: (one.endpoint_id, one.minute), reverse=True)
    registered(local).write(Batch(1, tuple(backwards)))
    registered(local, "w2").register(
        [facts(f"/{number}") for number in range(9)], applied=0, now_us=1
    )
    assert max(len(keys) for keys in taken) > 2
    assert taken == [sorted(keys) for keys in taken]


def test_a_batch_of_many_minutes_is_added_whole(flaky: Database) -> None:
    deltas = tuple(delta(1 + n % 2, [n + 1], minute=MINUTE + n) for n in range(450))
    registered(flaky).write(Batch(1, deltas))
    assert rows_in(flaky) == rows_of(deltas)


def test_an_earlier_first_call_and_a_later_last_call_win(flaky: Database) -> None:
    deltas = [delta(1, minute=MINUTE + offset) for offset in (5, 3, 9, 4)]
    writer = registered(flaky)
    for seq, one in enumerate(deltas, 1):
        writer.write(Batch(seq, (one,)))
    minute = 60_000_000
    assert rows_in(flaky).endpoints == {
        1: (4, (MINUTE + 3) * minute + 1_000, (MINUTE + 9) * minute + 1_000)
    }


def test_workers_that_start_at_once_tell_of_the_same_endpoints(
    database: Database, database_url: str, together: Together
) -> None:
    names = {f"w{number}" for number in range(5)}
    together(register, [(database_url, name) for name in sorted(names)])
    assert {row.id for row in table_rows(database, WORKER)} == names
    rows = table_rows(database, ENDPOINT)
    assert {row.path for row in rows} == {f"/{number}" for number in range(40)}
    assert {row.name for row in rows} <= names


@pytest.mark.unmeasured
def test_threads_that_share_a_database_add_up_exactly(flaky: FlakyDatabase) -> None:
    errors: list[StorageError] = []

    def write(seed: int) -> None:
        writer = registered(flaky, f"w{seed}")
        try:
            for batch in batches(seed, 8):
                writer.write(batch)
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    expected = all_deltas([batch for seed in range(4) for batch in batches(seed, 8)])
    assert rows_in(flaky) == rows_of(expected)


def test_a_database_that_has_forgotten_the_worker_says_so_and_is_told_again(
    flaky: Database,
) -> None:
    writer, written = registered(flaky), batches(1, 6)
    # Its row is gone, or that of a backup is there.
    forget, restore = sa.delete(WORKER), sa.update(WORKER).values(seq=1)
    for batch in written:
        writer.write(batch)
        if batch.seq in (3, 5):
            with flaky.write() as connection:
                connection.execute((forget if batch.seq == 3 else restore).where(IS_W1))
            with pytest.raises(WorkerForgottenError):
                writer.write(written[batch.seq])
            writer.register([], applied=batch.seq, now_us=2)
    assert rows_in(flaky) == rows_of(all_deltas(written))
    assert worker_row(flaky).seq == 6


def test_registering_again_never_takes_a_batch_back(local: Database) -> None:
    # Its acknowledgement got lost, so the worker does not know that it was applied.
    writer, written = registered(local), batches(1, 2)
    for batch in written:
        writer.write(batch)
    writer.register([], applied=1, now_us=2)
    writer.write(written[1])
    assert rows_in(local) == rows_of(all_deltas(written))


def test_rows_that_vanish_in_between_are_an_error_and_the_retry_finds_them_anew(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, (batch,) = registered(local), batches(1, 1)
    transactions = iter(range(10))
    write = local.write

    def write_and_delete() -> Any:
        if next(transactions) == 3:
            with write() as connection:
                connection.execute(sa.delete(STATUS))
        return write()

    monkeypatch.setattr(local, "write", write_and_delete)
    with pytest.raises(StorageError, match="vanished"):
        writer.write(batch)
    assert table_rows(local, INBOX)
    writer.write(batch)
    assert rows_in(local) == rows_of(batch.deltas)


def test_registering_brings_facts_up_to_date_and_touches_no_count(database: Database) -> None:
    old = facts("/old", name="app.old", tags=("a",), seen_at_us=5)
    new = facts("/new", seen_at_us=6)
    writer = Writer(database, worker())
    writer.register([old], applied=0, now_us=7_000_000)
    writer.write(Batch(1, (delta(old.id),)))
    changed = facts(
        "/old",
        kind="websocket",
        name="app.moved",
        source="app/moved.py:3",
        summary="Moved.",
        tags=("b", "c"),
        deprecated=True,
        seen_at_us=99,
    )
    writer.register([changed, new], applied=0, now_us=8_000_000)
    rows = {row.path: row._mapping for row in table_rows(database, ENDPOINT)}
    at_us = MINUTE * 60_000_000 + 1_000
    assert (
        rows["/old"].items()
        >= {
            "id": old.id,
            "app": "orders",
            "method": "GET",
            "path": "/old",
            "kind": "websocket",
            "name": "app.moved",
            "source": "app/moved.py:3",
            "summary": "Moved.",
            "tags": '["b", "c"]',
            "deprecated": True,
            "first_seen_at": 5,
            "last_seen_at": 8_000_000,
            "first_called_at": at_us,
            "last_called_at": at_us,
            "total_calls": 1,
        }.items()
    )
    assert (rows["/new"].first_seen_at, rows["/new"].total_calls) == (6, 0)


def test_a_worker_is_kept_from_its_start_to_its_end(sqlite_database: Database) -> None:
    database = sqlite_database
    registered(database)
    assert worker_row(database)._mapping == {
        "id": "w1",
        "app": "orders",
        "host": "host-1",
        "pid": 4711,
        "release": "1.4.2",
        "interval_ms": 5_000,
        "started_at": 1_000_000,
        "seen_at": 1,
        "ended_at": 0,
        "killed": False,
        "complete_to": 0,
        "seq": 0,
        "dropped": 0,
        "pending": 0,
        "flush_us": 0,
        "cost_ns": 0,
        "clock_ahead_us": None,
        "log_seq": 0,
        "open_calls": None,
        "core_ppm": None,
    }
    said = Heartbeat(now_us=20, complete_to_us=19, dropped=3, pending=4, flush_us=5, core_ppm=6)
    beat(database, worker(), replace(said, ended=True))
    ended = worker_row(database)
    assert (ended.seen_at, ended.ended_at, ended.complete_to, ended.dropped) == (20, 20, 19, 3)
    assert (ended.pending, ended.flush_us, ended.core_ppm) == (4, 5, 6)
    beat(database, worker(), replace(said, now_us=30))
    assert worker_row(database).ended_at == 0


def test_workers_of_the_same_host_that_are_gone_are_noted_once(database: Database) -> None:
    migrate(database)
    mine = replace(worker("mine"), pid=1)
    others = {
        "killed": replace(worker("killed"), pid=2),
        "alive": replace(worker("alive"), pid=3),
        "ended": replace(worker("ended"), pid=2),
        "elsewhere": replace(worker("elsewhere"), pid=2, host="host-2"),
        "of another app": replace(worker("of another app"), pid=2, app="other"),
    }
    for one in (mine, *others.values()):
        Writer(database, one).register([], applied=0, now_us=9)
    beat(database, others["ended"], Heartbeat(now_us=10, complete_to_us=10, ended=True))

    def is_gone(other: Neighbour) -> bool:
        return other.pid != 3

    assert note_killed(database, mine, is_gone, now_us=10) == [others["killed"]]
    assert note_killed(database, mine, is_gone, now_us=10) == []
    noted = worker_row(database, "killed")
    assert (noted.killed, noted.ended_at) == (True, 9)
    # It was in another container, and lives.
    beat(database, others["killed"], Heartbeat(now_us=20, complete_to_us=20))
    alive = worker_row(database, "killed")
    assert (alive.killed, alive.ended_at) == (False, 0)


def test_a_deadlock_is_begun_anew_at_once_but_not_for_ever(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, (one, two) = registered(local), batches(1, 2)
    write, left = local.write, [TRIES - 1]

    @contextmanager
    def write_or_deadlock() -> Iterator[Any]:
        with write() as connection:
            yield connection
            if left[0]:
                left[0] -= 1
                raise DeadlockError("deadlock detected")

    monkeypatch.setattr(local, "write", write_or_deadlock)
    writer.write(one)
    assert left == [0]
    left[0] = TRIES
    with pytest.raises(DeadlockError):
        writer.write(two)
    writer.write(two)
    assert rows_in(local) == rows_of([*one.deltas, *two.deltas])


def test_a_deadlock_on_a_server_is_told_from_other_errors(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)
    names = ("a", "b")
    with database.write() as connection:
        connection.execute(
            database.insert_ignore(LEASE),
            [{"name": name, "owner": "", "expires_at": 0} for name in names],
        )
    both_hold_one = threading.Barrier(2)
    errors: list[StorageError] = []

    def lock(first: str, second: str) -> None:
        def take(connection: Connection, name: str) -> None:
            connection.execute(sa.select(LEASE).where(LEASE.c.name == name).with_for_update())

        try:
            with database.write() as connection:
                take(connection, first)
                both_hold_one.wait(10)
                take(connection, second)
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=lock, args=each) for each in (names, names[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [DeadlockError]
    database.close()


def test_what_an_app_says_of_an_endpoint_may_be_long_and_strange(database: Database) -> None:
    strange = facts("/Straße/😀", name="a\0b", summary="é" * 70_000, tags=("\0", "\ud800"))
    other = facts("/straße/😀", source="half \ud800")
    Writer(database, worker()).register([strange, other], applied=0, now_us=1)
    rows = {row.path: row for row in table_rows(database, ENDPOINT)}
    assert set(rows) == {strange.path, other.path}
    assert rows[strange.path].name == "a\ufffdb"
    assert rows[strange.path].summary == strange.summary
    assert json.loads(rows[strange.path].tags) == ["\0", "\ud800"]
    assert rows[other.path].source == "half ?"


def test_names_that_differ_in_case_alone_are_two(database: Database) -> None:
    for name in ("w1", "W1"):
        registered(database, name)
    assert {row.id for row in table_rows(database, WORKER)} == {"w1", "W1"}
    with database.read() as connection:
        found = connection.execute(sa.select(WORKER.c.id).where(WORKER.c.app == APP.upper()))
        assert found.all() == []


def test_a_database_that_a_newer_release_has_migrated_gets_no_count(
    database: Database,
) -> None:
    writer = registered(database)
    version = sa.update(META).where(META.c.name == SCHEMA_VERSION)
    with database.write() as connection:
        connection.execute(version.values(value=str(known_version() + 1)))
    refused = pytest.raises(
        SchemaTooNewError, match=rf"version {known_version() + 1}.*up to {known_version()}: upgrade"
    )
    with refused:
        writer.write(Batch(1, (delta(1),)))
    with refused:
        beat(database, worker(), Heartbeat(now_us=20, complete_to_us=19))
    assert rows_in(database) == rows_of([])
    assert worker_row(database).seen_at == 1
    # A backup of an older release has been restored.
    with database.write() as connection:
        connection.execute(version.values(value="0"))
    with pytest.raises(StorageError, match="gone back to schema version 0"):
        writer.write(Batch(1, (delta(1),)))
    migrate(database)
    writer.write(Batch(1, (delta(1),)))
    assert rows_in(database).statuses.total() == 1


def test_sums_beyond_32_bits_are_kept(flaky: Database) -> None:
    big = delta(1)._replace(calls=2**40 - 1, duration_us=2**53, max_us=2**45)
    registered(flaky).write(Batch(1, (big,)))
    assert {tuple(sums) for sums in rows_in(flaky).buckets.values()} == {
        (2**40 - 1, 0, 0, 0, 2**53, 2**45)
    }
