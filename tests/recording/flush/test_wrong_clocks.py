"""A clock that is wrong for a while: nothing of it stays once it is right."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.rows import table_rows
from fastapi_lens import LensConfig
from fastapi_lens.recording.flush import clock_jumps, registration
from fastapi_lens.recording.flush.clock_jumps import ClockJumps
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT
from tests.recording.written import Written

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
    monkeypatch.setattr(clock_jumps.ClockJumps.__init__, "__defaults__", (lambda: made.real,))
    return made


@pytest.fixture
def lens(clocks: Clocks, tmp_path: Path) -> Iterator[Lens]:
    config = LensConfig(db_path=str(tmp_path / "lens.db"), app_name="board")
    made = Lens(config, clock=clocks.wall)
    yield made
    clocks.off = 0.0
    made.stop()


def count(lens: Lens, path: str = "/a", calls: int = 1, status: int = 500) -> None:
    for _ in range(calls):
        lens.recorder.count(method="GET", path=path, status=status, duration_ns=1_000)


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
    assert "a time before 2020" in caplog.text
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
    watch = ClockJumps(clocks.wall, lambda: clocks.real)
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
        corrected = watch.corrected(said)
        assert EARLIEST <= corrected <= clocks.real
        # A clock that begins at the same epoch twice says each time twice.
        if len({off for off, _ in steps}) == len(steps):
            assert corrected == pytest.approx(true, abs=2)


@given(st.floats(0, 4 * NOW), st.floats(-NOW, 2 * YEAR))
def test_what_is_mended_never_lies_ahead_once_the_clock_is_set(said: float, off: float) -> None:
    clocks = Clocks()
    clocks.off = off
    watch = ClockJumps(clocks.wall, lambda: clocks.real)
    clocks.off = 0.0
    watch.look()
    assert EARLIEST <= watch.corrected(said) <= NOW + AHEAD_SECONDS


def left(lens: Lens, off: float, *, path: str = "/a", at: float | None = None) -> None:
    """Calls that a process has told whose clock was off, and which was killed then."""
    begun = NOW if at is None else at
    other = Lens(lens.config, clock=lambda: begun + off)
    count(other, path)
    assert other.flusher.flush()
    other.database.close()


def row_of(lens: Lens, path: str = "/a") -> Any:
    return next(row for row in table_rows(lens.database, ENDPOINT) if row.path == path)


@pytest.mark.parametrize("off", [2 * 86_400.0, YEAR, 70 * YEAR])
def test_what_a_killed_process_told_of_the_future_is_mended_without_another_call(
    off: float, clocks: Clocks, lens: Lens
) -> None:
    left(lens, off)
    left(lens, off, path="/b")
    clocks.real += 600
    assert lens.flusher.flush()
    for path in ("/a", "/b"):
        row = row_of(lens, path)
        names = ("first_seen_at", "first_called_at", "last_called_at", "last_seen_at")
        for name in (*names, "last_used_at"):
            assert getattr(row, name) / 1e6 == pytest.approx(NOW + 600, abs=1), name
        assert row.total_calls == 1
    (found, _) = lens.reader.endpoints(window=Window(), now=lens.clock())
    assert found.status.value == "active"


PRESENCE = ("present_since", "evidence_since", "removed_at")


def told(lens: Lens, at: float, *names: str, path: str = "/a") -> None:
    """A process has told such times of an endpoint."""
    of_path = sa.update(ENDPOINT).where(ENDPOINT.c.path == path)
    with lens.database.write() as connection:
        connection.execute(of_path.values(dict.fromkeys(names, round(at * 1e6))))


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("wrong", [NOW + YEAR, 12.0])
def test_what_a_wrong_clock_told_of_presence_and_evidence_becomes_the_present(
    wrong: float, clocks: Clocks, lens: Lens
) -> None:
    left(lens, -DAY)
    left(lens, -DAY, path="/right")
    told(lens, wrong, *PRESENCE, "last_used_at")
    assert lens.flusher.flush()
    assert row_of(lens).last_used_at / 1e6 == pytest.approx(NOW, abs=1)
    # Later times protect the endpoint: only a clock that has lasted for a day lowers them.
    seen = max(NOW, wrong)
    for name in PRESENCE:
        assert getattr(row_of(lens), name) / 1e6 == pytest.approx(seen, abs=1), name
    clocks.real += DAY + 60
    for _ in range(2):
        assert lens.flusher.flush()
    for name in PRESENCE:
        assert getattr(row_of(lens), name) / 1e6 <= clocks.real, name
    right = row_of(lens, "/right")
    assert (right.present_since, right.evidence_since, right.removed_at) == (0, 0, 0)
    assert right.last_used_at / 1e6 == pytest.approx(NOW - DAY, abs=1)


def test_a_last_call_is_mended_to_the_latest_that_was_counted_within_a_day(
    clocks: Clocks, lens: Lens
) -> None:
    left(lens, 0.0)
    left(lens, YEAR)
    clocks.real += 7 * 3_600
    assert lens.flusher.flush()
    row = row_of(lens)
    assert row.last_called_at / 1e6 == pytest.approx(NOW // 60 * 60, abs=1)
    assert row.first_called_at / 1e6 == pytest.approx(NOW, abs=1)
    left(lens, YEAR)
    clocks.real += 100 * 86_400
    again = Lens(lens.config, clock=clocks.wall)
    assert again.flusher.flush()
    assert row_of(lens).last_called_at / 1e6 == pytest.approx(clocks.real, abs=1)
    again.stop()


def test_a_worker_that_was_there_before_mends_it_as_well(
    clocks: Clocks, lens: Lens, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lens.flusher.flush()
    left(lens, YEAR)
    assert lens.flusher.flush()
    assert row_of(lens).last_called_at / 1e6 > NOW + YEAR - 1
    monkeypatch.setattr(registration, "REDISCOVER_EVERY_SECONDS", 0.0)
    assert lens.flusher.flush()
    assert row_of(lens).last_called_at / 1e6 == pytest.approx(NOW, abs=1)


@pytest.mark.parametrize("since", [1.0, 100 * 86_400.0])
def test_a_first_call_of_1970_that_an_earlier_release_stored_becomes_the_first_that_is_counted(
    since: float, clocks: Clocks, lens: Lens
) -> None:
    left(lens, 0.0)
    identity = row_of(lens).id
    with lens.database.write() as connection:
        mine = sa.update(ENDPOINT).values(first_called_at=12_000_000, first_seen_at=11_000_000)
        connection.execute(mine)
        for tier in (60, 3_600, 86_400, 604_800):
            rows: dict[str, Any] = {column.name: 0 for column in BUCKET.columns}
            rows |= {"tier": tier, "endpoint_id": identity, "calls": 4, "histogram": b""}
            connection.execute(sa.insert(BUCKET), rows)
    clocks.real += since
    assert lens.flusher.flush()
    row = row_of(lens)
    assert row.first_called_at / 1e6 == pytest.approx(NOW, abs=60)
    assert row.first_seen_at == row.first_called_at
    assert row.last_called_at / 1e6 == pytest.approx(NOW, abs=1)
    (found,) = lens.reader.endpoints(window=Window(), now=lens.clock())
    assert (found.usage.calls, found.total_calls) == (1, 1)


def test_a_first_call_of_1970_goes_back_as_far_as_buckets_are_kept(
    clocks: Clocks, lens: Lens
) -> None:
    left(lens, -500 * 86_400.0)
    left(lens, 0.0)
    with lens.database.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(first_called_at=12_000_000))
        early = BUCKET.c.bucket * BUCKET.c.tier < NOW - 400 * 86_400
        connection.execute(sa.delete(BUCKET).where(early, BUCKET.c.tier < 604_800))
    assert lens.flusher.flush()
    first = row_of(lens).first_called_at / 1e6
    assert NOW - 508 * 86_400 <= first <= NOW - 500 * 86_400


def test_a_clock_that_is_behind_what_was_lived_changes_nothing(clocks: Clocks, lens: Lens) -> None:
    for day in range(5):
        left(lens, -day * 86_400.0)
    before = row_of(lens)
    behind = Lens(lens.config, clock=lambda: NOW - 2 * YEAR)
    assert behind.flusher.flush()
    behind.stop()
    after = row_of(lens)
    assert (after.first_called_at, after.last_called_at) == (
        before.first_called_at,
        before.last_called_at,
    )


def test_very_many_times_are_mended_in_short_transactions(clocks: Clocks, lens: Lens) -> None:
    other = Lens(lens.config, clock=lambda: NOW + YEAR)
    for number in range(250):
        count(other, f"/{number}")
    assert other.flusher.flush()
    other.database.close()
    assert lens.flusher.flush()
    rows = table_rows(lens.database, ENDPOINT)
    assert len(rows) == 250
    assert max(row.last_called_at for row in rows) / 1e6 == pytest.approx(NOW, abs=1)


def test_an_endpoint_that_was_never_called_stays_listed_when_the_clock_is_set_back(
    clocks: Clocks, lens: Lens
) -> None:
    app = FastAPI()
    app.add_api_route("/never", lambda: 1)
    clocks.off = YEAR
    lens.discover(app)
    count(lens)
    assert lens.flusher.flush()
    assert {one.path for one in lens.reader.endpoints(window=Window(), now=lens.clock())} == {
        "/a",
        "/never",
    }
    clocks.off = 0.0
    count(lens)
    assert lens.flusher.flush()
    found = {one.path: one for one in lens.reader.endpoints(window=Window(), now=lens.clock())}
    assert found.keys() == {"/a", "/never"}
    assert found["/a"].last_called_at == pytest.approx(NOW, abs=1)


DAY = 86_400.0


def seen(lens: Lens) -> dict[str, Endpoint]:
    return {one.path: one for one in lens.reader.endpoints(window=Window(), now=lens.clock())}


def lived(clocks: Clocks, lens: Lens, days: int) -> Lens:
    """A worker that has run for days: /rare is called on the first, /busy on each."""
    clocks.real -= days * DAY
    worker = Lens(lens.config, clock=clocks.wall)
    count(worker, "/rare")
    for _ in range(days):
        count(worker, "/busy")
        assert worker.flusher.flush()
        clocks.real += DAY
    return worker


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flush looks for what other workers have left."""
    monkeypatch.setattr(registration, "REDISCOVER_EVERY_SECONDS", 0.0)


