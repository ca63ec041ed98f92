"""The silence that a caller needs. Days count from the last use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.verdict.callers import Caller, days_of_caller
from fastapi_lens.verdict.days import Holes

pytestmark = pytest.mark.unit

START = 1_000


def days(caller: Caller, *runs: tuple[int, int]) -> tuple[int, int]:
    holes = Holes.of((START + first, START + last) for first, last in runs)
    probably, safe = days_of_caller(caller, START, holes)
    return probably - START, safe - START


def came(*, gap: int, days: int = 11, span: int = 300) -> Caller:
    """A caller that came on some days up to the start; every thirty days if nothing is said."""
    return Caller("web", START - span, START, days, gap)


def several(gap: int) -> Caller:
    return Caller("2 more", START - 300, START, 11, gap, is_several=True)


@pytest.mark.parametrize(
    ("gap", "probably", "safe"),
    [
        pytest.param(3, 35, 101, id="never less than a quarter for safe"),
        pytest.param(63, 125, 136, id="steady: 1.5 gaps and 30 days, 2.1 gaps and 3 days"),
        pytest.param(64, 127, 223, id="not steady: 1.5 and 3 gaps, and 30 days"),
    ],
)
def test_a_caller_is_waited_for_by_its_longest_gap(gap: int, probably: int, safe: int) -> None:
    assert days(came(gap=gap)) == (probably, safe)


@pytest.mark.parametrize(
    ("caller", "found"),
    [
        pytest.param(came(gap=10, days=3), (101, 401), id="a quarter, and a year"),
        pytest.param(came(gap=60, days=3), (151, 401), id="two gaps and 30 days"),
        pytest.param(came(gap=60, days=4), (121, 130), id="four days are not rare"),
        pytest.param(came(gap=60, days=30, span=59), (151, 401), id="within 59 days"),
        pytest.param(came(gap=60, days=30, span=60), (121, 211), id="within 60 days"),
    ],
)
def test_a_rare_caller_may_come_once_a_year(caller: Caller, found: tuple[int, int]) -> None:
    assert days(caller) == found


def test_the_holes_of_a_rare_caller_are_seen_a_year_later() -> None:
    assert days(came(gap=10, days=3), (60, 60)) == (60 + 92 + 8 + 1, 60 + 400 + 1)
    # The second hole was seen a year before, or it would begin the silence anew.
    assert days(came(gap=10, days=3), (100, 100), (420, 420))[1] == 100 + 400 + 1


def test_the_holes_of_a_caller_that_comes_more_often_begin_its_silence_anew() -> None:
    assert days(came(gap=3), (20, 21), (90, 90)) == (21 + 35, 90 + 101)


@pytest.mark.parametrize(
    ("gap", "probably", "safe"),
    [(20, 101, 401), (60, 151, 401), (150, 331, 481), (300, 631, 931)],
)
def test_several_callers_are_waited_for_as_for_the_rarest(
    gap: int, probably: int, safe: int
) -> None:
    assert days(several(gap)) == (probably, safe)


def test_the_holes_of_several_callers_count_for_a_frequent_one_and_for_a_rare_one() -> None:
    # Seen a quarter later, for a rare one.
    assert days(several(20), (30, 31)) == (31 + 92 + 8 + 1, 31 + 400 + 1)
    # Seen a quarter before, but not for one that comes at any time.
    assert days(several(100), (150, 150)) == (150 + 181, 150 + 400 + 1)
    assert days(several(150), (390, 390), (700, 700))[1] == 700 + 400 + 1


@given(
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(1, 300),
    st.integers(0, 900),
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 40)), max_size=4),
)
def test_several_callers_are_waited_for_at_least_as_long_as_for_each_of_them(
    gap: int, more: int, used: int, span: int, runs: list[tuple[int, int]]
) -> None:
    holes = [(first, first + length) for first, length in runs]
    one = days(came(gap=gap, days=used, span=span), *holes)
    all_of_them = days(several(gap + more), *holes)
    assert one[0] <= all_of_them[0]
    assert one[1] <= all_of_them[1]
