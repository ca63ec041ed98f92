"""A minute is marked once it was recorded from begin to end, and all of it is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, table_rows, worker
from fastapi_lens.errors import RefusedError
from fastapi_lens.recording.flush import collector, outbox
from fastapi_lens.recording.flush.clock_jumps import (
    CERTAIN_SECONDS,
    LONGEST_PAUSE_SECONDS,
    ClockJumps,
)
from fastapi_lens.recording.flush.flusher import HEARTBEAT_SECONDS
from fastapi_lens.recording.flush.observation import MOST_MINUTES, Observation
from fastapi_lens.recording.series import OVERFLOW
from fastapi_lens.storage.coordination import confirmed_time, heartbeat
from fastapi_lens.storage.coordination.confirmed_time import OFF_SECONDS
from fastapi_lens.storage.coordination.observed import MOST_LOST_HOURS
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import dropped_id, release_id
from fastapi_lens.storage.schema.tables import INBOX, OBSERVED, RELEASE, WORKER
from fastapi_lens.storage.writing.inbox import Inbox
from tests.recording.rig import START, Rig, opened, started

FIRST = int(START // 60)
"""The minute in which a watch begins, at its very begin."""

DAY = 86_400.0
STEP_SECONDS = 5.0


class Watch:
    """A rig whose two clocks run together, until the one that people set jumps.

    Attributes:
        steady: Seconds of the clock that never jumps.
        ahead: Lead of the other one over a server's clock, in microseconds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steady = 1_000.0
        self.ahead: int | None = 0
        self.rig: Rig
        monkeypatch.setattr(ClockJumps.__init__, "__defaults__", (lambda: self.steady,))
        for module in (confirmed_time, heartbeat):
            monkeypatch.setattr(module, "clock_ahead_us", self._ahead_us)

    def _ahead_us(self, connection: sa.engine.Connection, _clock: object) -> int | None:
        return None if connection.dialect.name == "sqlite" else self.ahead

    def run(self, seconds: float, *, flushes: bool = True, step: float = STEP_SECONDS) -> None:
        """Work as the threads do for some time, with a call in each step."""
        end = self.steady + seconds
        while self.steady < end:
            step = min(step, end - self.steady)
            self.steady += step
            self.rig.now += step
            self.rig.call()
            if flushes:
                self.rig.flusher.flush()
            else:
                self.rig.flusher.collect()

    def pause(self, seconds: float) -> None:
        """Let time pass in which the process does not run."""
        self.steady += seconds
        self.rig.now += seconds