OFFS = [-400 * DAY, -60 * DAY, -2 * DAY, 2 * DAY, 60 * DAY, YEAR]


@pytest.mark.parametrize("off", OFFS)
@pytest.mark.usefixtures("looking")
def test_a_clock_that_is_wrong_for_a_moment_changes_no_last_call(
    off: float, clocks: Clocks, lens: Lens
) -> None:
    early = lived(clocks, lens, 20)
    count(early, "/waiting")
    clocks.off = off
    count(early, "/busy")
    assert early.flusher.flush()
    clocks.real += 5
    count(early, "/monthly")
    assert early.flusher.flush()
    clocks.off = 0.0
    clocks.real += 5
    assert early.flusher.flush()
    found = seen(early)
    assert found["/rare"].last_called_at == pytest.approx(NOW - 20 * DAY, abs=1)
    for path in ("/waiting", "/busy", "/monthly"):
        assert found[path].last_called_at == pytest.approx(NOW + 2.5, abs=5), path
        assert found[path].first_seen_at >= NOW - 20 * DAY - 1, path
        assert row_of(early, path).last_used_at / 1e6 == pytest.approx(NOW + 2.5, abs=5), path
    assert row_of(early, "/rare").last_used_at / 1e6 == pytest.approx(NOW - 20 * DAY, abs=1)
    assert found["/waiting"].usage.calls == 1
    early.stop()


