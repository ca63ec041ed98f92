from math import exp, log
from typing import Any

import pytest

from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.changes.changes import Facts, Period, Release
from fastapi_lens.changes.rows import DAY, Row
from tests.changes.helpers import (
    BEGIN,
    COUNT,
    END,
    FIRST,
    HOUR,
    durations,
    found,
    hour,
    row,
    week,
)

pytestmark = pytest.mark.unit

SINCE = FIRST + (COUNT - 3) * DAY


def only(changes: list[Change]) -> Change:
    (change,) = changes
    return change


def test_quiet_days_are_no_change() -> None:
    assert found([row(day) for day in range(COUNT)]) == []


def test_no_day_at_all_is_no_change() -> None:
    assert found([]) == []


def test_an_endpoint_whose_calls_all_take_longer_is_slower_since_that_day() -> None:
    change = only(found(week(lambda _: {"durations": durations(4.5, 6.5)})))

    assert (change.kind, change.since, change.until) == (Kind.SLOWER, SINCE, None)
    assert change.ratio == pytest.approx(exp(0.5))
    assert (change.calls_before, change.calls_after) == (56_000, 3_000)


def test_a_slower_tail_alone_is_found_in_p95() -> None:
    change = only(found(week(lambda _: {"durations": durations(4.02, 6.8)})))

    assert (change.kind, change.measured) == (Kind.SLOWER, Measured.P95_MS)
    assert change.before == pytest.approx(exp(6))
    assert change.after == pytest.approx(exp(6.8))


def test_an_endpoint_whose_calls_take_less_time_is_faster() -> None:
    change = only(found(week(lambda _: {"durations": durations(3.5, 5.5)})))

    assert (change.kind, change.measured) == (Kind.FASTER, Measured.TYPICAL_MS)
    assert change.ratio == pytest.approx(exp(-0.5))


def test_a_slower_day_that_is_over_is_no_change() -> None:
    days = [row(day, durations=durations(4.6 if day == COUNT - 4 else 4.0)) for day in range(COUNT)]

    assert found(days) == []


def test_a_change_begins_on_the_day_before_the_first_clear_one_if_most_of_it_had_changed() -> None:
    days = week(
        lambda day: {"durations": durations(4.13 if day == COUNT - 3 else 4.15, error=0.01)}
    )

    change = only(found(days))

    # 4.13 is 14 % slower, too little by itself; 4.15 is 16 % slower.
    assert (change.kind, change.since) == (Kind.SLOWER, SINCE)


@pytest.mark.parametrize("calls", [99, 100])
def test_days_with_fewer_than_100_calls_say_nothing(calls: int) -> None:
    others: dict[str, Any] = {"calls": calls, "failures": 0}
    slow = {**others, "durations": durations(5.0), "failures": 50}
    days = [row(day, **(slow if day >= COUNT - 3 else others)) for day in range(COUNT)]

    assert [change.kind for change in found(days)] == (
        [Kind.FAILING_MORE, Kind.SLOWER] if calls == 100 else []
    )


def test_seven_days_before_are_enough_and_six_are_not() -> None:
    days = week(lambda _: {"durations": durations(4.5)})

    assert found(days[COUNT - 10 :], Kind.SLOWER) != []
    assert found(days[COUNT - 9 :], Kind.SLOWER) == []


def test_a_weekend_that_is_always_slower_is_no_change() -> None:
    weekend = durations(4.6, 6.6)
    days = [
        row(day, **({"durations": weekend} if day % 7 in {2, 3} else {})) for day in range(COUNT)
    ]

    assert found(days) == []


def test_a_weekday_that_becomes_as_slow_as_a_weekend_is_a_change() -> None:
    slow = {"durations": durations(4.6, 6.6)}
    days = [row(day, **(slow if day % 7 in {2, 3} or day >= 56 else {})) for day in range(58)]
    end = FIRST + 58 * DAY

    change = only(found(days, period=Period(end - 7 * DAY, end)))

    assert (change.kind, change.since) == (Kind.SLOWER, end - 2 * DAY)


def test_an_endpoint_that_always_varies_must_differ_by_more() -> None:
    noisy = [4.0, 4.3, 3.8, 4.2, 3.7]
    days = [row(day, durations=durations(noisy[day % 5], 6.0)) for day in range(COUNT - 1)]

    assert found([*days, row(COUNT - 1, durations=durations(4.5))]) == []
    assert found([*days, row(COUNT - 1, durations=durations(5.5))], Kind.SLOWER) != []


