"""Adding what waits: all of it, once, in turn, and never stopped by what cannot be added."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection

from benchmarks.support.ordeal import stream
from benchmarks.support.rows import (
    MINUTE,
    FlakyDatabase,
    caller,
    caller_calls,
    delta,
    facts,
    make_endpoints,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from fastapi_lens.errors import SchemaTooNewError, StorageError
from fastapi_lens.reporting.workers import read_state
from fastapi_lens.storage.coordination.observed import WHOLE_HOUR
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.engine import prepared
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import data_version
from fastapi_lens.storage.schema.identities import dropped_id
from fastapi_lens.storage.schema.migrations import known_version, migrate
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    INBOX,
    META,
    OBSERVED,
    SCHEMA_VERSION,
    STATUS,
    USE,
)
from fastapi_lens.storage.writing import drain as drain_module
from fastapi_lens.storage.writing.batches import Batch, Delta, Use
from fastapi_lens.storage.writing.drain import (
    LEAST_AT_ONCE,
    MAX_TRIES,
    MOST_AT_ONCE,
    MOST_SUMS,
    Drain,
    drain_all,
)
from fastapi_lens.storage.writing.inbox import Inbox, unpack
from fastapi_lens.storage.writing.registrar import Registrar
from fastapi_lens.storage.writing.rollup import Claim, Rollup
from tests.support.statements import engine_of

LARGEST = (1 << 63) - 1


def batches(seed: int, number: int) -> list[Batch]:
    return list(islice(stream(seed), number))


def put(database: Database, name: str, written: Sequence[Batch], app: str = "orders") -> None:
    writer = worker(name, app)
    Registrar(database, writer).register([], applied=written[0].seq - 1, now_us=1)
    inbox = Inbox(database, writer)
    for batch in written:
        inbox.put(batch, Progress())


def put_some(database: Database, workers: int = 3, each: int = 4) -> list[Delta]:
    """Batches of several workers; what they hold."""
    held: list[Delta] = []
    for number in range(workers):
        written = batches(number, each)
        put(database, f"w{number}", written)
        held += deltas_of(written)
    return held


def deltas_of(written: Sequence[Batch]) -> list[Delta]:
    return list(chain.from_iterable(batch.deltas for batch in written))


def waiting_in(database: Database) -> list[tuple[str, int]]:
    return [(row.worker_id, row.seq) for row in table_rows(database, INBOX)]


def lost_in(database: Database, app: str = "orders") -> int:
    with database.read() as connection:
        return read_state(connection, app=app, now=1_790_000_000.0).dropped


def version_of(database: Database) -> str | None:
    with database.read() as connection:
        return connection.execute(sa.select(data_version())).scalar()


def spoil(database: Database, name: str, seq: int = 1) -> None:
    """Make a body that nobody can read."""
    of_it = sa.update(INBOX).where(INBOX.c.worker_id == name, INBOX.c.seq == seq)
    with database.write() as connection:
        connection.execute(of_it.values(body=b"\1broken"))


class Time:
    """Passes by so many seconds each time that somebody looks."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step
        self.pauses: list[float] = []

    def timer(self) -> float:
        self.now += self.step
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def drain_of(database: Database, time: Time | None = None) -> Drain:
    time = time or Time()
    return Drain(database, timer=time.timer, pause=time.pause)


def taken_by_a_turn(drain: Drain, database: Database) -> list[tuple[str, int]]:
    """The keys of the batches that a turn of one transaction adds."""
    before = waiting_in(database)
    drain.run(seconds=0)
    left = set(waiting_in(database))
    return [key for key in before if key not in left]


@contextmanager
def somebody_takes(
    database: FlakyDatabase, number: int, monkeypatch: pytest.MonkeyPatch, *, every: int
) -> Iterator[None]:
    """Another process adds the first batches, after the first of so many reads."""
    reads = count()

    def take() -> None:
        if next(reads) % every == 0:
            database.has_read = lambda: None
            with monkeypatch.context() as patched:
                patched.setattr(drain_module, "FIRST_AT_ONCE", number)
                drain_of(database).run(seconds=0)
            database.has_read = take

    database.has_read = take
    yield
    database.has_read = lambda: None


def test_all_that_waits_is_added_and_nothing_waits_any_more(flaky: FlakyDatabase) -> None:
    held = put_some(flaky)
    assert rows_in(flaky) == rows_of([])
    assert Drain(flaky).run(seconds=60)
    assert rows_in(flaky) == rows_of(held)
    assert waiting_in(flaky) == []
    assert Drain(flaky).run(seconds=60)