@pytest.fixture
def every(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """On every database."""
    watch = Watch(monkeypatch)
    with opened(database_url) as watch.rig:
        yield watch


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """On SQLite alone, for what is the same on every database."""
    made = Watch(monkeypatch)
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as made.rig:
        yield made


def marked(database: Database, identity: int | None = None) -> list[int]:
    """The observed minutes, from that of the start on."""
    identity = release_id(APP, worker().release) if identity is None else identity
    return sorted(
        row.hour * 60 + bit - FIRST
        for row in table_rows(database, OBSERVED)
        if row.release_id == identity
        for bit in range(60)
        if row.minutes >> bit & 1
    )


def lost_hours(database: Database) -> list[int]:
    """Hours of which calls got lost, from that of the start on."""
    minutes = marked(database, dropped_id(APP))
    return [minute // 60 for minute in minutes[::60]]


def test_the_begun_minute_is_not_marked_and_each_whole_one_is(every: Watch) -> None:
    every.run(30)
    every.run(300)
    assert marked(every.rig.database) == list(range(5))


def test_a_worker_that_begins_within_a_minute_marks_the_next_one_first(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    monkeypatch.setattr("tests.recording.rig.START", START + 0.5)
    with opened(database_url) as watch.rig:
        watch.run(59.4)
        assert marked(watch.rig.database) == []
        watch.run(60 + HEARTBEAT_SECONDS)
        assert marked(watch.rig.database) == [1]


def test_minutes_are_marked_under_their_release_which_tells_when_it_recorded(
    every: Watch,
) -> None:
    every.run(200)
    (row,) = table_rows(every.rig.database, RELEASE)
    assert (row.id, row.app, row.name) == (release_id(APP, "1.4.2"), APP, "1.4.2")
    assert row.first_at == (START + STEP_SECONDS) * 1_000_000 - STEP_SECONDS * 1_000_000
    assert START + 180 <= row.last_at / 1_000_000 <= START + 200


def test_hours_of_an_outage_are_marked_once_their_calls_are_written(every: Watch) -> None:
    every.run(120)
    every.rig.database.down = True
    every.run(3 * 3_600, flushes=False, step=30)
    assert not every.rig.flusher.flush()
    every.rig.database.down = False
    before = marked(every.rig.database)
    every.run(60)
    assert before in ([0], [0, 1])
    assert marked(every.rig.database) == list(range(182))


def test_nothing_is_marked_while_a_batch_is_not_written(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.run(120)
    before = marked(watch.rig.database)

    def refuse(*_: object) -> int:
        raise RefusedError("no")

    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "put", refuse)
        patched.setattr(outbox, "MAX_TRIES", 100)
        watch.run(180)
        assert marked(watch.rig.database) == before
    watch.run(30)
    assert marked(watch.rig.database) == list(range(5))


@pytest.mark.parametrize("seconds", [1.5, -1.5, 3_600.0, -40_000.0])
def test_what_is_not_marked_at_a_jump_of_the_clock_never_is(watch: Watch, seconds: float) -> None:
    watch.run(130)
    before = marked(watch.rig.database)
    watch.rig.now += seconds
    watch.run(200)
    after = (START + 130 + seconds) / 60
    found = [minute for minute in marked(watch.rig.database) if minute not in before]
    assert found[0] + FIRST == -(-after // 1)
    assert found == list(range(found[0], found[0] + len(found)))
    assert len(found) == 2


def test_a_pause_of_the_process_is_not_marked(watch: Watch) -> None:
    watch.run(130)
    watch.pause(LONGEST_PAUSE_SECONDS + 60)
    watch.run(200)
    assert marked(watch.rig.database) == [0, 1, 6, 7]


def test_nothing_is_marked_before_the_clock_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    monkeypatch.setattr("tests.recording.rig.START", 1_000.0)
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as watch.rig:
        watch.run(300)
        watch.rig.now = START + 30
        watch.run(150)
        assert marked(watch.rig.database) == [1]


def test_a_clock_in_doubt_marks_nothing_until_it_is_back(watch: Watch) -> None:
    watch.run(CERTAIN_SECONDS + 600, flushes=False, step=100)
    watch.run(30)
    before = marked(watch.rig.database)
    watch.rig.now -= 500 * DAY
    watch.run(600)
    assert marked(watch.rig.database) == before
    watch.rig.now += 500 * DAY
    watch.run(300)
    found = [minute for minute in marked(watch.rig.database) if minute > before[-1]]
    assert found[0] - before[-1] >= 10
    assert found == list(range(found[0], found[0] + 4))


def test_marks_of_a_clock_that_turns_out_to_be_wrong_are_taken_back(watch: Watch) -> None:
    watch.rig.now += 300 * DAY
    watch.run(3_600, flushes=False, step=100)
    watch.run(100)
    assert len(marked(watch.rig.database)) == 59
    watch.rig.now -= 300 * DAY
    watch.run(200)
    found = marked(watch.rig.database)
    # The file has the wrong time, which it believes for a day.
    assert found == []
    watch.run(DAY + 600, flushes=False, step=100)
    watch.run(30)
    found = marked(watch.rig.database)
    assert found == list(range(62, 62 + len(found)))
    assert len(found) >= 1_440


def test_a_server_that_has_another_time_has_no_minute_marked(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    watch.ahead = None
    with opened(postgres_url) as watch.rig:
        watch.run(150)
        assert marked(watch.rig.database) == []
        watch.ahead = (OFF_SECONDS + 1) * 1_000_000
        watch.run(150)
        assert marked(watch.rig.database) == []
        watch.ahead = OFF_SECONDS * 1_000_000
        watch.run(confirmed_time.LOOK_SECONDS)
        assert marked(watch.rig.database) == list(range(14))


def test_a_worker_that_stops_and_starts_again_marks_nothing_between(watch: Watch) -> None:
    watch.run(150)
    watch.rig.flusher.stop()
    watch.pause(90)
    for thread in started(watch.rig.flusher):
        assert thread.is_alive()
    watch.run(200)
    assert marked(watch.rig.database) == [0, 1, 4, 5, 6]


def test_a_database_that_forgot_the_worker_begins_its_observation_anew(watch: Watch) -> None:
    watch.run(150)
    with watch.rig.database.write() as connection:
        for table in (WORKER, INBOX, OBSERVED, RELEASE):
            connection.execute(sa.delete(table))
    watch.run(200)
    assert marked(watch.rig.database) == [3, 4]


def test_a_worker_without_calls_is_registered_again_after_a_purge(watch: Watch) -> None:
    assert watch.rig.flusher.flush()
    with watch.rig.database.write() as connection:
        for table in (WORKER, OBSERVED, RELEASE):
            connection.execute(sa.delete(table))
    for _ in range(60):
        watch.pause(5)
        assert watch.rig.flusher.flush()
    found = marked(watch.rig.database)
    assert found == [2, 3]


def test_rows_of_hours_that_were_deleted_are_made_again(watch: Watch) -> None:
    watch.run(130)
    with watch.rig.database.write() as connection:
        connection.execute(sa.delete(OBSERVED))
    watch.run(130)
    assert marked(watch.rig.database) == [2, 3]


def test_hours_of_calls_that_no_memory_is_left_for_are_lost(
    every: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_PENDING", 3)
    every.run(30)
    every.rig.database.down = True
    every.run(5 * 3_600 - 60, flushes=False, step=30)
    every.rig.database.down = False
    every.run(30)
    assert every.rig.flusher.dropped > 0
    assert lost_hours(every.rig.database) == [0, 1]
    assert marked(every.rig.database) == list(range(299))


def test_hours_of_a_batch_that_the_database_refuses_are_lost(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.run(3_600, flushes=False, step=100)
    watch.run(10)
    watch.run(60, flushes=False)

    def refuse(*_: object) -> int:
        raise RefusedError("no")

    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "put", refuse)
        for _ in range(outbox.MAX_TRIES):
            assert not watch.rig.flusher.flush()
    assert watch.rig.flusher.flush()
    # The time of the first call of a batch is that of the last one before it.
    assert lost_hours(watch.rig.database) == [0, 1]


def test_the_hour_of_a_call_that_cannot_be_counted_is_lost_at_the_next_flush(
    watch: Watch,
) -> None:
    watch.run(10)
    watch.rig.flusher.count_dropped()
    watch.run(5)
    assert lost_hours(watch.rig.database) == [0]
    (row,) = table_rows(watch.rig.database, WORKER)
    assert row.dropped == 1
    watch.rig.flusher.count_dropped()
    assert watch.rig.flusher.flush()
    (same,) = table_rows(watch.rig.database, WORKER)
    assert same == row, "an hour that is known to be lost waits for the next heartbeat"


def test_the_hour_of_calls_that_cannot_be_collected_is_lost(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.run(10)

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(collector, "as_delta", fail)
        watch.rig.call()
        with pytest.raises(MemoryError):
            watch.rig.flusher.collect()
    watch.run(20)
    assert lost_hours(watch.rig.database) == [0]


def test_hours_of_calls_beyond_the_limit_of_series_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(monkeypatch)
    with opened(f"sqlite:///{tmp_path / 'lens.db'}", max_series=1) as watch.rig:
        for path in ("/a", "/b"):
            watch.rig.call(path)
        watch.run(5)
        assert lost_hours(watch.rig.database) == [0]
    assert OVERFLOW == "<overflow>"


def starting(
    watch: Watch, path: Path, *, at: float, monkeypatch: pytest.MonkeyPatch, name: str = "w2"
) -> Rig:
    """A rig with a worker of an app that scales to zero, which starts after the watch's."""
    monkeypatch.setattr("tests.recording.rig.START", START + at)
    who = worker(name, started_at=START + at)
    return Rig(f"sqlite:///{path / 'lens.db'}", who=who, idle_is_silent=True)


def test_time_between_workers_is_marked_where_idle_means_silent(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.run(150)
    watch.rig.flusher.stop()
    second = starting(watch, tmp_path, at=2 * 3_600 + 30, monkeypatch=monkeypatch)
    assert second.flusher.flush()
    assert marked(second.database) == [0, 1, *range(3, 120)]
    second.flusher.stop()
    second.database.close()


@pytest.mark.parametrize("step", [0.0, 50.0])
def test_time_between_workers_is_not_marked_by_a_clock_that_jumped(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    watch.run(150)
    watch.rig.flusher.stop()
    second = starting(watch, tmp_path, at=2 * 3_600 + 30, monkeypatch=monkeypatch)
    second.now += step
    watch.steady += 50.0 - step  # Either of both clocks has jumped.
    assert second.flusher.flush()
    assert marked(second.database) == [0, 1]
    second.flusher.stop()
    second.database.close()


def test_a_report_is_bounded_and_a_later_one_has_the_rest() -> None:
    observation = Observation(0.0)
    minutes = MOST_MINUTES + 70
    complete_to = minutes * 60.0 + 1
    first = observation.report(complete_to, is_confirmed=True)
    assert first.minutes == range(MOST_MINUTES)
    observation.written(first)
    assert observation.report(complete_to, is_confirmed=True).minutes == range(
        MOST_MINUTES, minutes
    )
    observation.lose(0.0, 3_600.0 * 10 * MOST_LOST_HOURS)
    assert len(observation.report(complete_to, is_confirmed=True).lost_hours) == MOST_LOST_HOURS


def test_a_report_that_is_overtaken_by_a_restart_does_not_undo_it() -> None:
    observation = Observation(0.0)
    report = observation.report(200.0, is_confirmed=True)
    observation.follow(500.0)
    observation.written(report)
    assert observation.report(700.0, is_confirmed=True).minutes == range(9, 11)
    observation.void(60.0, 130.0)
    assert observation.report(700.0, is_confirmed=True).wrong == (range(1, 3),)
