"""Rows for tests of changes: 60 quiet days, of which the last week is the period."""

from collections.abc import Callable, Sequence
from math import exp
from random import Random
from typing import Any

from fastapi_lens.changes.change import Change, Kind
from fastapi_lens.changes.changes import NO_FACTS, Facts, Period, changes_of
from fastapi_lens.changes.rows import DAY, Days, Durations, Row
from fastapi_lens.histogram.histogram import Histogram, bucket_index

HOUR = 3_600
FIRST = 20_454 * DAY
"""1 January 2026, a Thursday."""

COUNT = 60
END = FIRST + COUNT * DAY
"""2 March 2026."""

BEGIN = END - 7 * DAY
PERIOD = Period(BEGIN, END)


def durations(typical: float = 4.0, p95: float = 6.0, error: float = 0.03) -> Durations:
    """Durations, in logarithms of milliseconds."""
    return Durations(typical, error, p95, 2 * error)


def row(day: int, **others: Any) -> Row:
    """A quiet day: 1,000 calls, of which five failed."""
    begin = FIRST + day * DAY
    given = {"calls": 1_000, "failures": 5, "durations": durations()}
    return Row(begin, begin + DAY, **{**given, **others})


def week(change: Callable[[int], dict[str, Any]], *, since: int = COUNT - 3) -> tuple[Row, ...]:
    """Sixty days that change from one of them on."""
    return tuple(row(day, **(change(day) if day >= since else {})) for day in range(COUNT))


def hour(number: int, calls: int = 100, failures: int = 0) -> Row:
    """An hour of the period, counted from its begin."""
    begin = BEGIN + number * HOUR
    return Row(begin, begin + HOUR, calls, failures)


def found(
    days: Sequence[Row],
    *kinds: Kind,
    period: Period = PERIOD,
    facts: Facts = NO_FACTS,
    **others: Any,
) -> list[Change]:
    """The changes of these kinds; all changes if none is given."""
    changes = changes_of(Days(tuple(days), **others), period, facts)
    return [change for change in changes if not kinds or change.kind in kinds]


def histogram(calls: int, median_ms: float, sigma: float, seed: int = 1) -> Histogram:
    """Lognormal durations."""
    random = Random(seed)
    counts: dict[int, int] = {}
    for _ in range(calls):
        index = bucket_index(int(median_ms * 1e6 * exp(random.gauss(0, sigma))))
        counts[index] = counts.get(index, 0) + 1
    return Histogram.from_counts(counts)
