from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.verdict.days import NO_HOLES, Holes, date_of, day_of
from tests.verdict.helpers import as_set

pytestmark = pytest.mark.unit

DAYS = st.integers(0, 60)
RUNS = st.lists(st.tuples(DAYS, DAYS), max_size=8)


def test_a_day_number_is_a_utc_date() -> None:
    assert day_of(date(1970, 1, 1)) == 0
    assert date_of(20_454) == date(2026, 1, 1)
    assert day_of(date(2026, 1, 1)) == 20_454


def test_runs_that_touch_become_one() -> None:
    holes = Holes.of([(8, 9), (1, 2), (3, 3), (9, 12), (20, 19)])

    assert list(holes) == [(1, 3), (8, 12)]
    assert len(holes) == 2


@given(RUNS)
def test_holes_have_all_days_of_their_runs_in_order(runs: list[tuple[int, int]]) -> None:
    holes = Holes.of(runs)

    days = {day for first, last in runs for day in range(first, last + 1)}
    assert as_set(holes) == days
    assert holes.days() == len(days)
    assert holes == Holes.of(reversed(runs))


@given(RUNS, DAYS, DAYS)
def test_holes_overlap_a_time_that_has_one_of_their_days(
    runs: list[tuple[int, int]], low: int, high: int
) -> None:
    holes = Holes.of(runs)

    days = as_set(holes).intersection(range(low, high + 1))
    assert as_set(holes.within(low, high)) == days
    assert high < low or holes.overlap(low, high) == bool(days)


@given(RUNS, DAYS)
def test_holes_can_be_cut_after_a_day(runs: list[tuple[int, int]], day: int) -> None:
    holes = Holes.of(runs)

    assert as_set(holes.after(day)) == {each for each in as_set(holes) if each > day}


def test_no_holes_stay_none_after_any_day() -> None:
    assert NO_HOLES.after(5) == NO_HOLES