@pytest.mark.parametrize("off", OFFS)
@pytest.mark.usefixtures("looking")
def test_a_young_app_outlives_a_clock_that_is_wrong_for_a_moment(
    off: float, clocks: Clocks, lens: Lens
) -> None:
    left(lens, -DAY, path="/rare")
    count(lens, "/busy")
    assert lens.flusher.flush()
    first_seen_at = seen(lens)["/busy"].first_seen_at
    for _ in range(2):
        clocks.off = off
        clocks.real += 5
        count(lens, "/monthly")
        assert lens.flusher.flush()
        clocks.off = 0.0
        clocks.real += 5
        assert lens.flusher.flush()
    found = seen(lens)
    assert found["/rare"].last_called_at == pytest.approx(NOW - DAY, abs=61)
    assert found["/busy"].last_called_at == pytest.approx(NOW, abs=5)
    assert found["/monthly"].last_called_at == pytest.approx(NOW + 15, abs=5)
    assert found["/busy"].first_seen_at == pytest.approx(first_seen_at, abs=1)
    assert {one.status.value for one in found.values()} == {"active"}


@pytest.mark.parametrize("off", OFFS)
@pytest.mark.usefixtures("looking")
def test_several_workers_survive_a_moment_of_a_wrong_clock(
    off: float, clocks: Clocks, lens: Lens
) -> None:
    old = lived(clocks, lens, 20)
    young = Lens(lens.config, clock=clocks.wall)
    count(young, "/young")
    assert young.flusher.flush()
    clocks.off = off
    starting = Lens(lens.config, clock=clocks.wall)
    workers = {"/old": old, "/young": young, "/starting": starting, "/idle": lens}
    for path, one in workers.items():
        clocks.real += 5
        count(one, path)
        assert one.flusher.flush()
    clocks.off = 0.0
    for one in reversed(workers.values()):
        clocks.real += 5
        assert one.flusher.flush()
    found = seen(lens)
    assert found["/rare"].last_called_at == pytest.approx(NOW - 20 * DAY, abs=1)
    for path in workers:
        assert found[path].last_called_at == pytest.approx(NOW + 10, abs=61), path
        assert row_of(lens, path).last_used_at / 1e6 == pytest.approx(NOW + 10, abs=DAY), path
    for one in (old, young, starting):
        one.stop()


