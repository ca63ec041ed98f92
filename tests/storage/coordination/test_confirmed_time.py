"""A clock that is far ahead for a moment deletes nothing, and one that stays so is believed."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.rows import table_rows
from fastapi_lens import LensConfig
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.coordination import confirmed_time
from fastapi_lens.storage.coordination.confirmed_time import (
    BELIEVED_SECONDS,
    FAR_SECONDS,
    OFF_SECONDS,
    KnownTime,
    StoredTimes,
)
from fastapi_lens.storage.engine import clock_skew
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import BUCKET, META

DAY = 86_400.0
YEAR = 365 * DAY
NOW = 1_773_014_400.0


class Board:
    """A machine whose applications come and go, and whose clock may be wrong."""

    def __init__(self, home: Path) -> None:
        self.now = NOW
        self._config = LensConfig(db_path=str(home / "lens.db"), app_name="board", ttl_days=90)
        self.lens = self.started()

    def started(self) -> Lens:
        return Lens(self._config, clock=lambda: self.now)

    def works(self, *, calls: int = 1) -> None:
        """Count, write and delete, as the thread does a little at a time."""
        for _ in range(calls):
            self.lens.recorder.count(method="GET", path="/a", status=200, duration_ns=1_000)
        assert self.lens.flusher.flush()
        self.lens.flusher.prune()

    def begins_anew(self) -> None:
        self.lens.stop()
        self.lens = self.started()

    def tiers(self) -> set[int]:
        """The tiers that still have the first call."""
        rows = table_rows(self.lens.database, BUCKET)
        return {row.tier for row in rows if row.bucket == int(NOW) // row.tier}


ALL = {60, 3_600, 86_400, 604_800}


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path)
    made.works()
    assert made.tiers() == ALL
    yield made
    made.lens.stop()


@pytest.mark.parametrize("ahead", [3 * DAY, 40 * DAY, YEAR, 30 * YEAR])
def test_a_clock_that_is_ahead_for_a_while_deletes_nothing(
    board: Board, ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    board.now = NOW + ahead
    for turn in range(5):
        if turn > 2:
            board.begins_anew()
        board.works()
        assert board.lens.flusher.prune() == 0
        board.now += 3_600
    assert board.tiers() == ALL
    assert caplog.text.count("will delete nothing for a day") == 3
    board.now = NOW + 6 * 3_600
    board.begins_anew()
    board.works()
    assert board.tiers() == ALL


@pytest.mark.parametrize("hours", [[3], [30], [1, 25, 200]])
def test_after_a_long_break_it_goes_on_when_the_clock_has_stayed(
    board: Board, hours: list[int]
) -> None:
    """However seldom, and for how short a time, the application runs."""
    begun = NOW + 300 * DAY
    for hour in (0, *hours):
        board.now = begun + hour * 3_600
        board.begins_anew()
        board.works()
    # What a slow machine has left to the next visits.
    board.lens.flusher.prune()
    # 90 days are kept, of weeks as well.
    assert board.tiers() == (ALL if hours[-1] < 24 else set())


def test_a_wrong_clock_never_confirms_one_of_another_time(board: Board) -> None:
    for year in (3, 2, 1):
        board.now = NOW + year * YEAR
        board.begins_anew()
        board.works()
    assert board.tiers() == ALL
    board.now = NOW + DAY
    board.begins_anew()
    board.works()
    board.now = NOW + 3 * YEAR
    board.begins_anew()
    board.works()
    assert 86_400 in board.tiers()


def test_what_an_earlier_release_counted_holds_a_clock_back_that_is_ahead(board: Board) -> None:
    with board.lens.database.write() as connection:
        connection.execute(sa.delete(META).where(META.c.name == "clock"))
    board.now = NOW + YEAR
    board.begins_anew()
    board.works()
    assert board.tiers() == ALL


@pytest.mark.parametrize("value", ["", "soon", "1 2 3"])
def test_a_note_that_nobody_of_ours_wrote_counts_as_none(board: Board, value: str) -> None:
    with board.lens.database.write() as connection:
        connection.execute(sa.update(META).where(META.c.name == "clock").values(value=value))
    board.begins_anew()
    board.works()
    with board.lens.database.read() as connection:
        note = sa.select(META.c.value).where(META.c.name == "clock")
        assert connection.execute(note).scalar_one() == f"{int(NOW)} 0"


@given(st.lists(st.floats(-5 * YEAR, 5 * YEAR), max_size=20), st.floats(0, 5 * YEAR))
def test_whatever_was_told_a_clock_that_stays_is_believed_after_a_day(
    told: list[float], off: float
) -> None:
    known = StoredTimes(int(NOW))
    for one in told:
        known = known.after(int(NOW + one))
    now = int(NOW + off)
    for hours in range(50):
        known = known.after(now + hours * 3_600)
    assert known == StoredTimes(now + 49 * 3_600)


@given(st.lists(st.floats(-5 * YEAR, 5 * YEAR), min_size=1, max_size=20))
def test_what_was_told_for_less_than_a_day_moves_nothing_far(told: list[float]) -> None:
    known = StoredTimes(int(NOW))
    for one in told:
        for seconds in (0, BELIEVED_SECONDS - 1):
            known = known.after(int(NOW + one) + seconds)
        known = known.after(known.latest)  # Somebody speaks against it.
    assert abs(known.latest - NOW) <= (FAR_SECONDS + DAY) * len(told)


def test_a_server_s_clock_tells_how_far_a_worker_s_is_ahead(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(server_url)
    migrate(database)
    real = time.time()
    known = KnownTime(database, lambda: real + YEAR)
    assert known.confirmed() == pytest.approx(real, abs=60)
    behind = KnownTime(database, lambda: real - YEAR)
    assert behind.confirmed() == pytest.approx(real - YEAR)
    monkeypatch.setattr(clock_skew, "LONGEST_ANSWER_SECONDS", -1.0)
    unknown = KnownTime(database, lambda: real)
    assert unknown.confirmed() is None
    monkeypatch.undo()
    assert unknown.confirmed() == pytest.approx(real, abs=60)
    database.close()


def test_the_log_says_it_once(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    board.now += YEAR
    with caplog.at_level(logging.WARNING, "fastapi_lens"):
        board.works()
        board.works()
    assert caplog.text.count("will delete nothing for a day") == 1


def test_a_clock_agrees_with_a_server_that_is_close_once_it_was_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Database("sqlite://")
    monkeypatch.setattr(type(database.dialect), "is_file", False)
    ahead_us = 0
    monkeypatch.setattr(confirmed_time, "clock_ahead_us", lambda *_: ahead_us)
    known = KnownTime(database, lambda: 1_790_000_000.0)
    assert not known.agrees
    for ahead_us in (-OFF_SECONDS * 1_000_000, (OFF_SECONDS + 1) * 1_000_000):
        known.forget()
        known.look()
        assert known.agrees == (ahead_us < 0)
    monkeypatch.undo()
    database.close()
