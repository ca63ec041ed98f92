import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.support.rows import table_rows, worker
from benchmarks.support.waiting import wait_until
from fastapi_lens.errors import StorageError
from fastapi_lens.recording.flush import core_share
from fastapi_lens.recording.flush import flusher as flusher_module
from fastapi_lens.recording.flush.flusher import Flusher, FlushSettings
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import WORKER
from fastapi_lens.storage.writing.batches import EndpointFacts
from tests.recording.rig import (
    ORDERS,
    START,
    HangingDatabase,
    Rig,
    opened,
    started,
    worker_row,
)


@pytest.fixture
def quick_rig(database_url: str) -> Iterator[Rig]:
    """One that flushes all the time, once on SQLite and once on PostgreSQL."""
    with opened(database_url, interval=0.01) as made:
        yield made


def test_the_calls_of_a_minute_are_collected_just_before_its_end(file_rig: Rig) -> None:
    def wait_at(second: float) -> float:
        file_rig.now = START + second
        # The wait itself would take a minute.
        return round(file_rig.flusher._to_minute(), 3)

    assert [wait_at(second) for second in (0, 54, 59, 59.98, 60)] == [59.98, 5.98, 0.98, 60, 59.98]


@pytest.mark.parametrize(
    ("interval", "failures", "longest"),
    [(5, 1, 10), (5, 2, 15), (5, 1_000, 15), (1, 3, 8), (0.01, 3, 0.08), (300, 1, 15)],
)
def test_after_errors_the_thread_waits_longer_and_not_always_alike(
    tmp_path: Path, interval: float, failures: int, longest: float
) -> None:
    flusher = Rig(f"sqlite:///{tmp_path / 'lens.db'}", interval=interval).flusher
    # Chance is no more visible from outside than the seconds that a thread waits.
    delays = {flusher._delay(failures) for _ in range(50)}
    assert longest / 2 <= min(delays) < max(delays) <= longest


def test_the_thread_writes_until_it_is_stopped_and_can_be_started_again(
    quick_rig: Rig,
) -> None:
    rig = quick_rig
    migrate(rig.database)
    others = set(threading.enumerate())
    rig.flusher.start()
    rig.flusher.start()
    mine = list(set(threading.enumerate()) - others)
    assert sorted(one.name for one in mine) == ["fastapi-lens", "fastapi-lens-minutes"]
    assert all(one.daemon for one in mine)
    rig.call()
    wait_until(lambda: rig.rows == rig.expected)
    rig.call()
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    wait_until(lambda: not any(one.is_alive() for one in mine))
    assert worker_row(rig).ended_at
    rig.call()
    rig.flusher.start()
    wait_until(lambda: rig.rows == rig.expected)
    wait_until(lambda: not worker_row(rig).ended_at)
    assert rig.flusher.stop()


def test_the_thread_tells_how_much_of_a_core_it_uses(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_share, "SHORTEST_SECONDS", 0.001)
    migrate(file_rig.database)
    file_rig.flusher.interval = 0.01
    file_rig.flusher.start()

    def told() -> list[int]:
        file_rig.call()
        return [row.core_ppm for row in table_rows(file_rig.database, WORKER) if row.core_ppm]

    assert 0 < wait_until(told)[0] <= 1_000_000
    assert file_rig.flusher.stop()
    assert 0 < worker_row(file_rig).core_ppm <= 1_000_000


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

    rig.discover = discover
    rig.call()
    rig.flusher.start()
    wait_until(lambda: "unforeseen" in caplog.text)
    wait_until(lambda: rig.flusher.pending_calls == 0)
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    rig.database.close()


def test_a_thread_that_hangs_in_the_database_holds_up_nobody(tmp_path: Path) -> None:
    rig = Rig("sqlite://")
    rig.database = HangingDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    settings = FlushSettings(interval=1, max_batch_size=100)
    flusher = Flusher(rig.recorder, rig.database, worker(), settings, lambda: [ORDERS])
    rig.call()
    thread, minutes = started(flusher)
    assert rig.database.entered.wait(30)
    assert not flusher.stop(timeout_seconds=0.01)
    assert flusher.pending_calls == 1
    rig.database.released.set()
    thread.join(30)
    assert not thread.is_alive()
    minutes.join(30)
    assert not minutes.is_alive()
    assert flusher.pending_calls == 0
    assert rig.rows == rig.expected
    rig.database.close()


def test_threads_that_hang_at_a_stop_end_although_others_are_started(tmp_path: Path) -> None:
    rig = Rig("sqlite://")
    rig.database = HangingDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    settings = FlushSettings(interval=0.01, max_batch_size=100)
    flusher = Flusher(rig.recorder, rig.database, worker(), settings, lambda: [ORDERS])
    rig.call()
    first = started(flusher)
    assert rig.database.entered.wait(30)
    assert not flusher.stop(timeout_seconds=0.01)
    # The first ones still hang, and nobody waits for them.
    second = started(flusher)
    rig.database.released.set()
    for thread in first:
        thread.join(30)
        assert not thread.is_alive()
    assert all(thread.is_alive() for thread in second)
    rig.call()
    wait_until(lambda: rig.rows == rig.expected)
    assert flusher.stop()
    assert not any(thread.is_alive() for thread in second)
    rig.database.close()


