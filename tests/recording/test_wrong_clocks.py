"""A clock that is wrong for a while: nothing of it stays once it is right."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens import LensConfig
from fastapi_lens.recording import timeline
from fastapi_lens.recording.timeline import Timeline
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.runtime import Lens
from fastapi_lens.storage.clocks import AHEAD_SECONDS, EARLIEST
from fastapi_lens.storage.tables import BUCKET, ENDPOINT
from tests.storage.helpers import table_rows

NOW = 1_796_000_000.0
YEAR = 365 * 86_400.0


class Clocks:
    """A clock that may be off, and one that is right and never jumps."""

    def __init__(self) -> None:
        self.real = NOW
        self.off = 0.0

    def wall(self) -> float:
        return self.real + self.off


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(timeline.Timeline.__init__, "__defaults__", (lambda: made.real,))
    return made


@pytest.fixture
def lens(clocks: Clocks, tmp_path: Path) -> Iterator[Lens]:
    config = LensConfig(db_path=str(tmp_path / "lens.db"), app_name="board")
    made = Lens(config, clock=clocks.wall)
    yield made
    clocks.off = 0.0
    made.stop()


def count(lens: Lens, path: str = "/a", calls: int = 1) -> None:
    for _ in range(calls):
        lens.recorder.count(method="GET", path=path, status=500, duration_ns=1_000)


def only(lens: Lens) -> Endpoint:
    (found,) = lens.reader.endpoints(window=Window(), now=lens.clock())
    return found


@pytest.mark.parametrize("epoch", [0.0, 315_532_800.0, 946_684_800.0, 1_262_304_000.0])
def test_calls_before_the_clock_is_set_are_booked_when_it_is(
    epoch: float, clocks: Clocks, lens: Lens, caplog: pytest.LogCaptureFixture
) -> None:
    clocks.off = epoch + 12 - NOW
    count(lens, calls=4)
    assert not lens.flusher.flush()
    assert "until the clock is set" in caplog.text
    clocks.real += 30
    count(lens, calls=2)
    assert not lens.flusher.flush()
    clocks.real += 30
    clocks.off = 0.0
    count(lens, calls=3)
    assert lens.flusher.flush()
    found = only(lens)
    assert found.usage.calls == found.total_calls == 9
    assert found.first_called_at == pytest.approx(NOW, abs=1)
    assert found.last_called_at == pytest.approx(NOW + 60, abs=1)
    assert found.first_seen_at >= NOW - 1
    times = {row.bucket * row.tier for row in table_rows(lens.database, BUCKET)}
    assert min(times) > NOW - 8 * 86_400


def test_a_clock_that_was_a_year_ahead_keeps_no_endpoint_active_for_a_year(
    clocks: Clocks, lens: Lens
) -> None:
    clocks.off = YEAR
    count(lens)
    count(lens, "/called-again")
    assert lens.flusher.flush()
    clocks.real += 60
    clocks.off = 0.0
    count(lens, "/called-again")
    assert lens.flusher.flush()
    rows = {row.path: row for row in table_rows(lens.database, ENDPOINT)}
    for row in rows.values():
        assert row.first_called_at / 1e6 == pytest.approx(NOW, abs=1)
        assert row.first_seen_at / 1e6 == pytest.approx(NOW, abs=61)
    assert rows["/a"].last_called_at / 1e6 == pytest.approx(NOW, abs=1)
    assert rows["/called-again"].last_called_at / 1e6 == pytest.approx(NOW + 60, abs=1)


def test_a_time_ahead_that_another_process_has_left_gives_way_to_the_next_call(
    clocks: Clocks, lens: Lens
) -> None:
    other = Lens(lens.config, clock=lambda: clocks.real + YEAR)
    count(other)
    assert other.flusher.flush()
    other.stop()
    count(lens)
    assert lens.flusher.flush()
    assert only(lens).last_called_at == pytest.approx(NOW, abs=1)


def test_an_hour_of_a_wrong_zone_and_a_sleeping_machine_move_nothing(
    clocks: Clocks, lens: Lens
) -> None:
    count(lens)
    for off in (3_600.0, 0.0, 50_000.0):
        clocks.real += 60
        clocks.off = off
        assert lens.flusher.flush()
    assert only(lens).last_called_at == pytest.approx(NOW, abs=1)


def test_a_board_that_never_learns_the_time_says_what_it_could_not_write(
    clocks: Clocks, lens: Lens, caplog: pytest.LogCaptureFixture
) -> None:
    clocks.off = -NOW
    count(lens, calls=7)
    with caplog.at_level(logging.ERROR, "fastapi_lens"):
        lens.stop()
    assert "could not write 7 calls" in caplog.text


STEPS = st.lists(
    st.tuples(
        st.sampled_from([-NOW, 315_532_800.0 - NOW, 946_684_800.0 - NOW]),
        st.floats(2, 86_400),
    ),
    min_size=1,
    max_size=6,
)


@given(STEPS, st.floats(2, 86_400))
def test_whatever_a_clock_said_before_it_was_set_is_mended_to_the_second(
    steps: list[tuple[float, float]], last: float
) -> None:
    clocks = Clocks()
    clocks.off = steps[0][0]
    watch = Timeline(clocks.wall, lambda: clocks.real)
    told: list[tuple[float, float]] = []
    for off, seconds in steps:
        if off != clocks.off:
            clocks.off = off
            watch.look()
        told.append((clocks.wall(), clocks.real))
        clocks.real += seconds
        watch.look()
    clocks.off = 0.0
    clocks.real += last
    watch.look()
    assert watch.is_set
    for said, true in told:
        mended = watch.mended(said)
        assert EARLIEST <= mended <= clocks.real
        # A clock that begins at the same epoch twice says each time twice.
        if len({off for off, _ in steps}) == len(steps):
            assert mended == pytest.approx(true, abs=2)


@given(st.floats(0, 4 * NOW), st.floats(-NOW, 2 * YEAR))
def test_what_is_mended_never_lies_ahead_once_the_clock_is_set(said: float, off: float) -> None:
    clocks = Clocks()
    clocks.off = off
    watch = Timeline(clocks.wall, lambda: clocks.real)
    clocks.off = 0.0
    watch.look()
    assert EARLIEST <= watch.mended(said) <= NOW + AHEAD_SECONDS