def test_the_latest_24_hours_show_a_change_before_the_day_is_over() -> None:
    end = END + 6 * HOUR
    latest = row(COUNT, durations=durations(4.6, 6.6))
    shifted = type(latest)(end - DAY, end, 800, 4, latest.durations)
    days = [row(day) for day in range(COUNT)]

    change = only(found(days, period=Period(end - 7 * DAY, end), latest=shifted))

    assert (change.kind, change.since, change.calls_after) == (Kind.SLOWER, end - DAY, 800)


@pytest.mark.parametrize("hours", [1, 8, 12, 18, 23])
def test_a_monday_after_a_quiet_weekend_is_no_more_traffic(hours: int) -> None:
    weekend = {2, 3}
    days = [
        row(day, calls=(40 if day % 7 in weekend else 700) + day % 5, durations=None)
        for day in range(COUNT)
    ]
    end = END + hours * HOUR
    # Most calls come in the hours from 8 to 18.
    morning = 700 * max(0, min(10, hours - 8)) // 10
    latest = type(days[0])(end - DAY, end, 40 * (24 - hours) // 24 + morning, 0, None)

    assert found(days, period=Period(end - 7 * DAY, end), latest=latest) == []


def test_a_change_before_the_period_is_not_of_the_period() -> None:
    assert found(week(lambda _: {"durations": durations(4.5)}, since=COUNT - 20)) == []


def test_a_change_begins_with_the_release_of_that_day() -> None:
    releases = (
        Release("1.1", SINCE + 14 * HOUR),
        Release("1.2", SINCE + 20 * HOUR),
        Release("1.0", SINCE - 3 * DAY),
    )
    period = Period(BEGIN, END, releases)

    change = only(found(week(lambda _: {"durations": durations(4.5)}), period=period))

    assert (change.release, change.since) == ("1.1", SINCE + 14 * HOUR)


def test_an_endpoint_of_whose_calls_more_fail_is_failing_more() -> None:
    change = only(found(week(lambda _: {"failures": 50})))

    assert (change.kind, change.measured) == (Kind.FAILING_MORE, Measured.FAILED_SHARE)
    assert (change.since, change.after) == (SINCE, 0.05)
    assert change.before == pytest.approx(0.005, abs=0.0005)


def test_a_difference_of_less_than_half_a_point_is_no_change() -> None:
    days = [row(day, calls=100_000, failures=100 if day < 57 else 550) for day in range(COUNT)]

    assert found(days) == []


def test_an_endpoint_that_no_longer_fails_recovered() -> None:
    days = [row(day, failures=80 if day < COUNT - 3 else 1) for day in range(COUNT)]

    change = only(found(days))

    assert (change.kind, change.after, change.until) == (Kind.RECOVERED, 0.001, None)


def test_an_hour_of_failures_that_is_over_is_an_incident_and_not_failing_more() -> None:
    hours = [hour(number, failures=40 if number == 38 else 0) for number in range(168)]
    days = [row(day, failures=45 if day == COUNT - 6 else 5) for day in range(COUNT)]
    period = Period(BEGIN, END, (Release("3", BEGIN + 38 * HOUR),))

    change = only(found(days, hours=tuple(hours), period=period))

    assert (change.kind, change.after, change.calls_after) == (Kind.RECOVERED, 0.4, 100)
    assert (change.since, change.until) == (BEGIN + 38 * HOUR, BEGIN + 39 * HOUR)
    assert change.release == "3"


def test_failures_of_the_last_hour_are_failing_more_at_once() -> None:
    hours = [hour(number, failures=40 if number == 167 else 0) for number in range(168)]

    change = only(found([row(day) for day in range(COUNT)], hours=tuple(hours)))

    assert (change.kind, change.since, change.until) == (Kind.FAILING_MORE, END - HOUR, None)


def test_hours_without_calls_do_not_end_an_incident() -> None:
    hours = [
        *(hour(number) for number in range(100)),
        hour(100, failures=40),
        *(hour(number, calls=0) for number in range(101, 120)),
        hour(120, failures=30),
        hour(121, calls=5),
    ]

    change = only(found([row(day) for day in range(COUNT)], hours=tuple(hours)))

    assert (change.kind, change.since) == (Kind.FAILING_MORE, BEGIN + 100 * HOUR)
    assert change.after == 0.35


def test_an_endpoint_that_always_fails_has_no_incident() -> None:
    hours = [hour(number, failures=40) for number in range(168)]
    days = [row(day, failures=400) for day in range(COUNT)]

    assert found(days, hours=tuple(hours)) == []


def test_traffic_that_doubles_or_halves_is_a_change() -> None:
    more = only(found(week(lambda _: {"calls": 3_000, "failures": 15})))
    less = only(found(week(lambda _: {"calls": 300, "failures": 1})))

    assert (more.kind, more.after) == (Kind.MORE_TRAFFIC, 3_000)
    assert more.ratio == pytest.approx(3)
    assert (less.kind, less.after) == (Kind.LESS_TRAFFIC, 300)
    assert less.ratio == pytest.approx(0.3)


def test_first_calls_of_an_endpoint_have_no_ratio() -> None:
    none = {"calls": 0, "failures": 0, "durations": None}
    days = [row(day, **({} if day >= COUNT - 3 else none)) for day in range(COUNT)]

    change = only(found(days))

    assert (change.kind, change.before, change.ratio) == (Kind.MORE_TRAFFIC, 0, None)


def test_traffic_of_fewer_than_100_calls_a_day_says_nothing() -> None:
    days = [row(day, calls=20 if day < COUNT - 3 else 90, failures=0) for day in range(COUNT)]

    assert found(days) == []


@pytest.mark.parametrize(
    ("silent", "kind"),
    [(6, None), (8, Kind.WENT_COLD), (15, None), (32, Kind.WENT_DEAD), (38, None)],
)
def test_an_endpoint_goes_cold_after_7_days_without_a_call_and_dead_after_30(
    silent: int, kind: Kind | None
) -> None:
    days = [row(day, calls=0, failures=0, durations=None) for day in range(COUNT)]
    last = END - silent * DAY

    changes = found(days, facts=Facts(last_call=last))

    assert [change.kind for change in changes] == ([] if kind is None else [kind])
    assert all(change.last_call == last for change in changes)


def test_a_deprecated_endpoint_that_is_called_is_listed_with_its_calls() -> None:
    days = [row(day, calls=10 if day < COUNT - 7 else 8, failures=0) for day in range(COUNT)]

    change = only(found(days, facts=Facts(last_call=END - 9, is_deprecated=True)))

    assert (change.kind, change.before, change.after) == (Kind.DEPRECATED_BUT_CALLED, 70, 56)
    assert change.last_call == END - 9


def test_calls_before_and_in_a_period_that_begins_at_noon_are_of_as_many_days() -> None:
    noon = Period(BEGIN + DAY // 2, END + DAY // 2)
    days = [row(day, calls=10, failures=0) for day in range(COUNT)]
    latest = Row(END - DAY // 2, END + DAY // 2, 10)
    facts = Facts(last_call=END, is_deprecated=True)

    change = only(found(days, period=noon, facts=facts, latest=latest))

    assert (change.before, change.after) == (70, 70)


@pytest.mark.parametrize(
    ("last_call", "listed"), [(END - 9, [(Kind.DEPRECATED_BUT_CALLED, 0)]), (END + 9, [])]
)
def test_a_deprecated_endpoint_is_listed_for_a_call_on_a_day_not_watched_as_a_whole(
    last_call: int, listed: list[tuple[Kind, float]]
) -> None:
    changes = found([], facts=Facts(last_call=last_call, is_deprecated=True))

    assert [(change.kind, change.after) for change in changes] == listed


def test_a_deprecated_endpoint_without_a_call_is_not_listed() -> None:
    days = [row(day, calls=0, failures=0, durations=None) for day in range(COUNT)]

    assert found(days, facts=Facts(is_deprecated=True)) == []


def test_kinds_come_in_the_order_of_pages() -> None:
    changes = found(
        week(lambda _: {"calls": 5_000, "failures": 900, "durations": durations(4 + log(2))}),
        facts=Facts(is_deprecated=True),
    )

    assert [change.kind for change in changes] == [
        Kind.FAILING_MORE,
        Kind.SLOWER,
        Kind.DEPRECATED_BUT_CALLED,
        Kind.MORE_TRAFFIC,
    ]
