"""The totals of a pair against a recount of its days, in whatever order these arrive."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.storage.writing.batches import CallerCalls
from fastapi_lens.storage.writing.use_totals import UseTotals

pytestmark = pytest.mark.unit

DAY_US = 86_400_000_000
LATER = 1 << 62
DAYS = st.lists(st.integers(100, 160), max_size=30)


def used(day: int) -> CallerCalls:
    return CallerCalls(1, 2, day, 3, 1, 1, day * DAY_US, day * DAY_US + 5)


def refused(day: int) -> CallerCalls:
    return CallerCalls(1, 2, day, 2, 2, 0, 0, 0)


def totals_of(days: Sequence[int]) -> UseTotals:
    found = UseTotals()
    for day in days:
        found.add(used(day), ahead_us=LATER)
    return found


def gap_of(days: Sequence[int]) -> int:
    return max((later - day for day, later in pairwise(sorted(set(days)))), default=0)


def check(found: UseTotals, days: Sequence[int]) -> None:
    """Nothing is wrong in the direction that would make a caller look gone."""
    assert found.calls == 3 * len(days)
    if days:
        assert (found.first_day, found.last_day) == (min(days), max(days))
        assert (found.first_at, found.last_at) == (min(days) * DAY_US, max(days) * DAY_US + 5)
        assert 1 <= found.days <= len(set(days))
    assert found.max_gap >= gap_of(days)


@given(days=DAYS)
def test_no_order_of_days_makes_a_gap_too_short(days: list[int]) -> None:
    check(totals_of(days), days)


@given(days=DAYS)
def test_days_in_order_are_counted_exactly(days: list[int]) -> None:
    found = totals_of(sorted(days))
    assert (found.days, found.max_gap) == (len(set(days)), gap_of(days))


@given(here=DAYS, there=DAYS)
def test_totals_of_two_databases_are_merged_with_no_gap_too_short(
    here: list[int], there: list[int]
) -> None:
    found = totals_of(here)
    found.merge(totals_of(there))
    check(found, [*here, *there])


@given(days=st.lists(st.integers(100, 160), min_size=1), wrong=st.integers(5_000, 9_000))
def test_a_day_in_the_future_is_forgotten_with_the_next_call(days: list[int], wrong: int) -> None:
    found = totals_of([*days, wrong])
    last = max(days)
    found.add(used(last), ahead_us=(last + 1) * DAY_US)
    assert (found.last_day, found.last_at) == (last, last * DAY_US + 5)
    assert gap_of(days) <= found.max_gap <= last - min(days)
    assert found.days <= last - min(days) + 1


def test_refused_calls_are_counted_without_a_day_of_use() -> None:
    found = UseTotals()
    found.add(refused(7), ahead_us=LATER)
    found.add(refused(5), ahead_us=LATER)
    assert (found.calls, found.refused, found.refused_day) == (4, 4, 7)
    assert (found.days, found.first_at, found.last_at) == (0, 0, 0)


def test_calls_that_are_open_are_a_use() -> None:
    found = UseTotals()
    found.add(CallerCalls(1, 2, 9, 0, 0, 0, 9 * DAY_US, 9 * DAY_US), ahead_us=LATER)
    assert (found.calls, found.days, found.last_day) == (0, 1, 9)
