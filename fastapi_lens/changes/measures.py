"""Daily numbers in which changes are found: durations, failed calls, traffic. Pure.

Each has a scale on which noise is about normal, and its standard error by chance.
"""

from math import asin, log, sin, sqrt

from fastapi_lens.changes.rows import Row
from fastapi_lens.changes.steps import Measure
from fastapi_lens.changes.usual import Sample

FEWEST_CALLS = 100
"""Calls of a day below which it says nothing about durations and failures."""

LEAST_SLOWER = 0.15
"""A duration changed if it rose by at least this share."""

LEAST_TRAFFIC = 2.0
"""Traffic changed if it is at least this many times what it was, or one by it."""

_LEAST_NOISE = 0.03
"""Durations are taken to differ by this share from day to day in any case."""

_LEAST_SHARE_NOISE = 0.01
"""On the scale of arcsines: 0.2 points at a share of 1 %."""

_LEAST_SHARE = 0.01
"""On the scale of arcsines; `failures` has the differences in calls and shares that count."""

_LEAST_CALLS_NOISE = 0.1


def _typical(row: Row) -> Sample | None:
    if row.durations is None or row.calls < FEWEST_CALLS:
        return None
    return Sample(row.begin, row.durations.typical, row.durations.typical_error)


def _p95(row: Row) -> Sample | None:
    if row.durations is None or row.calls < FEWEST_CALLS:
        return None
    return Sample(row.begin, row.durations.p95, row.durations.p95_error)


def _failed(row: Row) -> Sample | None:
    """The share of failed calls as an arcsine, whose error is that of the number of calls alone.

    Anscombe, The Transformation of Poisson, Binomial and Negative-Binomial Data, 1948.
    """
    if row.calls < FEWEST_CALLS:
        return None
    share = (row.failures + 3 / 8) / (row.calls + 3 / 4)
    return Sample(row.begin, asin(sqrt(share)), 0.5 / sqrt(row.calls))


def _calls(row: Row) -> Sample:
    calls = max(0.5, row.calls)
    return Sample(row.begin, log(calls), 1 / sqrt(calls))


def share_of(value: float) -> float:
    """The inverse of the scale of shares."""
    return sin(max(0.0, value)) ** 2


TYPICAL = Measure("typical", _typical, _LEAST_NOISE, log(1 + LEAST_SLOWER))
P95 = Measure("p95", _p95, _LEAST_NOISE, log(1 + LEAST_SLOWER))
FAILED = Measure("failed", _failed, _LEAST_SHARE_NOISE, _LEAST_SHARE)
CALLS = Measure("calls", _calls, _LEAST_CALLS_NOISE, log(LEAST_TRAFFIC))