@pytest.mark.parametrize("refused", ["fastapi-lens", "fastapi-lens-minutes"])
def test_a_thread_that_cannot_be_started_is_started_later(
    refused: str, file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    asked: list[threading.Thread] = []

    def refuse(thread: threading.Thread) -> None:
        asked.append(thread)
        if thread.name == refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    migrate(file_rig.database)
    file_rig.call()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        file_rig.flusher.start()
    wait_until(lambda: not any(thread.is_alive() for thread in asked))
    monkeypatch.undo()
    file_rig.flusher.start()
    wait_until(lambda: file_rig.rows == file_rig.expected)
    assert file_rig.flusher.stop()


def test_a_stop_from_within_the_thread_does_not_wait_for_itself(tmp_path: Path) -> None:
    rig = Rig(f"sqlite:///{tmp_path / 'lens.db'}")
    stopped: list[bool] = []

    def discover() -> list[EndpointFacts]:
        if not stopped:
            stopped.append(False)
            stopped[0] = rig.flusher.stop()
        return [ORDERS]

    rig.discover = discover
    rig.call()
    others = set(threading.enumerate())
    rig.flusher.start()
    wait_until(lambda: stopped == [True])
    wait_until(lambda: not set(threading.enumerate()) - others)
    assert rig.rows == rig.expected
    rig.database.close()


def test_a_deletion_stops_resting_when_the_worker_is_to_end(file_rig: Rig) -> None:
    rest = file_rig.flusher._pruner._rest
    migrate(file_rig.database)
    file_rig.flusher.start()
    assert not rest(0.0)
    assert file_rig.flusher.stop()
    assert rest(30.0)


class Visits:
    """Stands for the deletion.

    Attributes:
        budgets: Of each visit, in seconds.
        error: Exception that the next flush raises.
    """

    def __init__(self, seconds: list[float]) -> None:
        self.seconds = seconds
        self.budgets: list[float] = []
        self.error: Exception | None = None

    def visit_when_due(self, *, now: float, budget_seconds: float) -> int:
        if self.error is not None:
            raise self.error
        self.budgets.append(budget_seconds)
        self.seconds[0] += budget_seconds
        return 0


@pytest.fixture
def visits(monotonic: list[float], monkeypatch: pytest.MonkeyPatch) -> Visits:
    """The deletions of each flusher that is made from now on."""
    made = Visits(monotonic)
    monkeypatch.setattr(flusher_module, "Pruner", lambda *_, **__: made)
    return made


@pytest.fixture
def visited_rig(visits: Visits, tmp_path: Path) -> Iterator[Rig]:
    """A rig whose deletions are those visits."""
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as made:
        yield made


def test_deleting_takes_no_more_than_a_part_of_the_time_between_two_flushes(
    visited_rig: Rig, visits: Visits
) -> None:
    first: list[float] = []
    for interval in (300.0, 5.0, 1.0, 0.1):
        visits.budgets.clear()
        visited_rig.flusher.interval = interval
        visited_rig.flusher.start()
        wait_until(lambda: visits.budgets)
        assert visited_rig.flusher.stop()
        first.append(visits.budgets[0])
    assert first == [1.0, 1.0, 0.5, 0.05]


def test_a_flush_is_not_later_because_rows_are_deleted_before_it(
    visited_rig: Rig, visits: Visits, monotonic: list[float]
) -> None:
    flusher = visited_rig.flusher
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        monotonic[0] += seconds
        return len(visits.budgets) == 2

    # What the thread waits for is how long it would have waited.
    flusher._run(SimpleNamespace(wait=wait))  # type: ignore[arg-type]
    # Of the interval of five seconds, one was spent.
    assert sum(waited) == pytest.approx(4.0)


def test_nothing_is_deleted_while_nothing_can_be_written(
    visited_rig: Rig, visits: Visits, caplog: pytest.LogCaptureFixture
) -> None:
    visited_rig.database.down = True
    visited_rig.call()
    visited_rig.flusher.start()
    wait_until(lambda: "could not write" in caplog.text)
    assert not visited_rig.flusher.stop()
    assert visits.budgets == []


def test_a_deletion_that_fails_is_logged_and_no_failure_to_write(
    visited_rig: Rig, visits: Visits, caplog: pytest.LogCaptureFixture
) -> None:
    visits.error = StorageError("disk full")
    visited_rig.call()
    visited_rig.flusher.start()
    wait_until(lambda: "could not delete what is past its retention: disk full" in caplog.text)
    assert visited_rig.flusher.pending_calls == 0
    assert visited_rig.flusher.stop()


def test_the_thread_deletes_what_is_past_its_retention(quick_rig: Rig) -> None:
    rig = quick_rig
    migrate(rig.database)
    rig.call()
    rig.now += 7 * 3_600
    rig.flusher.start()
    wait_until(lambda: [key[0] for key in sorted(rig.rows.buckets)] == [3_600, 86_400, 604_800])
    assert rig.flusher.stop()
