"""Properties of changes on any history."""

from math import log
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastapi_lens.changes.change import Change, Kind
from fastapi_lens.changes.changes import Facts
from fastapi_lens.changes.measures import TYPICAL
from fastapi_lens.changes.rows import DAY, Row
from fastapi_lens.changes.sentences import sentence, title
from fastapi_lens.changes.usual import Noise, Sample, Usual
from tests.changes.helpers import COUNT, END, durations, found, hour, row

pytestmark = pytest.mark.unit

BAD = (Kind.SLOWER, Kind.FAILING_MORE)


def noisy(seed: int, noise: float, calls: int = 1_000) -> list[Row]:
    random = Random(seed)
    rows: list[Row] = []
    for day in range(COUNT):
        level = random.gauss(0, noise)
        failures = round(calls * 0.01 * random.uniform(0.5, 1.5))
        rows.append(
            row(day, calls=calls, failures=failures, durations=durations(4 + level, 6 + level))
        )
    return rows


def slower(day: Row, by: float) -> Row:
    assert day.durations is not None
    times = durations(day.durations.typical + by, day.durations.p95 + by)
    return Row(day.begin, day.end, day.calls, day.failures, times)


@settings(max_examples=30)
@given(st.integers(0, 99), st.floats(0, 0.1), st.floats(0, 2), st.floats(0, 1))
def test_a_larger_rise_of_the_latest_day_is_never_less_of_an_alarm(
    seed: int, noise: float, rise: float, more: float
) -> None:
    *days, last = noisy(seed, noise)

    small = found([*days, slower(last, rise)], Kind.SLOWER)
    large = found([*days, slower(last, rise + more)], Kind.SLOWER)

    assert len(large) >= len(small)


@settings(max_examples=30)
@given(st.integers(0, 99), st.integers(0, 990), st.integers(0, 500))
def test_more_failures_on_the_latest_day_are_never_less_of_an_alarm(
    seed: int, failures: int, more: int
) -> None:
    *days, last = noisy(seed, 0.05)

    few = Row(last.begin, last.end, 1_000, failures, last.durations)
    many = Row(last.begin, last.end, 1_000, min(1_000, failures + more), last.durations)

    assert len(found([*days, many], Kind.FAILING_MORE)) >= len(
        found([*days, few], Kind.FAILING_MORE)
    )


@settings(max_examples=30)
@given(st.integers(0, 99), st.floats(0, 0.1), st.floats(0, 1), st.floats(-3, 3))
def test_an_endpoint_that_is_always_slower_by_a_factor_changes_alike(
    seed: int, noise: float, rise: float, factor: float
) -> None:
    *days, last = noisy(seed, noise)
    days.append(slower(last, rise))

    alike = found([slower(day, factor) for day in days], *BAD)
    changes = found(days, *BAD)

    # Numbers of floats that lie on a limit may fall to either side.
    assume(abs(rise - log(1.15)) > 0.01)
    assert [change.since for change in alike] == [change.since for change in changes]


@settings(max_examples=30)
@given(st.permutations(range(7)), st.floats(0.2, 1))
def test_the_order_of_quiet_weeks_does_not_matter_to_what_is_usual(
    order: list[int], rise: float
) -> None:
    values = [[Random(f"{week} {day}").gauss(4, 0.05) for day in range(7)] for week in range(7)]

    def usual(weeks: list[int]) -> Usual:
        flat = [value for week in weeks for value in values[week]]
        samples = [Sample(day * DAY, value, 0.01) for day, value in enumerate(flat)]
        return Usual.of(samples, Noise(least=0.03))

    day = Sample(49 * DAY, 4 + rise, 0.01)
    assert usual(order).excess(day) == pytest.approx(usual(list(range(7))).excess(day))
    assert usual(order).deviations(day, day) == pytest.approx(
        usual(list(range(7))).deviations(day, day)
    )


@settings(max_examples=30)
@given(st.integers(0, 99), st.integers(1, 9), st.floats(0, 1))
def test_ten_times_the_calls_with_the_same_shares_show_the_same_numbers(
    seed: int, factor: int, rise: float
) -> None:
    *days, last = noisy(seed, 0.05)
    days.append(slower(last, rise))
    times = [
        Row(day.begin, day.end, day.calls * factor, day.failures * factor, day.durations)
        for day in days
    ]

    def numbers(changes: list[Change]) -> list[tuple[Kind, int, float, float]]:
        return [(each.kind, each.since, each.before, each.after) for each in changes]

    assert numbers(found(days, Kind.SLOWER)) == numbers(found(times, Kind.SLOWER))


@settings(max_examples=30)
@given(st.integers(0, 9_999))
def test_endpoints_below_100_calls_a_day_are_never_slower_or_failing_more(seed: int) -> None:
    random = Random(seed)
    days = [
        row(
            day,
            calls=(calls := random.randrange(100)),
            failures=random.randint(0, calls),
            durations=durations(random.uniform(0, 9), random.uniform(0, 9)) if calls else None,
        )
        for day in range(COUNT)
    ]

    assert found(days, *BAD) == []


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), max_size=168),
    st.integers(0, 99),
    st.none() | st.integers(0, 60),
    st.sampled_from(["", "deprecated"]),
)
def test_each_change_has_a_sentence_and_lies_before_the_end(
    hours: list[tuple[int, float]], seed: int, silent: int | None, facts_say: str
) -> None:
    rows = tuple(
        hour(number, calls, int(calls * share)) for number, (calls, share) in enumerate(hours)
    )
    facts = Facts(None if silent is None else END - silent * DAY, is_deprecated=bool(facts_say))

    changes = found(noisy(seed, 0.3), hours=rows, facts=facts)

    for change in changes:
        assert sentence(change)
        assert title(change.kind)
        assert change.since <= END
        assert change.calls_before >= 0 <= change.calls_after
        assert change.until is None or change.since < change.until <= END
    kinds = [change.kind for change in changes]
    assert kinds == sorted(kinds, key=list(Kind).index)
    assert not {Kind.SLOWER, Kind.FASTER} <= set(kinds)


@settings(max_examples=30)
@given(st.integers(0, 999), st.floats(0.0, 0.05))
def test_the_usual_of_a_number_is_within_its_days(seed: int, noise: float) -> None:
    samples = [
        sample for day in noisy(seed, noise)[:56] if (sample := TYPICAL.sample(day)) is not None
    ]

    usual = Usual.of(samples, TYPICAL.noise)

    assert (
        min(each.value for each in samples) <= usual.centre <= max(each.value for each in samples)
    )
    assert usual.deviation >= TYPICAL.noise.least