def test_uses_advance_the_last_call_and_count_nothing(local: FlakyDatabase) -> None:
    put(local, "w1", [Batch(1, (), (Use(1, 2, 50, 70),)), Batch(2, (), (Use(1, 1, 40, 60),))])
    drain_all(local)
    (row,) = (one for one in table_rows(local, ENDPOINT) if one.id == 1)
    assert (row.total_calls, row.first_called_at, row.last_called_at) == (0, 40, 70)


def test_no_worker_waits_behind_one_that_never_stops_writing(local: FlakyDatabase) -> None:
    drain, more = drain_of(local), count(40)
    put(local, "a", [Batch(seq, (delta(1),)) for seq in range(1, 40)])
    put(local, "z", [Batch(1, (delta(2),))])
    turns: list[list[tuple[str, int]]] = []
    while ("z", 1) in waiting_in(local):
        turns.append(taken_by_a_turn(drain, local))
        # Meanwhile the other one writes as much again.
        put(local, "a", [Batch(next(more), (delta(1),)) for _ in turns[-1]])
    assert len(turns) <= 4
    keys = [key for keys in turns for key in keys]
    assert keys == sorted(keys)
    # Then it begins with the first one again.
    assert {name for name, _ in taken_by_a_turn(drain, local)} == {"a"}


