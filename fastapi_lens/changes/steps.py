"""Steps: days from which on a daily number differs from the usual. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from fastapi_lens.changes.rows import DAY, Row
from fastapi_lens.changes.usual import BASELINE_DAYS, FEWEST_DAYS, Sample, Usual

DEVIATIONS = 3.5
"""A day differs if it lies at least this many standard deviations of noise and chance away."""

_BACK = 2
"""Days before the first that differs on which the change may have begun."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A daily number and when a difference of it counts.

    Attributes:
        name: Of the number.
        sample: The number of a row; None where the row has too few calls.
        least_noise: Standard deviation that is taken as usual from day to day in any case.
        least: Smallest difference that counts, on the scale of the number.
    """

    name: str
    sample: Callable[[Row], Sample | None]
    least_noise: float
    least: float


@dataclass(frozen=True, slots=True)
class Step:
    """A difference that lasts up to the end of the period.

    Attributes:
        since: Begin of the first day that differs: Unix time in seconds.
        deviations: Largest distance of a day from the usual, in standard deviations.
        before: The usual, on the scale of the number, for the days since then.
        after: Mean of these days.
    """

    since: int
    deviations: float
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
    found = (_signed(measure.sample(row), sign) for row in rows)
    samples = [sample for sample in found if sample is not None]
    start = bisect_left(samples, begin - DAY + 1, key=lambda sample: sample.begin)
    for index in range(start, len(samples)):
        step = _step_at(samples, index, measure)
        if step is not None:
            return Step(step.since, step.deviations, sign * step.before, sign * step.after)
    return None


def _signed(sample: Sample | None, sign: int) -> Sample | None:
    return None if sample is None else Sample(sample.begin, sign * sample.value, sample.error)


def _step_at(samples: Sequence[Sample], index: int, measure: Measure) -> Step | None:
    """The step that a day shows, if it lies far enough above the days before, and lasts."""
    day = samples[index]
    first = bisect_left(samples, day.begin - BASELINE_DAYS * DAY, key=lambda each: each.begin)
    # The latest 24 hours overlap the last day that is over.
    before = [each for each in samples[first:index] if each.begin <= day.begin - DAY]
    if len(before) < FEWEST_DAYS or not _may_differ(before, day, measure):
        return None
    usual = Usual.of(before, measure.least_noise)
    if usual.excess(day) < measure.least or usual.deviations(day) < DEVIATIONS:
        return None
    since = _beginning(usual, samples, index)
    after = samples[since:]
    excesses = [usual.excess(each) for each in after]
    if fmean(excesses) < measure.least or excesses[-1] < measure.least / 2:
        return None
    return Step(
        since=after[0].begin,
        deviations=max(usual.deviations(each) for each in after),
        before=fmean(usual.expected(each.begin) for each in after),
        after=fmean(each.value for each in after),
    )


def _may_differ(before: Sequence[Sample], day: Sample, measure: Measure) -> bool:
    """False for most days, quicker than the usual: even the lowest days are not far enough below."""
    lowest = min(each.value for each in before)
    return day.value - lowest >= measure.least and day.value - median(
        each.value for each in before
    ) >= measure.least / 2


def _beginning(usual: Usual, samples: Sequence[Sample], index: int) -> int:
    """The day on which the change began: up to two before the one that shows it.

    Of all days, that one from which on the mean differs most from the usual in the sense of least
    squares (Hinkley, Inference About the Change-Point in a Sequence of Random Variables, 1970):
    where the sum of differences from half of the change is largest.
    """
    half = usual.excess(samples[index]) / 2
    best, most, total = index, 0.0, 0.0
    for candidate in range(index - 1, max(-1, index - 1 - _BACK), -1):
        total += usual.excess(samples[candidate]) - half
        if total > most:
            best, most = candidate, total
    return best
