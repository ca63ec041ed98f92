import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from fastapi_lens.errors import StorageError
from fastapi_lens.histogram import Histogram, bucket_index
from fastapi_lens.recording import flusher as flusher_module
from fastapi_lens.recording.flusher import Flusher, FlushSettings
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.batches import Delta, EndpointFacts, endpoint_id
from fastapi_lens.storage.migrations import SCHEMA_VERSION, migrate
from fastapi_lens.storage.models import lens_metadata
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, META, STATUS, WORKER
from tests.storage.helpers import (
    APP,
    FlakyDatabase,
    Rows,
    facts,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from tests.support.waiting import wait_until

START = 1_773_014_400.0
"""2026-03-09 00:00 UTC, the turn of a minute, an hour and a day."""

ORDERS, ORDER, NEVER = facts("/v1/orders"), facts("/v1/orders/{order_id}"), facts("/v1/never")


class Rig:
    """A recorder, a flusher and a database that can be down, under a clock that stands still.

    Attributes:
        sent: What was counted, as the rows of it have to be.
        endpoints: What the flusher discovers.
    """

    def __init__(self, url: str, *, interval: float = 5.0, max_batch_size: int = 100) -> None:
        self.now = START
        self.database = FlakyDatabase(url)
        self.recorder = Recorder(clock=lambda: self.now)
        self.endpoints: list[EndpointFacts] = [ORDERS, ORDER, NEVER]
        settings = FlushSettings(interval=interval, max_batch_size=max_batch_size, ttl_days=None)
        self.flusher = Flusher(
            self.recorder, self.database, worker(), settings, lambda: self.endpoints
        )
        self.sent: list[Delta] = []

    def call(self, path: str = ORDERS.path, *, status: int = 200, duration_us: int = 1_500) -> None:
        duration_ns = duration_us * 1_000
        self.recorder.count(method="GET", path=path, status=status, duration_ns=duration_ns)
        at_us = round(self.now * 1_000_000)
        self.sent.append(
            Delta(
                endpoint_id=endpoint_id(APP, "GET", path),
                minute=int(self.now // 60),
                status=status,
                calls=1,
                duration_us=duration_us,
                max_us=duration_us,
                first_at_us=at_us,
                last_at_us=at_us,
                latency=Histogram.from_counts({bucket_index(duration_ns): 1}),
            )
        )

    def work_for(self, minutes: Iterable[int], chance: random.Random) -> None:
        """Some calls in each of these minutes, collected as the thread would."""
        for _ in minutes:
            for _ in range(chance.randrange(6)):
                self.now += 7
                self.call(
                    chance.choice((ORDERS.path, ORDER.path)),
                    status=chance.choice((200, 304, 404, 500)),
                    duration_us=chance.randrange(10**6),
                )
            self.flusher.collect()
            self.now = (self.now // 60 + 1) * 60

    @property
    def rows(self) -> Rows:
        return rows_in(self.database)

    @property
    def expected(self) -> Rows:
        return rows_of(self.sent)


@pytest.fixture
def make_rig(database_url: str) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(**options: Any) -> Rig:
        made.append(Rig(database_url, **options))
        return made[-1]

    yield make
    for each in made:
        each.database.down = False
        each.flusher.stop()
        each.database.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig()


@pytest.fixture
def file_rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig on SQLite alone, for what is the same on every database."""
    made = Rig(f"sqlite:///{tmp_path / 'lens.db'}")
    yield made
    made.database.down = False
    made.flusher.stop()
    made.database.close()


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of `time.monotonic` as the flusher sees them; change the first one."""
    seconds = [1_000.0]

    class Time:
        sleep = staticmethod(lambda _seconds: None)
        monotonic = staticmethod(lambda: seconds[0])

    monkeypatch.setattr(flusher_module, "time", Time)
    return seconds


def worker_row(rig: Rig) -> Any:
    (row,) = table_rows(rig.database, WORKER)
    return row


def paths_in(rig: Rig) -> set[str]:
    return {row.path for row in table_rows(rig.database, ENDPOINT)}


def test_a_flush_writes_every_call_and_every_endpoint(rig: Rig) -> None:
    rig.work_for(range(90), random.Random(1))
    assert rig.flusher.pending_calls == len(rig.sent) > 0
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert rig.flusher.pending_calls == 0
    assert paths_in(rig) == {ORDERS.path, ORDER.path, NEVER.path}
    assert rig.flusher.flush()
    assert rig.rows == rig.expected


def test_calls_are_booked_to_the_minute_of_the_last_one_since_they_were_collected(
    file_rig: Rig,
) -> None:
    for at in (59.999, 60.0, 119.999):
        file_rig.now = START + at
        file_rig.call()
        file_rig.flusher.collect()
    file_rig.now = START + 170
    file_rig.recorder.count(method="GET", path=ORDERS.path, status=200, duration_ns=1)
    file_rig.now = START + 190
    file_rig.recorder.count(method="GET", path=ORDERS.path, status=200, duration_ns=1)
    assert file_rig.flusher.flush()
    minutes = {
        row.bucket: row.calls for row in table_rows(file_rig.database, BUCKET) if row.tier == 60
    }
    first = int(START // 60)
    assert minutes == {first: 1, first + 1: 2, first + 3: 2}


def test_counts_wait_while_the_database_is_down_and_are_written_when_it_is_back(rig: Rig) -> None:
    chance = random.Random(2)
    rig.database.down = True
    for _ in range(4):
        rig.work_for(range(10), chance)
        assert not rig.flusher.flush()
        assert rig.flusher.pending_calls == len(rig.sent)
    rig.database.down = False
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert rig.flusher.dropped == 0


@pytest.mark.parametrize("seed", range(3))
def test_acknowledgements_that_get_lost_cost_and_double_nothing(file_rig: Rig, seed: int) -> None:
    chance = random.Random(seed)
    file_rig.database.loses = lambda: chance.random() < 0.3
    failures = 0
    for _ in range(6):
        file_rig.work_for(range(8), chance)
        failures += not file_rig.flusher.flush()
    file_rig.database.loses = lambda: False
    assert file_rig.flusher.flush()
    assert failures > 0
    assert file_rig.rows == file_rig.expected


def test_a_worker_that_the_database_has_forgotten_registers_again(file_rig: Rig) -> None:
    chance = random.Random(3)
    file_rig.work_for(range(20), chance)
    assert file_rig.flusher.flush()
    with file_rig.database.write() as connection:
        connection.execute(sa.delete(WORKER))
    file_rig.work_for(range(20), chance)
    assert not file_rig.flusher.flush()
    file_rig.work_for(range(3), chance)
    assert file_rig.flusher.flush()
    assert file_rig.rows == file_rig.expected
    assert worker_row(file_rig).seq > 0


def test_tables_that_were_dropped_are_made_again(rig: Rig) -> None:
    chance = random.Random(4)
    rig.work_for(range(20), chance)
    assert rig.flusher.flush()
    with rig.database.write() as connection:
        lens_metadata.drop_all(connection)
    first_calls = {each.endpoint_id: each.first_at_us for each in reversed(rig.sent)}
    rig.sent.clear()
    rig.work_for(range(20), chance)
    assert not rig.flusher.flush()
    assert rig.flusher.flush()
    expected = rig.expected
    # The worker still knows when it counted an endpoint for the first time.
    for identity, (calls, _, last) in expected.endpoints.items():
        expected.endpoints[identity] = (calls, first_calls[identity], last)
    assert rig.rows == expected
    assert paths_in(rig) == {ORDERS.path, ORDER.path, NEVER.path}


def test_a_database_of_a_newer_release_is_waited_for(
    file_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(file_rig.database)
    version = sa.update(META).where(META.c.name == SCHEMA_VERSION)
    with file_rig.database.write() as connection:
        connection.execute(version.values(value="99"))
    file_rig.call()
    assert not file_rig.flusher.flush()
    assert file_rig.flusher.pending_calls == 1
    assert "upgrade fastapi_lens" in caplog.text
    with file_rig.database.write() as connection:
        connection.execute(version.values(value="1"))
    assert file_rig.flusher.flush()
    assert file_rig.rows == file_rig.expected


@pytest.mark.parametrize("size", [7, 30, 100])
def test_no_transaction_changes_more_rows_than_configured(size: int) -> None:
    rig = Rig("sqlite://", max_batch_size=size)
    rig.endpoints = [facts(f"/v1/{number}") for number in range(40)]
    assert rig.flusher.flush()
    changed = Counter[int]()
    numbers = count()
    transaction = -1
    engine = rig.database._opened()

    @event.listens_for(engine, "begin")
    def on_begin(_connection: object) -> None:
        nonlocal transaction
        transaction = next(numbers)

    @event.listens_for(engine, "after_cursor_execute")
    def on_execute(_connection: Any, cursor: Any, statement: str, *_others: Any) -> None:
        if statement.startswith(("UPDATE", "INSERT")):
            changed[transaction] += cursor.rowcount

    # Different endpoints: their calls have no row in common.
    for number in range(40):
        rig.call(f"/v1/{number}")
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert len(changed) > 40 * 6 / size
    assert max(changed.values()) <= size
    rig.database.close()


def calls_per_hour(rows: Rows) -> Counter[int]:
    found = Counter[int]()
    for (tier, bucket, _), sums in rows.buckets.items():
        if tier == 3_600:
            found[bucket] += sums[0]
    return found


def test_memory_stays_bounded_and_what_is_given_up_is_counted(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flusher_module, "MAX_PENDING", 40)
    file_rig.database.down = True
    chance = random.Random(6)
    for _ in range(12):
        file_rig.work_for(range(60), chance)
        assert not file_rig.flusher.flush()
        assert len(file_rig.flusher._pending) <= 40
    dropped = file_rig.flusher.dropped
    assert 0 < dropped < len(file_rig.sent)
    assert file_rig.flusher.pending_calls == len(file_rig.sent) - dropped
    file_rig.database.down = False
    assert file_rig.flusher.flush()
    assert worker_row(file_rig).dropped == dropped
    stored, expected = calls_per_hour(file_rig.rows), calls_per_hour(file_rig.expected)
    assert sum(stored.values()) == len(file_rig.sent) - dropped
    # The oldest hours are given up, the youngest are complete.
    hours = sorted(expected)
    assert [stored[hour] for hour in hours[-4:]] == [expected[hour] for hour in hours[-4:]]
    assert stored[hours[0]] < expected[hours[0]]


def test_minutes_are_given_up_before_a_call_is_lost(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher_module, "MAX_PENDING", 150)
    file_rig.database.down = True
    file_rig.work_for(range(150), random.Random(7))
    file_rig.database.down = False
    assert file_rig.flusher.flush()
    assert file_rig.flusher.dropped == 0
    rows, expected = file_rig.rows, file_rig.expected
    assert {key: sums for key, sums in rows.buckets.items() if key[0] > 60} == {
        key: sums for key, sums in expected.buckets.items() if key[0] > 60
    }
    # The present hour keeps its minutes as long as there is room.
    this_hour = START // 60 + 120
    for found in (rows, expected):
        found.buckets = {
            key: sums for key, sums in found.buckets.items() if key[0] == 60 and key[1] > this_hour
        }
    assert len(rows.buckets) > 20
    assert rows.buckets == expected.buckets


def test_one_hour_of_many_series_gives_up_its_minutes_too(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher_module, "MAX_PENDING", 20)
    file_rig.database.down = True
    file_rig.work_for(range(59), random.Random(8))
    assert len(file_rig.flusher._pending) <= 20
    file_rig.database.down = False
    assert file_rig.flusher.flush()
    assert file_rig.flusher.dropped == 0
    assert calls_per_hour(file_rig.rows) == calls_per_hour(file_rig.expected)
    assert file_rig.rows.endpoints == file_rig.expected.endpoints


def test_a_worker_that_ends_without_having_counted_opens_no_database(tmp_path: Path) -> None:
    rig = Rig(f"sqlite:///{tmp_path / 'lens.db'}")
    assert rig.flusher.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_ends_says_so_and_how_far_it_has_written(file_rig: Rig) -> None:
    file_rig.call()
    assert file_rig.flusher.stop()
    row = worker_row(file_rig)
    now_us = round(START * 1_000_000)
    assert (row.ended_at, row.seen_at, row.complete_to) == (now_us, now_us, now_us)
    assert file_rig.rows == file_rig.expected


def test_an_idle_worker_is_heard_of_every_quarter_of_a_minute(file_rig: Rig) -> None:
    def seen_after(seconds: float) -> float:
        file_rig.now = START + seconds
        assert file_rig.flusher.flush()
        row = worker_row(file_rig)
        assert row.seen_at == row.complete_to
        return float(row.seen_at / 1_000_000 - START)

    assert [seen_after(at) for at in (0, 5, 14.9, 15, 29, 30)] == [0, 0, 0, 15, 15, 30]
    # A clock that was set back.
    assert seen_after(10) == 10


def test_an_endpoint_that_nobody_discovered_is_kept_as_it_was_called(file_rig: Rig) -> None:
    file_rig.call("<unmapped>", status=404)
    assert file_rig.flusher.flush()
    rows = {row.path: row for row in table_rows(file_rig.database, ENDPOINT)}
    assert rows["<unmapped>"].total_calls == 1
    assert rows["<unmapped>"].first_seen_at == round(START * 1_000_000)
    assert file_rig.rows == file_rig.expected


def test_new_endpoints_are_looked_for_now_and_then(file_rig: Rig, monotonic: list[float]) -> None:
    assert file_rig.flusher.flush()
    file_rig.endpoints.append(facts("/v2/orders"))
    monotonic[0] += 29
    assert file_rig.flusher.flush()
    assert "/v2/orders" not in paths_in(file_rig)
    monotonic[0] += 1
    assert file_rig.flusher.flush()
    assert "/v2/orders" in paths_in(file_rig)
    file_rig.endpoints.append(facts("/v3/orders"))
    file_rig.flusher.rediscover()
    assert file_rig.flusher.flush()
    assert "/v3/orders" in paths_in(file_rig)


def test_an_endpoint_that_was_called_before_it_was_discovered_gets_its_facts(
    file_rig: Rig,
) -> None:
    assert file_rig.flusher.flush()
    file_rig.call("/v2/feed")
    assert file_rig.flusher.flush()
    file_rig.endpoints.append(facts("/v2/feed", kind="mount", name="feed.app", tags=("feeds",)))
    file_rig.flusher.rediscover()
    assert file_rig.flusher.flush()
    row = next(row for row in table_rows(file_rig.database, ENDPOINT) if row.path == "/v2/feed")
    assert (row.kind, row.name, row.tags, row.total_calls) == ("mount", "feed.app", '["feeds"]', 1)


def test_what_is_unchanged_is_not_registered_again(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[object] = []
    write = file_rig.flusher._writer.register

    def register(new: list[EndpointFacts], **options: Any) -> None:
        registered.append(new)
        write(new, **options)

    monkeypatch.setattr(file_rig.flusher._writer, "register", register)
    for _ in range(3):
        file_rig.call()
        file_rig.flusher.rediscover()
        assert file_rig.flusher.flush()
    assert registered == [[ORDERS, ORDER, NEVER]]


def test_the_log_is_told_once_a_minute(
    file_rig: Rig, monotonic: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    file_rig.database.down = True
    for _ in range(5):
        assert not file_rig.flusher.flush()
        monotonic[0] += 20
    assert [record.getMessage() for record in caplog.records] == [
        "fastapi_lens could not write; counts wait in memory: connection refused"
    ] * 2


def test_the_thread_waits_until_the_interval_or_the_minute_is_over(file_rig: Rig) -> None:
    def delay_at(second: float) -> float:
        file_rig.now = START + second
        return file_rig.flusher._delay(0)

    assert [delay_at(second) for second in (0, 54, 55, 57.5, 60)] == [5, 5, 5, 2.5, 5]
    assert delay_at(59.999) == 0.01


@pytest.mark.parametrize(
    ("interval", "failures", "longest"),
    [(5, 1, 10), (5, 2, 20), (5, 3, 40), (5, 4, 60), (5, 1_000, 60), (0.01, 3, 0.08), (300, 1, 60)],
)
def test_after_errors_the_thread_waits_longer_and_not_always_alike(
    tmp_path: Path, interval: float, failures: int, longest: float
) -> None:
    flusher = Rig(f"sqlite:///{tmp_path / 'lens.db'}", interval=interval).flusher
    delays = {flusher._delay(failures) for _ in range(50)}
    assert longest / 2 <= min(delays) < max(delays) <= longest


def test_the_thread_writes_until_it_is_stopped_and_can_be_started_again(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(interval=0.01)
    migrate(rig.database)
    others = set(threading.enumerate())
    rig.flusher.start()
    rig.flusher.start()
    mine = list(set(threading.enumerate()) - others)
    assert len(mine) == 1
    assert mine[0].daemon
    rig.call()
    wait_until(lambda: rig.rows == rig.expected)
    rig.call()
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    assert not mine[0].is_alive()
    assert worker_row(rig).ended_at
    rig.call()
    rig.flusher.start()
    wait_until(lambda: rig.rows == rig.expected)
    wait_until(lambda: not worker_row(rig).ended_at)
    assert rig.flusher.stop()


def test_the_thread_outlives_a_database_that_is_down(tmp_path: Path) -> None:
    rig = Rig(f"sqlite:///{tmp_path / 'lens.db'}", interval=0.01)
    rig.database.down = True
    rig.call()
    rig.flusher.start()
    wait_until(lambda: rig.flusher.pending_calls == 1)
    rig.database.down = False
    wait_until(lambda: rig.flusher.pending_calls == 0)
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    rig.database.close()


def test_the_thread_outlives_an_error_that_nobody_foresaw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(f"sqlite:///{tmp_path / 'lens.db'}", interval=0.01)
    discovered = iter([LookupError("unforeseen")])

    def discover() -> list[EndpointFacts]:
        for error in discovered:
            raise error
        return [ORDERS]

    rig.flusher._discover = discover
    rig.call()
    rig.flusher.start()
    wait_until(lambda: "unforeseen" in caplog.text)
    wait_until(lambda: rig.flusher.pending_calls == 0)
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    rig.database.close()


class HangingDatabase(FlakyDatabase):
    """Answers nobody until it is let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.entered, self.released = threading.Event(), threading.Event()

    def _refuse_when_down(self) -> None:
        self.entered.set()
        assert self.released.wait(30)


def test_a_thread_that_hangs_in_the_database_holds_up_nobody(tmp_path: Path) -> None:
    rig = Rig("sqlite://")
    rig.database = HangingDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    settings = FlushSettings(interval=1, max_batch_size=100, ttl_days=None)
    flusher = Flusher(rig.recorder, rig.database, worker(), settings, lambda: [ORDERS])
    rig.call()
    flusher.start()
    thread = flusher._thread
    assert thread is not None
    assert rig.database.entered.wait(30)
    assert not flusher.stop(timeout_seconds=0.01)
    assert flusher.pending_calls == 1
    rig.database.released.set()
    thread.join(30)
    assert not thread.is_alive()
    assert flusher.pending_calls == 0
    assert rig.rows == rig.expected
    rig.database.close()


def test_a_stop_from_within_the_thread_does_not_wait_for_itself(tmp_path: Path) -> None:
    rig = Rig(f"sqlite:///{tmp_path / 'lens.db'}")
    stopped: list[bool] = []

    def discover() -> list[EndpointFacts]:
        if not stopped:
            stopped.append(False)
            stopped[0] = rig.flusher.stop()
        return [ORDERS]

    rig.flusher._discover = discover
    rig.call()
    rig.flusher.start()
    thread = rig.flusher._thread
    assert thread is not None
    wait_until(lambda: stopped == [True])
    thread.join(30)
    assert not thread.is_alive()
    assert rig.rows == rig.expected
    rig.database.close()


def test_the_thread_deletes_what_is_past_its_retention_once_a_minute(
    file_rig: Rig, monotonic: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned: list[float] = []

    def prune() -> int:
        pruned.append(monotonic[0])
        return 0

    monkeypatch.setattr(file_rig.flusher, "prune", prune)
    for _ in range(7):
        assert file_rig.flusher._turn()
        monotonic[0] += 20
    assert pruned == [1_000, 1_060, 1_120]


def test_nothing_is_deleted_while_nothing_can_be_written(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prune() -> int:
        raise AssertionError("it was tried")

    monkeypatch.setattr(file_rig.flusher, "prune", prune)
    file_rig.database.down = True
    assert not file_rig.flusher._turn()


def test_a_deletion_that_fails_is_logged_and_no_failure_to_write(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> int:
        raise StorageError("disk full")

    monkeypatch.setattr(file_rig.flusher, "prune", fail)
    assert file_rig.flusher._turn()
    assert "could not delete what is past its retention: disk full" in caplog.text


def test_one_worker_at_a_time_deletes(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    rig.call()
    rig.now += 7 * 3_600
    assert rig.flusher.flush()
    other = Flusher(
        rig.recorder,
        rig.database,
        worker("w2"),
        FlushSettings(interval=5, max_batch_size=100, ttl_days=None),
        list,
    )
    assert rig.flusher.prune() == 1
    assert other.prune() == 0
    assert {row.tier for row in table_rows(rig.database, BUCKET)} == {3_600, 86_400, 604_800}
    assert len(table_rows(rig.database, STATUS)) == 1
    assert caplog.records == []