def test_a_run_covers_all_that_is_there_and_not_what_comes_meanwhile(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, drain, add, seqs = (
        put_some(local, workers=2, each=20),
        drain_of(local),
        Rollup.add,
        count(1),
    )

    def add_while_others_write(self: Rollup, batches: Sequence[Batch], claim: Claim) -> None:
        add(self, batches, claim)
        put(local, "before", [Batch(next(seqs), (delta(1),))])

    monkeypatch.setattr(Rollup, "add", add_while_others_write)
    drain.run_once()
    assert {name for name, _ in waiting_in(local)} == {"before"}
    monkeypatch.undo()
    drain_all(local)
    assert rows_in(local).statuses.total() > rows_of(held).statuses.total()


def test_a_run_covers_what_is_there_although_others_take_some_of_it(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, drain = put_some(local, workers=5, each=8), drain_of(local)
    with somebody_takes(local, 3, monkeypatch, every=2):
        drain.run_once()
    assert waiting_in(local) == []
    assert rows_in(local) == rows_of(held)


def test_a_turn_goes_on_behind_batches_that_somebody_else_has_taken(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, drain = put_some(local, workers=5, each=8), drain_of(local)
    with somebody_takes(local, 1, monkeypatch, every=1_000):
        assert drain.run(seconds=60)
    assert rows_in(local) == rows_of(held)


@pytest.mark.unmeasured
def test_two_drains_at_once_add_each_batch_once(on_a_server: Database) -> None:
    held, errors = put_some(on_a_server, workers=4, each=25), list[Exception]()
    begin = threading.Barrier(3)

    def empty() -> None:
        drain = Drain(on_a_server)
        begin.wait(30)
        try:
            while not drain.run(seconds=60):
                pass
        except StorageError as error:
            errors.append(error)

    def write() -> None:
        begin.wait(30)
        put(on_a_server, "late", batches(9, 25))

    threads = [threading.Thread(target=each) for each in (empty, empty, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    drain_all(on_a_server)
    assert waiting_in(on_a_server) == []
    assert rows_in(on_a_server) == rows_of([delta(1), delta(2), *held, *deltas_of(batches(9, 25))])


class Breaking:
    """Breaks off at the n-th place that is counted, once."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def __call__(self) -> bool:
        self.passed += 1
        return self.passed - 1 == self.at

    @property
    def broke(self) -> bool:
        return self.passed > self.at


def drained_after_breaks(
    database: FlakyDatabase, held: Sequence[Delta], breaks: Callable[[Breaking], None]
) -> int:
    """Drain, break off at place after place until there is none left; how many there were."""
    for at in range(200):
        breaking = Breaking(at)
        breaks(breaking)
        with suppress(StorageError, SystemExit):
            Drain(database).run(seconds=60)
        # Another process goes on.
        breaks(Breaking(-1))
        drain_all(database)
        assert rows_in(database) == rows_of(held)
        assert waiting_in(database) == []
        if not breaking.broke:
            return at
        held = [*held, *put_again(database, at + 2)]
    raise AssertionError("it never came to an end")


def put_again(database: Database, number: int) -> list[Delta]:
    """Two batches of a new worker, in minutes that have no rows yet."""
    deltas = [delta(1, minute=MINUTE + 1_440 * number), delta(2, minute=MINUTE + 1_440 * number)]
    put(database, f"again{number}", [Batch(seq, (one,)) for seq, one in enumerate(deltas, 1)])
    return deltas


def test_a_drain_whose_acknowledgement_gets_lost_anywhere_loses_and_doubles_nothing(
    local: FlakyDatabase,
) -> None:
    def lose(breaking: Breaking) -> None:
        local.loses = breaking

    # One finds which rows are missing, one makes them, and one adds everything.
    assert drained_after_breaks(local, put_again(local, 1), lose) == 3


@pytest.mark.parametrize("error", [StorageError("the connection was cut"), SystemExit()])
def test_a_drain_that_dies_at_any_statement_loses_and_doubles_nothing(
    tmp_path: Path, error: BaseException
) -> None:
    database, breaking = FlakyDatabase(f"sqlite:///{tmp_path / 'lens.db'}"), [Breaking(-1)]
    migrate(database)
    make_endpoints(database)

    @event.listens_for(engine_of(database), "before_cursor_execute")
    def break_off(*_: Any) -> None:
        if breaking[0]():
            raise error

    def breaks(at: Breaking) -> None:
        breaking[0] = at

    assert drained_after_breaks(database, put_again(database, 1), breaks) > 10
    database.close()


def set_calls(database: Database, table: sa.Table, endpoint: int, calls: int) -> None:
    column = table.c.total_calls if table is ENDPOINT else table.c.calls
    of_it = (table.c.id if table is ENDPOINT else table.c.endpoint_id) == endpoint
    with database.write() as connection:
        connection.execute(sa.update(table).where(of_it).values({column: calls}))


@pytest.fixture
def on_a_server(server_url: str) -> Iterator[Database]:
    """With two endpoints that were called in one minute."""
    made = Database(server_url)
    migrate(made)
    make_endpoints(made)
    put(made, "setup", [Batch(1, (delta(1), delta(2)))])
    drain_all(made)
    yield made
    made.close()


@pytest.mark.parametrize("table", [BUCKET, STATUS, ENDPOINT], ids=lambda table: table.name)
def test_a_sum_that_a_server_refuses_stops_no_other_one_and_is_counted_as_lost(
    on_a_server: Database, table: sa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    set_calls(on_a_server, table, 1, LARGEST)
    before = rows_in(on_a_server)
    put(on_a_server, "w1", [Batch(1, (delta(2), delta(1, [5, 6])))])
    put(on_a_server, "w2", [Batch(1, (delta(2), delta(3)))])
    assert Drain(on_a_server).run(seconds=60)
    after = rows_in(on_a_server)
    assert lost_in(on_a_server) == 2
    assert (after.endpoints[2][0], after.endpoints[3][0]) == (3, 1)
    assert after.endpoints[1] == before.endpoints[1]
    assert {key: sums for key, sums in after.buckets.items() if key[2] == 1} == {
        key: sums for key, sums in before.buckets.items() if key[2] == 1
    }
    assert waiting_in(on_a_server) == []
    told = [record.message for record in caplog.records]
    assert told == ["fastapi_lens drops 2 calls of GET /1, which the database refuses to add"]


@pytest.fixture
def refusing(local: FlakyDatabase) -> FlakyDatabase:
    """Takes no more than three calls of an endpoint, as if its numbers ended there."""
    with local.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER too_many BEFORE UPDATE ON lens_endpoint WHEN NEW.total_calls > 3 "
            "BEGIN SELECT RAISE(ABORT, 'out of range'); END"
        )
    return local


def test_what_fits_of_sums_that_are_too_large_together_is_added(
    refusing: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    deltas = [delta(endpoint, [1, 2], minute=MINUTE + n) for n in range(3) for endpoint in (1, 2)]
    put(refusing, "w1", [Batch(1, (*deltas, delta(3)))])
    assert Drain(refusing).run(seconds=60)
    assert lost_in(refusing) == 8
    added, expected = rows_in(refusing), rows_of([*deltas[:2], delta(3)])
    assert (added.endpoints, +added.statuses) == (expected.endpoints, expected.statuses)
    assert {key: sums for key, sums in added.buckets.items() if sums[0]} == expected.buckets
    assert [record.message for record in caplog.records] == [
        f"fastapi_lens drops 4 calls of GET /{number}, which the database refuses to add"
        for number in (1, 2)
    ]


def test_calls_of_an_endpoint_without_a_row_get_one_that_registering_names(
    database: Database,
) -> None:
    new, used = facts("/new"), facts("/used", app="shop")
    put(database, "w1", [Batch(1, (delta(new.id),))])
    put(database, "w2", [Batch(1, (delta(new.id),), (Use(used.id, 1, 4, 9),))], app="shop")
    drain_all(database)
    assert rows_in(database).endpoints == rows_of([delta(new.id)] * 2).endpoints
    rows = {row.id: row for row in table_rows(database, ENDPOINT)}
    assert (rows[new.id].path, rows[new.id].kind) == (f"<endpoint {new.id}>", "unregistered")
    assert (rows[used.id].app, rows[used.id].last_called_at) == ("shop", 9)
    registrar = Registrar(database, worker("w2", "shop"))
    assert registrar.outdated(now_us=1) == {new.id, used.id}
    registrar.register([used], applied=1, now_us=20)
    rows = {row.id: row for row in table_rows(database, ENDPOINT)}
    assert (rows[used.id].method, rows[used.id].path, rows[used.id].kind) == (
        *("GET", "/used"),
        "http",
    )
    assert rows[used.id].last_called_at == 9
    assert registrar.outdated(now_us=1) == {new.id}


def test_a_refused_sum_of_an_endpoint_that_was_deleted_is_named_by_its_number(
    refusing: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with refusing.write() as connection:
        connection.execute(sa.delete(ENDPOINT).where(ENDPOINT.c.id == 2))
        connection.exec_driver_sql(
            "CREATE TRIGGER gone BEFORE UPDATE ON lens_bucket WHEN NEW.endpoint_id = 2 "
            "BEGIN SELECT RAISE(ABORT, 'out of range'); END"
        )
    put(refusing, "w1", [Batch(1, (delta(1), delta(2)))])
    assert Drain(refusing).run(seconds=60)
    assert lost_in(refusing) == 1
    assert "drops 1 calls of UNKNOWN <endpoint 2>, which" in caplog.text


def test_a_batch_that_is_refused_whatever_is_taken_out_of_it_is_given_up(
    refusing: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with refusing.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER never BEFORE UPDATE ON lens_endpoint WHEN NEW.last_called_at > 5 "
            "BEGIN SELECT RAISE(ABORT, 'out of range'); END"
        )
    put(refusing, "w1", [Batch(1, (), (Use(1, 1, 2, 9),)), Batch(2, (), (Use(2, 1, 2, 4),))])
    assert Drain(refusing).run(seconds=60)
    assert "drops 0 calls of worker w1 (orders), which cannot be added" in caplog.text
    assert [row.last_called_at for row in table_rows(refusing, ENDPOINT)] == [0, 4, 0, 0]
    # No call is lost, so the time counts as observed.
    assert (lost_in(refusing), table_rows(refusing, OBSERVED)) == (0, [])


def test_a_body_that_nobody_can_read_is_given_up_and_counted(
    flaky: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    held = put_some(flaky)
    put(flaky, "broken", [Batch(1, (delta(1), delta(2, [1, 2])))], "shop")
    spoil(flaky, "broken")
    assert Drain(flaky).run(seconds=60)
    assert (lost_in(flaky, "shop"), lost_in(flaky)) == (3, 0)
    assert rows_in(flaky) == rows_of(held)
    assert waiting_in(flaky) == []
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.message.startswith(
        "fastapi_lens drops 3 calls of worker broken (shop), which cannot be added: Error -3 "
    )


@pytest.mark.parametrize(
    ("since", "hours"), [(0.0, 25), (1_790_000_000.0 - 3 * 3_600, 4), (1_790_000_000.0 + 9, 25)]
)
def test_hours_of_calls_that_are_given_up_are_not_observed(
    local: FlakyDatabase, since: float, hours: int
) -> None:
    put(local, "w0", [replace(batches(0, 1)[0], since_us=round(since * 1e6))])
    spoil(local, "w0")
    Drain(local, clock=lambda: 1_790_000_000.0).run_once()
    rows = table_rows(local, OBSERVED)
    assert {(row.release_id, row.minutes) for row in rows} == {(dropped_id("orders"), WHOLE_HOUR)}
    last = 1_790_000_000 // 3_600
    assert [row.hour for row in rows] == list(range(last - hours + 1, last + 1))


def test_batches_of_a_newer_release_wait_for_its_workers_and_hold_up_nobody(
    flaky: FlakyDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    newer = [Batch(seq, (delta(1),)) for seq in range(1, 2 * LEAST_AT_ONCE)]
    put(flaky, "a", newer)
    with flaky.write() as connection:
        connection.execute(sa.update(INBOX).values(body=b"\3of a newer release"))
    monkeypatch.setattr(drain_module, "FIRST_AT_ONCE", LEAST_AT_ONCE)
    held, drain = put_some(flaky), Drain(flaky)
    for _ in range(3):
        assert drain.run(seconds=60)
        drain.run_once()
    assert rows_in(flaky) == rows_of(held)
    assert waiting_in(flaky) == [("a", batch.seq) for batch in newer]
    assert lost_in(flaky) == 0
    (record,) = caplog.records
    assert "batches to the newer release that wrote them" in record.message


def test_the_log_counts_the_batches_of_a_newer_release_apart_from_those_that_are_added(
    local: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    put(local, "a", [Batch(seq, (delta(1),)) for seq in (1, 2)])
    with local.write() as connection:
        connection.execute(sa.update(INBOX).values(body=b"\3of a newer release"))
    put_some(local)
    assert Drain(local).run(seconds=60)
    assert [record.message for record in caplog.records] == [
        "fastapi_lens leaves 2 batches to the newer release that wrote them"
    ]


@pytest.fixture
def unforeseen(monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """The bodies of batches that fail with an error that nobody foresaw."""
    failing: set[bytes] = set()

    def fail(body: bytes) -> Batch:
        if body in failing:
            raise LookupError("nobody foresaw it")
        return unpack(body)

    monkeypatch.setattr(drain_module, "unpack", fail)
    return failing


def body_of(database: Database, name: str, seq: int) -> bytes:
    (row,) = (one for one in table_rows(database, INBOX) if (one.worker_id, one.seq) == (name, seq))
    body: bytes = row.body
    return body


def test_a_batch_that_fails_as_nobody_foresaw_is_given_up_after_some_tries_and_not_before(
    local: FlakyDatabase, unforeseen: set[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    held = put_some(local, workers=2, each=2)
    put(local, "w9", [Batch(1, (delta(1), delta(2)))])
    unforeseen.add(body_of(local, "w9", 1))
    drain = Drain(local)
    for _ in range(MAX_TRIES - 1):
        # The others are added, and whoever drains goes on with its own work.
        assert drain.run(seconds=60)
        assert waiting_in(local) == [("w9", 1)]
        assert rows_in(local) == rows_of(held)
    assert "could not add 2 calls of worker w9 (orders), and tries again" in caplog.text
    assert drain.run(seconds=60)
    assert waiting_in(local) == []
    assert lost_in(local) == 2
    assert "drops 2 calls of worker w9 (orders), which cannot be added: nobody" in caplog.text


def test_batches_that_fail_as_nobody_foresaw_are_all_given_up_however_many_lie_between(
    local: FlakyDatabase, unforeseen: set[bytes]
) -> None:
    held, drain = put_some(local, workers=4, each=10), Drain(local)
    for name in ("a", "w11", "z"):
        put(local, name, [Batch(1, (delta(1),))])
        unforeseen.add(body_of(local, name, 1))
    for _ in range(MAX_TRIES):
        assert waiting_in(local) != []
        assert drain.run(seconds=60)
    assert waiting_in(local) == []
    assert rows_in(local) == rows_of(held)
    assert lost_in(local) == 3


def test_whoever_needs_all_of_it_leaves_nothing_that_fails_as_nobody_foresaw(
    local: FlakyDatabase, unforeseen: set[bytes]
) -> None:
    held = put_some(local)
    unforeseen.add(body_of(local, "w1", 1))
    drain_all(local)
    assert waiting_in(local) == []
    assert lost_in(local) == batches(1, 1)[0].calls
    assert rows_in(local) != rows_of(held)


def test_whoever_needs_all_of_it_ends_although_another_one_gives_up_what_fails(
    local: FlakyDatabase, unforeseen: set[bytes]
) -> None:
    put(local, "w1", [Batch(1, (delta(1),))])
    unforeseen.add(body_of(local, "w1", 1))
    drain = Drain(local)
    assert drain.run(seconds=60)
    drain_all(local)
    drain.run_once()
    assert (waiting_in(local), lost_in(local)) == ([], 1)


def test_what_fails_as_nobody_foresaw_only_once_is_added(
    local: FlakyDatabase, unforeseen: set[bytes]
) -> None:
    held, drain = put_some(local), Drain(local)
    unforeseen.add(body_of(local, "w1", 1))
    assert drain.run(seconds=60)
    unforeseen.clear()
    assert drain.run(seconds=60)
    assert rows_in(local) == rows_of(held)
    assert lost_in(local) == 0


def test_no_number_of_connection_errors_gives_up_a_batch(local: FlakyDatabase) -> None:
    held, drain = put_some(local), Drain(local)
    write = local.write
    for _ in range(3 * MAX_TRIES):
        local.down = True
        with pytest.raises(StorageError):
            drain.run(seconds=60)
        local.down = False

        @contextmanager
        def fail() -> Iterator[Connection]:
            with write() as connection:
                yield connection
                raise StorageError("the connection was cut")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(local, "write", fail)
            with pytest.raises(StorageError):
                drain.run(seconds=60)
    assert drain.run(seconds=60)
    assert rows_in(local) == rows_of(held)
    assert lost_in(local) == 0


def test_what_is_given_up_is_counted_once_whatever_acknowledgement_gets_lost(
    refusing: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "fastapi_lens")
    lost = 0
    for at in range(6):
        # In a minute that has no rows yet, so that these are made first.
        many = delta(1, [1] * 4, minute=MINUTE + at)
        put(refusing, f"w{at}", [Batch(1, (many,)), Batch(2, (delta(2),))])
        spoil(refusing, f"w{at}", 2)
        lost += 5
        breaking = refusing.loses = Breaking(at)
        with suppress(StorageError):
            Drain(refusing).run(seconds=60)
        refusing.loses = lambda: False
        drain_all(refusing)
        assert (lost_in(refusing), waiting_in(refusing)) == (lost, [])
    assert not breaking.broke


def test_pages_are_made_anew_when_calls_were_given_up(local: FlakyDatabase) -> None:
    put(local, "w1", [Batch(1, (delta(1),))])
    spoil(local, "w1")
    before = version_of(local)
    drain_all(local)
    assert version_of(local) != before


def test_more_is_added_at_once_while_much_waits_and_less_when_it_takes_long(
    local: FlakyDatabase,
) -> None:
    time = Time()
    drain = drain_of(local, time)
    put(local, "w1", [Batch(seq, (), (Use(1, 1, 1, 1),)) for seq in range(1, 1_200)])
    sizes: list[int] = []
    while waiting_in(local):
        sizes.append(len(taken_by_a_turn(drain, local)))
    assert sizes == [64, 128, MOST_AT_ONCE, MOST_AT_ONCE, MOST_AT_ONCE, 1_199 - 960]
    # From now on each transaction takes longer than it should, and little waits.
    time.step = 0.2
    for number in range(10):
        put(local, "w1", [Batch(1_200 + number, (delta(1),))])
        drain.run(seconds=0)
    put(local, "w1", [Batch(seq, (delta(1),)) for seq in range(1_210, 1_240)])
    assert len(taken_by_a_turn(drain, local)) == LEAST_AT_ONCE


@pytest.mark.parametrize(
    ("size", "seconds", "waiting", "sizes"),
    [
        pytest.param(40, 0.5, 10, [20, 40], id="few took too long"),
        pytest.param(37, 0.5, 10, [18, 36], id="half of an odd size"),
        pytest.param(40, 0.5, 20, [20, 40], id="half of the size waited"),
        pytest.param(40, 0.5, 21, [40, 80], id="more than that waited"),
        pytest.param(40, 0.25, 10, [40, 80], id="as long as it should take"),
        pytest.param(20, 0.5, 2, [LEAST_AT_ONCE, 2 * LEAST_AT_ONCE], id="not below the least"),
    ],
)
def test_a_transaction_that_takes_too_long_halves_the_next_one_unless_as_much_waits(
    local: FlakyDatabase,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    seconds: float,
    waiting: int,
    sizes: list[int],
) -> None:
    # A number that a binary fraction holds exactly, and so does the time.
    monkeypatch.setattr(drain_module, "AIM_SECONDS", 0.25)
    monkeypatch.setattr(drain_module, "FIRST_AT_ONCE", size)
    time = Time(step=seconds)
    drain = drain_of(local, time)
    written = [Batch(seq, (), (Use(1, 1, 1, 1),)) for seq in range(1, waiting + 125)]
    put(local, "w1", written[:waiting])
    assert len(taken_by_a_turn(drain, local)) == waiting
    time.step = 0.0
    put(local, "w1", written[waiting:])
    assert [len(taken_by_a_turn(drain, local)) for _ in sizes] == sizes


def note_transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of sums of each transaction that adds any."""
    found: list[int] = []
    add = Rollup.add

    def noted(self: Rollup, batches: Sequence[Batch], claim: Claim) -> None:
        found.append(sum(len(batch.deltas) for batch in batches))
        add(self, batches, claim)

    monkeypatch.setattr(Rollup, "add", noted)
    return found


def test_a_transaction_has_only_so_many_distinct_sums(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [
        Batch(seq, tuple(delta(1, minute=MINUTE + 1_000 * seq + n) for n in range(1_000)))
        for seq in range(1, 17)
    ]
    put(local, "w1", written)
    drain = drain_of(local)
    sizes = note_transactions(monkeypatch)
    assert drain.run(seconds=60)
    assert sizes == [MOST_SUMS + 1_000] * 4
    assert rows_in(local) == rows_of(deltas_of(written))


def test_workers_that_need_several_batches_for_the_same_endpoints_share_transactions(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "MOST_SUMS", 30)
    parts = [[delta(1, minute=MINUTE + 10 * part + n) for n in range(10)] for part in range(5)]
    for name in ("w1", "w2", "w3", "w4"):
        put(local, name, [Batch(seq, tuple(part)) for seq, part in enumerate(parts, 1)])
    drain = drain_of(local)
    sizes = note_transactions(monkeypatch)
    assert drain.run(seconds=60)
    # The first one has the first three batches of all of them, and one batch more.
    assert sizes == [40, 20]
    assert rows_in(local) == rows_of([one for part in parts for one in part] * 4)


def test_a_turn_that_ends_between_two_parts_of_what_was_read_goes_on_with_the_rest(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "MOST_SUMS", 2)
    held = [delta(1, minute=MINUTE + n) for n in range(8)]
    for name in ("w1", "w2"):
        put(local, name, [Batch(seq, (one,)) for seq, one in enumerate(held, 1)])
    drain, left = drain_of(local), list[int]()
    while not drain.run(seconds=0):
        left.append(len(waiting_in(local)))
    assert left == sorted(left, reverse=True)
    assert waiting_in(local) == []
    assert rows_in(local) == rows_of(held * 2)


def test_what_is_too_much_at_once_for_the_database_is_added_in_smaller_parts(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [delta(1 + n % 4, minute=MINUTE + n) for n in range(40)]
    put(local, "w1", [Batch(seq, (one,)) for seq, one in enumerate(held, 1)])
    drain, add, sizes = drain_of(local), Rollup.add, list[int]()

    def fail_if_large(self: Rollup, batches: Sequence[Batch], claim: Claim) -> None:
        sizes.append(sum(len(batch.deltas) for batch in batches))
        if sizes[-1] > 3:
            raise StorageError("canceling statement due to statement timeout")
        add(self, batches, claim)

    monkeypatch.setattr(Rollup, "add", fail_if_large)
    failures = 0
    for _ in range(60):
        try:
            if drain.run(seconds=60):
                break
        except StorageError:
            failures += 1
    assert waiting_in(local) == []
    assert rows_in(local) == rows_of(held)
    assert failures < 20
    assert sizes[:5] == [40, 20, 10, 5, 2]
    # Without such errors it soon takes as much at once as before.
    monkeypatch.undo()
    put(local, "w1", [Batch(seq, (), (Use(1, 1, 1, 1),)) for seq in range(41, 300)])
    turns = 0
    while waiting_in(local):
        drain.run(seconds=0)
        turns += 1
    assert turns < 40


def test_a_run_ends_in_time_and_rests_as_long_as_it_has_worked(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(step=0.2)
    put(local, "w1", [Batch(seq, (delta(1),)) for seq in range(1, 60)])
    monkeypatch.setattr(drain_module, "FIRST_AT_ONCE", 16)
    drain = drain_of(local, time)
    assert not drain.run(seconds=1)
    assert time.now < 1.5
    assert len(waiting_in(local)) == 59 - 16 - 32
    assert [round(seconds, 3) for seconds in time.pauses if seconds] == [0.2]
    # It ends with nothing left, and does not rest for nothing.
    time = Time()
    assert drain_of(local, time).run(seconds=1)
    assert set(time.pauses) <= {0}


def test_others_get_the_interpreter_while_much_is_added_up(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers: list[float] = []
    monkeypatch.setattr("fastapi_lens.storage.engine.yield_gil.time.sleep", offers.append)
    monkeypatch.setattr("fastapi_lens.storage.engine.yield_gil.SLICE_SECONDS", 0.0)
    deltas = tuple(delta(1, minute=MINUTE + number) for number in range(100))
    put(local, "w1", [Batch(1, deltas), Batch(2, deltas)])
    drain_of(local).run(seconds=0)
    # After each batch, while their sums become one, while these are added up for each tier, and
    # while the 100 minutes, and what they lie in, become the values of rows.
    assert len(offers) >= 2 + 100 + 100 + 100
    assert set(offers) == {0}


def test_nothing_is_added_after_a_newer_release_has_migrated_the_database(
    database: Database,
) -> None:
    version = sa.update(META).where(META.c.name == SCHEMA_VERSION)
    put(database, "w1", [Batch(1, (delta(1),))])
    with database.write() as connection:
        connection.execute(version.values(value=str(known_version() + 1)))
    for drain in (lambda: Drain(database).run(seconds=60), lambda: drain_all(database)):
        with pytest.raises(SchemaTooNewError):
            drain()
    assert waiting_in(database) == [("w1", 1)]
    assert rows_in(database) == rows_of([])


def test_sums_of_many_minutes_and_endpoints_are_added_in_one_run(flaky: FlakyDatabase) -> None:
    deltas = tuple(
        delta(1 + n % 4, [n + 1], minute=MINUTE + n, status=200 + n % 3) for n in range(700)
    )
    put(flaky, "w1", [Batch(1, deltas), Batch(2, deltas[:350])])
    put(flaky, "w2", [Batch(1, deltas)])
    drain_all(flaky)
    assert rows_in(flaky) == rows_of([*deltas, *deltas, *deltas[:350]])


def test_rows_that_vanish_while_they_are_made_are_an_error_and_cost_nothing(
    local: FlakyDatabase,
) -> None:
    put(local, "w1", [Batch(1, (delta(1),))])
    drain = Drain(local)
    vanish = "CREATE TRIGGER vanish BEFORE INSERT ON lens_bucket BEGIN SELECT RAISE(IGNORE); END"
    with local.write() as connection:
        connection.exec_driver_sql(vanish)
    with pytest.raises(StorageError, match="vanished"):
        drain.run(seconds=60)
    with local.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER vanish")
    assert waiting_in(local) == [("w1", 1)]
    drain.run(seconds=60)
    assert rows_in(local) == rows_of([delta(1)])


def test_a_slow_drain_does_not_cut_what_waits_into_parts(sqlite_database: FlakyDatabase) -> None:
    writer, seconds = worker(), iter(range(1_000))
    Registrar(sqlite_database, writer).register([], applied=0, now_us=1)
    inbox = Inbox(sqlite_database, writer)
    # A second passes at each look at the time: every transaction is slow.
    drain = Drain(
        sqlite_database,
        clock=lambda: 1_790_000_000.0,
        timer=lambda: float(next(seconds)),
        pause=lambda _seconds: None,
    )
    for turn in range(2):
        for number in range(12):
            inbox.put(Batch(turn * 12 + number + 1, (delta(1),)), Progress())
        drain.run(seconds=1)

    assert rows_in(sqlite_database).buckets == rows_of([delta(1)] * 24).buckets


def test_many_batches_are_folded_while_they_are_read(
    sqlite_database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.storage.writing.drain.FOLD_EVERY", 2)
    writer = worker()
    Registrar(sqlite_database, writer).register([], applied=0, now_us=1)
    inbox, deltas = Inbox(sqlite_database, writer), tuple(map(delta, (1, 2, 3)))
    for number in range(5):
        inbox.put(Batch(number + 1, deltas), Progress())
    Drain(sqlite_database, clock=lambda: 1_790_000_000.0).run(seconds=10)

    assert rows_in(sqlite_database).latencies == rows_of(deltas * 5).latencies


def test_the_same_callers_of_many_batches_are_folded_and_fit_in_one_transaction(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "FOLD_EVERY", 2)
    # Those of two batches fit, those of three would not.
    monkeypatch.setattr(drain_module, "MOST_SUMS", 25)
    callers = tuple(caller(f"key {number}", CallerKind.KEY) for number in range(40))
    calls = tuple(caller_calls(1, one) for one in callers)
    one = Batch(1, (delta(1, [1] * 40),), is_attributed=True, callers=calls, names=callers)
    put(local, "w1", [replace(one, seq=seq) for seq in range(1, 9)])
    sizes = note_transactions(monkeypatch)
    assert Drain(local).run(seconds=60)
    assert len(sizes) == 1
    assert {row.calls for row in table_rows(local, USE)} == {8}


def test_rows_of_more_endpoints_than_one_statement_locks_are_added_to(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "MOST_ENDPOINTS", 3)
    writer = worker()
    Registrar(database, writer).register([], applied=0, now_us=1)
    inbox, drain = Inbox(database, writer), Drain(database, clock=lambda: 1_790_000_000.0)
    for number in (1, 2):
        inbox.put(Batch(number, tuple(map(delta, range(1, 9)))), Progress())
        drain.run_once()

    found, expected = rows_in(database), rows_of(map(delta, [*range(1, 9)] * 2))
    assert (found.buckets, found.latencies) == (expected.buckets, expected.latencies)
    assert found.statuses == expected.statuses