def test_what_a_process_lowered_that_was_killed_in_the_moment_is_raised_by_the_next(
    clocks: Clocks, lens: Lens
) -> None:
    left(lens, -DAY, path="/rare")
    left(lens, -60 * DAY, path="/busy")
    assert row_of(lens, "/rare").last_called_at / 1e6 == pytest.approx(NOW - 60 * DAY, abs=1)
    assert lens.flusher.flush()
    assert row_of(lens, "/rare").last_called_at / 1e6 == pytest.approx(NOW - DAY, abs=61)


@pytest.mark.parametrize(("days", "late"), [(1, DAY), (13, DAY), (20, 7 * DAY), (300, 7 * DAY)])
def test_a_last_use_that_was_lowered_is_raised_even_if_a_refusal_came_since(
    days: int, late: float, clocks: Clocks, lens: Lens
) -> None:
    used_at = NOW - days * DAY
    left(lens, -days * DAY, path="/rare")
    left(lens, -(days + 60) * DAY, path="/busy")
    assert row_of(lens, "/rare").last_used_at / 1e6 == pytest.approx(used_at - 60 * DAY, abs=1)
    count(lens, "/rare", status=404)
    assert lens.flusher.flush()
    row = row_of(lens, "/rare")
    assert row.last_called_at / 1e6 == pytest.approx(NOW, abs=1)
    assert used_at <= row.last_used_at / 1e6 <= min(NOW, used_at + late)
    clocks.real += 600
    assert lens.flusher.flush()
    assert row_of(lens, "/rare") == row


def test_a_clock_that_is_behind_for_a_moment_lowers_no_evidence(clocks: Clocks, lens: Lens) -> None:
    left(lens, 0.0)
    told(lens, NOW - 60, *PRESENCE)
    left(lens, -60 * DAY, path="/busy")
    clocks.real += 600
    assert lens.flusher.flush()
    for name in PRESENCE[:2]:
        assert getattr(row_of(lens), name) / 1e6 >= NOW - 60, name


def test_without_a_last_use_none_is_made_up(lens: Lens) -> None:
    """The calls of an older release have none, and its reader knows the last call."""
    left(lens, -DAY)
    with lens.database.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(last_used_at=0))
    assert lens.flusher.flush()
    assert row_of(lens).last_used_at == 0


def test_a_step_back_that_lasts_is_believed_after_an_hour(clocks: Clocks, lens: Lens) -> None:
    early = lived(clocks, lens, 3)
    clocks.off = -60 * DAY
    count(early, "/now")
    assert early.flusher.flush()
    assert row_of(early, "/now").last_called_at / 1e6 == pytest.approx(NOW, abs=5)
    clocks.real += 3_700
    assert early.flusher.flush()
    assert row_of(early, "/now").last_called_at / 1e6 == pytest.approx(NOW - 60 * DAY, abs=5)
    assert row_of(early, "/rare").last_called_at / 1e6 == pytest.approx(NOW - 3 * DAY, abs=5)
    count(early, "/later")
    assert early.flusher.flush()
    assert row_of(early, "/later").last_called_at / 1e6 == pytest.approx(clocks.wall(), abs=5)
    clocks.off = 0.0
    assert early.flusher.flush()
    assert row_of(early, "/now").last_called_at / 1e6 == pytest.approx(NOW, abs=5)
    assert row_of(early, "/later").last_called_at / 1e6 == pytest.approx(NOW + 3_700, abs=5)
    early.stop()


def test_a_clock_that_steps_back_twice_and_then_far_ahead_is_right_in_the_end(
    clocks: Clocks, lens: Lens
) -> None:
    early = lived(clocks, lens, 3)
    for number, off in enumerate((-60 * DAY, -NOW, -90 * DAY, YEAR, -30 * DAY, 0.0)):
        clocks.off = off
        clocks.real += 5
        count(early, f"/{number}")
        early.flusher.flush()
    found = seen(early)
    for number in range(6):
        at = NOW + 5 * (number + 1)
        assert found[f"/{number}"].last_called_at == pytest.approx(at, abs=6), number
        assert found[f"/{number}"].total_calls == 1
    early.stop()


