"""Holes, refused calls and missing rows never make an endpoint look safer to remove."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastapi_lens.reporting.evidence.evidence_rows import Calls, Stored
from fastapi_lens.reporting.evidence.histories import DAY_US, Present, Shape
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.reporting.totals.endpoint_rows import FACTS
from fastapi_lens.verdict.days import Holes
from fastapi_lens.verdict.history import History
from fastapi_lens.verdict.level import IN_USE_DAYS, Level
from fastapi_lens.verdict.verdict import Verdict, verdict_of
from tests.reporting.past import TODAY

pytestmark = pytest.mark.unit

SAFETY = {Level.SAFE_TO_REMOVE: 2, Level.PROBABLY_UNUSED: 1}
BORN = TODAY - 445
ENDPOINT_ID = 1
DAYS = st.integers(TODAY - 440, TODAY)
RUNS = st.lists(st.tuples(DAYS, st.integers(0, 60)), max_size=4)


@st.composite
def uses(draw: st.DrawFn) -> list[int]:
    """Days of regular uses, and some others."""
    period, count = draw(st.sampled_from([1, 7, 30, 92])), draw(st.integers(0, 12))
    last = draw(DAYS)
    steady = [day for day in range(last, last - period * count, -period) if day > TODAY - 440]
    return sorted({*steady, *draw(st.lists(DAYS, max_size=3))})


def judged(
    days: Sequence[int],
    *,
    holes: Sequence[tuple[int, int]] = (),
    refused: Sequence[int] = (),
    is_known: bool = True,
) -> Verdict:
    """The verdict on an endpoint that was used and refused on some days.

    Args:
        days: Used days.
        holes: First days, and how many follow.
        refused: Days with a refused call.
        is_known: False for the row of an older release, which does not tell the last use.
    """
    called = (*days, *refused)
    facts: dict[str, object] = dict.fromkeys((column.name for column in FACTS), 0)
    facts |= {"id": ENDPOINT_ID, "method": "GET", "path": "/", "kind": "http", "name": "read"}
    facts |= {"first_seen_at": BORN * DAY_US, "total_calls": len(called)}
    facts |= {"first_called_at": min(called, default=0) * DAY_US}
    facts |= {"last_called_at": max(called, default=0) * DAY_US}
    row = Stored(
        facts=tuple(facts.values()),
        last_seen_at=TODAY * DAY_US,
        present_since=0,
        evidence_since=0,
        removed_at=0,
        last_used_at=max(days, default=0) * DAY_US if is_known else 0,
        attributed_until=0,
        unattributed_at=0,
        shape_id=1,
        first_release_id=0,
        last_release_id=0,
        first_called_release_id=int(is_known),
        last_called_release_id=0,
        callers=0,
        overrides=None,
    )
    found = Holes.of((begin, min(TODAY, begin + length)) for begin, length in holes)
    observation = Observation(BORN - 1, TODAY, tuple(found), found.days())
    present = Present(TODAY * DAY_US, observation, 0, frozenset(), {})
    recent = [day for day in refused if day > TODAY - 90]
    calls = Calls([day for day in days if day >= TODAY - 400], refused=recent)
    calls.refused_calls = len([day for day in refused if day >= TODAY - 400])
    calls.weeks = [day // 7 * 7 for day in days if day // 7 <= (TODAY - 400) // 7]
    return verdict_of(Shape([row], present).history(row, {ENDPOINT_ID: calls}))


def is_safer(one: Verdict, other: Verdict) -> bool:
    """True if the first is safer to remove than the other, today or at a later day."""
    dates, later = (one.probably_from, one.safe_from), (other.probably_from, other.safe_from)
    safety = SAFETY.get(one.level, 0) > SAFETY.get(other.level, 0)
    return safety or any((date or 0) < (than or 0) for date, than in zip(dates, later, strict=True))


@settings(max_examples=300)
@given(uses(), RUNS)
def test_what_is_not_watched_after_the_last_use_makes_nothing_safer(
    days: list[int], holes: list[tuple[int, int]]
) -> None:
    after = [hole for hole in holes if hole[0] > max(days, default=BORN)]
    assert not is_safer(judged(days, holes=after), judged(days))


@settings(max_examples=300)
@given(uses(), RUNS, st.lists(DAYS, min_size=1, max_size=5))
def test_a_refused_call_makes_nothing_safer(
    days: list[int], holes: list[tuple[int, int]], refused: list[int]
) -> None:
    assert not is_safer(judged(days, holes=holes, refused=refused), judged(days, holes=holes))


@given(uses(), RUNS, st.integers(0, IN_USE_DAYS))
def test_a_call_of_this_week_is_a_use_now(
    days: list[int], holes: list[tuple[int, int]], ago: int
) -> None:
    found = judged(sorted({*days, TODAY - ago}), holes=holes)
    assert found.level is Level.IN_USE


@settings(max_examples=300)
@given(uses(), RUNS, st.lists(DAYS, max_size=5))
def test_a_row_that_does_not_tell_the_last_use_makes_nothing_safer(
    days: list[int], holes: list[tuple[int, int]], refused: list[int]
) -> None:
    used, called = max(days, default=BORN), max((*days, *refused), default=0)
    if called < TODAY - 400:  # Uses of that time are known to the week only.
        used, called = used // 7 * 7, called // 7 * 7 + 6
    # Such a row takes the last call for a use. The days before it that nobody watched then count no
    # more, and those after it may be few enough to be tolerated.
    assume(not any(begin <= called and used <= begin + length for begin, length in holes))
    unknown = judged(days, holes=holes, refused=refused, is_known=False)
    assert not is_safer(unknown, judged(days, holes=holes, refused=refused))


@settings(max_examples=300)
@given(
    uses(),
    st.integers(0, IN_USE_DAYS),
    st.integers(TODAY - 800, TODAY + 1),
    st.lists(st.tuples(DAYS, DAYS), max_size=4),
    st.lists(st.integers(0, 100), max_size=5),
)
def test_days_before_a_recent_use_change_no_level(
    days: list[int], ago: int, since: int, holes: list[tuple[int, int]], weeks: list[int]
) -> None:
    last = TODAY - ago
    history = History(
        today=TODAY,
        present_since=since,
        observed_since=TODAY - 450,
        days=tuple(day for day in days if day < last),
        weeks=tuple(TODAY - 500 - 7 * week for week in weeks),
        last_used=last,
        holes=tuple(holes),
    )
    shortened, full = verdict_of(replace(history, days=(), weeks=())), verdict_of(history)
    assert shortened.level is full.level is Level.IN_USE
    assert (shortened.silence_days, shortened.hole_days) == (full.silence_days, full.hole_days)
    assert shortened.exclusions == full.exclusions
