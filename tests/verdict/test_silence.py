from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.verdict.days import NO_HOLES, Holes
from fastapi_lens.verdict.silence import QUARTERLY, YEARLY, Clock, clear_day
from tests.verdict.helpers import as_set

pytestmark = pytest.mark.unit

START = 1_000
MONTHLY = Clock(30, 4)
CLOCKS = st.sampled_from([None, MONTHLY, QUARTERLY, YEARLY, Clock(1, 3), Clock(7, 3)])
NEEDS = st.sampled_from([31.5, 37.5, 100.0, 400.0, 830.0])
RUNS = st.lists(
    st.tuples(st.integers(START - 50, START + 900), st.integers(0, 40)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    ),
    max_size=6,
)


def holes(*runs: tuple[int, int]) -> Holes:
    return Holes.of((START + first, START + last) for first, last in runs)


def delay(need: float, *runs: tuple[int, int], clock: Clock | None = None) -> int:
    return clear_day(START, need, holes(*runs), clock) - START


def test_an_observed_silence_is_long_enough_on_the_day_after_what_it_needs() -> None:
    assert delay(100) == 101
    assert delay(31.5) == 32


def test_without_a_period_each_hole_begins_the_silence_anew() -> None:
    assert delay(100, (50, 52)) == 153
    assert delay(100, (50, 52), (150, 150)) == 251


def test_holes_before_the_silence_or_after_its_end_change_nothing() -> None:
    assert delay(100, (-30, 0), (101, 140)) == 101


def test_a_hole_that_begins_before_the_silence_counts_from_its_first_day() -> None:
    assert delay(400, (-20, 20), clock=YEARLY) == delay(400, (1, 20), clock=YEARLY)


def test_a_hole_is_seen_if_the_days_a_period_before_were_silent_and_observed() -> None:
    assert delay(100, (60, 62), clock=MONTHLY) == 101


def test_a_hole_is_seen_a_period_later_if_it_was_not_before() -> None:
    assert delay(31.5, (20, 22), clock=MONTHLY) == 22 + 30 + 4 + 1


def test_a_second_hole_a_period_later_moves_the_day_by_one_more_period() -> None:
    assert delay(31.5, (20, 22), (50, 50), clock=MONTHLY) == 22 + 60 + 4 + 1


def test_a_hole_longer_than_twelve_periods_begins_the_silence_anew() -> None:
    assert delay(31.5, (5, 500), clock=MONTHLY) == floor(500 + 31.5 + 12 * 30) + 1


@given(NEEDS, RUNS)
def test_without_a_period_the_day_ends_the_first_silence_without_a_hole(
    need: float, runs: list[tuple[int, int]]
) -> None:
    found = Holes.of(runs)
    dark = {day for day in as_set(found) if day > START}

    end = START + need
    while hit := [day for day in dark if end - need < day <= end]:
        end = max(hit) + need

    assert clear_day(START, need, found) == floor(end) + 1


@given(NEEDS, CLOCKS, RUNS, RUNS)
def test_a_further_hole_never_makes_the_day_earlier(
    need: float,
    clock: Clock | None,
    runs: list[tuple[int, int]],
    more: list[tuple[int, int]],
) -> None:
    before = clear_day(START, need, Holes.of(runs), clock)
    after = clear_day(START, need, Holes.of([*runs, *more]), clock)

    assert clear_day(START, need, NO_HOLES, clock) <= before <= after