@given(st.lists(st.tuples(st.sampled_from([0.0, *OFFS, -NOW]), st.floats(2, 300)), max_size=6))
def test_wherever_a_certain_clock_jumps_each_time_is_right_once_it_is_back(
    steps: list[tuple[float, float]],
) -> None:
    clocks = Clocks()
    watch = ClockJumps(clocks.wall, lambda: clocks.real)
    clocks.real += 2 * DAY
    watch.look()
    assert watch.is_certain
    told: list[tuple[float, float]] = []
    for off, seconds in (*steps, (0.0, 5.0)):
        clocks.off = off
        watch.look()
        told.append((clocks.wall(), clocks.real))
        clocks.real += seconds
    watch.look()
    assert watch.is_certain
    assert watch.now() == pytest.approx(clocks.real)
    for said, true in told:
        # A setting that was left for one further ahead is forgotten: then it becomes now.
        assert true - 2 <= watch.corrected(said) <= clocks.real + 2


@pytest.mark.parametrize("slept", [3 * DAY, 60 * DAY])
def test_a_machine_that_slept_for_days_makes_no_old_call_new(
    slept: float, clocks: Clocks, lens: Lens
) -> None:
    count(lens, "/before")
    assert lens.flusher.flush()
    clocks.off = slept
    count(lens, "/after")
    assert lens.flusher.flush()
    found = seen(lens)
    assert found["/before"].last_called_at == pytest.approx(NOW, abs=1)
    assert found["/before"].first_seen_at == pytest.approx(NOW, abs=1)
    assert found["/after"].last_called_at == pytest.approx(NOW + slept, abs=1)


@pytest.mark.usefixtures("looking")
def test_a_clock_that_jumps_far_ahead_again_and_again_moves_nothing_in_the_end(
    clocks: Clocks, lens: Lens
) -> None:
    for number, off in enumerate((0.0, YEAR, 0.0, YEAR, 0.0)):
        clocks.off = off
        clocks.real += 5
        count(lens, f"/{number}")
        assert lens.flusher.flush()
    found = seen(lens)
    for number in range(5):
        at = NOW + 5 * (number + 1)
        assert found[f"/{number}"].last_called_at == pytest.approx(at, abs=6), number


@pytest.mark.parametrize("history_days", [1, 5])
@pytest.mark.usefixtures("looking")
def test_a_process_that_starts_while_the_clock_is_behind_is_right_once_it_is_set(
    history_days: int, clocks: Clocks, lens: Lens
) -> None:
    for day in range(1, history_days + 1):
        left(lens, -day * DAY, path="/rare")
    clocks.off = -60 * DAY
    starting = Lens(lens.config, clock=clocks.wall)
    count(starting, "/now")
    assert starting.flusher.flush()
    clocks.real += 5
    clocks.off = 0.0
    assert starting.flusher.flush()
    found = seen(starting)
    assert found["/now"].last_called_at == pytest.approx(NOW, abs=6)
    assert found["/now"].first_seen_at == pytest.approx(NOW, abs=6)
    assert found["/rare"].last_called_at == pytest.approx(NOW - DAY, abs=61)
    starting.stop()


def test_very_many_last_calls_are_raised_in_short_transactions(clocks: Clocks, lens: Lens) -> None:
    other = Lens(lens.config, clock=lambda: NOW - DAY)
    for number in range(250):
        count(other, f"/{number}")
    assert other.flusher.flush()
    with other.database.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(last_called_at=1_600_000_000_000_000))
    other.database.close()
    assert lens.flusher.flush()
    rows = table_rows(lens.database, ENDPOINT)
    assert len(rows) == 250
    assert min(row.last_called_at for row in rows) / 1e6 == pytest.approx(NOW - DAY, abs=61)


@pytest.mark.parametrize("off", [YEAR, -YEAR, 3 * 86_400.0])
def test_callers_that_wait_move_to_the_right_day(
    written: Written, clocks: Clocks, tmp_path: Path, off: float
) -> None:
    lens = Lens(LensConfig(db_path=str(tmp_path / "lens.db"), app_name="board"), clock=clocks.wall)
    lens.flusher.collect()
    clocks.off = off
    for status in (200, 401):
        lens.recorder.count(
            method="GET", path=f"/{status}", status=status, duration_ns=1, caller="billing"
        )
    lens.flusher.collect()
    clocks.off = 0.0
    assert lens.flusher.flush()
    today = int(NOW // 86_400)
    assert [(row.day, row.calls) for row in written.rows] == [(today, 1)] * 2
    (used,) = [row for row in written.rows if not row.refused]
    assert today * 86_400 * 10**6 <= used.first_at_us <= used.last_at_us
    assert used.last_at_us == pytest.approx(NOW * 1e6, abs=5e6)
    lens.stop()
