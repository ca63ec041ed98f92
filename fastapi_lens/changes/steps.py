"""Steps: days from which on a daily number differs from the usual. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from fastapi_lens.changes.rows import DAY, Row
from fastapi_lens.changes.usual import BASELINE_DAYS, FEWEST_DAYS, Noise, Sample, Usual

DEVIATIONS = 3.5
"""A day differs if it lies at least this many standard deviations of noise and chance away."""

_BACK = 2
"""Days before the first that differs on which the change may have begun."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A daily number and when a difference of it counts.

    Attributes:
        sample: The number of a row; None where the row has too few calls.
        noise: Assumptions on its noise.
        least: Smallest difference that counts, on the scale of the number.
    """

    sample: Callable[[Row], Sample | None]
    noise: Noise
    least: float


@dataclass(frozen=True, slots=True)
class Step:
    """A difference that lasts up to the end of the period.

    Attributes:
        since: Begin of the first day that differs: Unix time in seconds.
        before: The usual, on the scale of the number, for the days since then.
        after: Mean of these days.
    """

    since: int
    before: float
    after: float


def step_of(rows: Sequence[Row], begin: int, measure: Measure, *, up: bool) -> Step | None:
    """The first step within a period that lasts up to its end; None if there is none.

    Args:
        rows: Days, ascending, also those before the period.
        begin: Of the period.
        measure: The number.
        up: True for a rise, False for a fall.
    """
    sign = 1 if up else -1
    found = (measure.sample(row) for row in rows)
    samples = [
        Sample(each.begin, sign * each.value, each.error) for each in found if each is not None
    ]
    # The day in which the period begins belongs to it.
    start = bisect_left(samples, begin - DAY + 1, key=_begin)
    for index in range(start, len(samples)):
        step = _step_at(samples, index, measure)
        if step is not None:
            return Step(step.since, sign * step.before, sign * step.after)
    return None


def _step_at(samples: Sequence[Sample], index: int, measure: Measure) -> Step | None:
    """The step that a day shows, if it lies far enough above the days before, and lasts."""
    day = samples[index]
    first = bisect_left(samples, day.begin - BASELINE_DAYS * DAY, key=_begin)
    # The latest 24 hours overlap the last day that is over.
    before = [each for each in samples[first:index] if each.begin <= day.begin - DAY]
    if len(before) < FEWEST_DAYS:
        return None
    # Most days are not far above the lowest one: no need to know more of these.
    if day.value - min(each.value for each in before) < measure.least:
        return None
    usual = Usual.of(before, measure.noise)
    if usual.excess(day) < measure.least or usual.deviations(day, before[-1]) < DEVIATIONS:
        return None
    after = samples[_beginning(usual, samples, index) :]
    excesses = [usual.excess(each) for each in after]
    if fmean(excesses) < measure.least or excesses[-1] < measure.least / 2:
        return None
    return Step(
        since=after[0].begin,
        before=fmean(usual.expected(each) for each in after),
        after=fmean(each.value for each in after),
    )


def _beginning(usual: Usual, samples: Sequence[Sample], index: int) -> int:
    """The day on which the change began: up to two before the one that shows it.

    Of these, the one from which on the days fit the changed level, and before which they fit the
    usual one, in the sense of least squares (Hinkley, Inference About the Change-Point in a
    Sequence of Random Variables, 1970): where the sum of what days have beyond half of the change
    is largest.
    """
    half = usual.excess(samples[index]) / 2
    best, most, total = index, 0.0, 0.0
    for candidate in range(index - 1, max(-1, index - 1 - _BACK), -1):
        total += usual.excess(samples[candidate]) - half
        if total > most:
            best, most = candidate, total
    return best


def _begin(sample: Sample) -> int:
    return sample.begin
