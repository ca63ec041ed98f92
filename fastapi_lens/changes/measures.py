"""Daily numbers in which changes are found: durations, failed calls, traffic. Pure.

Each has a scale on which noise is about normal, and its standard error by chance.
"""

from math import asin, log, sin, sqrt

from fastapi_lens.changes.rows import Row
from fastapi_lens.changes.steps import Measure
from fastapi_lens.changes.usual import Noise, Sample

FEWEST_CALLS = 100
"""Calls of a day below which it says nothing about durations and failures."""

LEAST_TYPICAL, LEAST_P95 = 0.15, 0.25
"""Shares by which a typical duration and a p95 must rise."""

LEAST_POINTS, LEAST_RATIO, LEAST_FAILURES = 0.005, 1.3, 10
"""A share of failed calls changes by half a point, 1.3 times and 10 calls or more."""

LEAST_TRAFFIC = 2.0
"""Traffic changed if it is at least this many times what it was, or the same less."""

_DURATION_NOISE = Noise(least=0.03, carried=0.5)
"""Logarithms: 3 %."""

_SHARE_NOISE = Noise(least=0.01)
"""Arcsines: 0.2 points at a share of 1 %."""

_CALLS_NOISE = Noise(least=0.1)
"""Logarithms: 10 %."""

_LEAST_SHARE = 0.01
"""Arcsines; what counts of shares is decided in points and calls."""


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
    # 0 has no logarithm.
    calls = max(0.5, row.calls)
    return Sample(row.begin, log(calls), 1 / sqrt(calls))


def share_of(value: float) -> float:
    """The inverse of the scale of shares."""
    return sin(max(0.0, value)) ** 2


TYPICAL = Measure(_typical, _DURATION_NOISE, log(1 + LEAST_TYPICAL))
P95 = Measure(_p95, _DURATION_NOISE, log(1 + LEAST_P95))
FAILED = Measure(_failed, _SHARE_NOISE, _LEAST_SHARE)
CALLS = Measure(_calls, _CALLS_NOISE, log(LEAST_TRAFFIC))
