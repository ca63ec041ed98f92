"""Rows of one endpoint, as changes are found in them: calls, failures and durations. Pure data.

A row is a day or an hour. A day has 24 hours, so that each hour of the day counts once: either a
calendar day (UTC), or the 24 hours up to now.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log, sqrt
from operator import mul
from typing import Self

from fastapi_lens.histogram.histogram import BUCKET_MS, BUCKETS, Histogram

DAY = 86_400
"""Seconds."""

TAIL = 0.05
"""The share of calls at each end whose durations are set to p5 and p95 in a typical duration."""

_SLOW = 0.95
_BUCKET_LOGS = tuple(log(each) for each in BUCKET_MS)


@dataclass(frozen=True, slots=True)
class Durations:
    """The durations of one row, in logarithms of milliseconds.

    Attributes:
        typical: Mean, winsorized: a call among the fastest or slowest 5 % counts as p5 or p95.
        typical_error: Standard error of the same.
        p95: 95th percentile.
        p95_error: Standard error of the same.
    """

    typical: float
    typical_error: float
    p95: float
    p95_error: float

    @classmethod
    def of(cls, histogram: Histogram) -> Self | None:
        """The durations of a histogram; None of the empty one.

        The standard error of p95 is half the interval between the percentiles that lie one
        binomial standard deviation away (Woodruff, Confidence Intervals for Medians and Other
        Position Measures, 1952), and needs no assumption on the distribution.
        """
        items = list(histogram.items())
        if not items:
            return None
        indices, counts = zip(*items, strict=True)
        ranks = list(accumulate(counts))
        calls, last = ranks[-1], len(ranks) - 1

        def place(share: float) -> int:
            return min(last, bisect_left(ranks, max(1.0, min(1.0, share) * calls)))

        # The logarithms ascend, so those of the tails are at both ends.
        logs: list[float] = [_BUCKET_LOGS[min(index, BUCKETS - 1)] for index in indices]
        low, high = place(TAIL), place(1 - TAIL)
        logs[:low] = [logs[low]] * low
        p95, high_log = logs[place(_SLOW)], logs[high]
        step = sqrt(_SLOW * (1 - _SLOW) / calls)
        p95_error = (logs[place(_SLOW + step)] - logs[place(_SLOW - step)]) / 2
        logs[high:] = [high_log] * (last + 1 - high)
        mean = sum(map(mul, logs, counts)) / calls
        squares: list[float] = [(value - mean) ** 2 for value in logs]
        return cls(
            typical=mean,
            typical_error=sqrt(sum(map(mul, squares, counts))) / calls,
            p95=p95,
            p95_error=p95_error,
        )

    @property
    def typical_ms(self) -> float:
        """The typical duration in milliseconds, a geometric mean."""
        return exp(self.typical)

    @property
    def p95_ms(self) -> float:
        """The 95th percentile in milliseconds."""
        return exp(self.p95)


@dataclass(frozen=True, slots=True)
class Row:
    """The calls of a day or an hour.

    Attributes:
        begin: Unix time in seconds.
        end: The same; the row ends before it.
        calls: Of any status.
        failures: Calls that were answered with 5xx.
        durations: Of all calls; None where they are not known, or there was no call.
    """

    begin: int
    end: int
    calls: int
    failures: int = 0
    durations: Durations | None = None

    def without(self, hours: Sequence["Row"]) -> "Row":
        """The row without the calls of some hours, as far as they lie in it; durations stay."""
        inside = [hour for hour in hours if self.begin <= hour.begin and hour.end <= self.end]
        calls = max(0, self.calls - sum(hour.calls for hour in inside))
        failures = max(0, self.failures - sum(hour.failures for hour in inside))
        return Row(self.begin, self.end, calls, min(calls, failures), self.durations)


@dataclass(frozen=True, slots=True)
class Days:
    """All rows of one endpoint from which its changes are found. Ascending.

    Days and hours that were not fully observed, or in which the endpoint was not in the routes,
    are left out; those without a call are given with 0 calls.

    Attributes:
        days: Calendar days (UTC) that are over: those of the period, and 56 before it.
        latest: The 24 hours up to the end of the period; None where they were not observed.
        hours: Hours of the period, as far as they are known; may be empty.
    """

    days: tuple[Row, ...]
    latest: Row | None = None
    hours: tuple[Row, ...] = ()

    def all(self) -> tuple[Row, ...]:
        """The days, and the latest 24 hours after them."""
        return self.days if self.latest is None else (*self.days, self.latest)
