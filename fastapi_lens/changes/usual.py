"""The usual level of a daily number, and how far a day usually lies from it. Pure.

All numbers are on a scale on which noise is about normal and equal at any level: logarithms of
durations and of calls, arcsines of shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt
from statistics import median
from typing import Self

from fastapi_lens.changes.rows import DAY

BASELINE_DAYS = 56
"""Days before a day that it is compared with."""

FEWEST_DAYS = 7
"""Of these, the days that have to be known, each with enough calls."""

_WEEKDAYS = 7
_WITHIN = 6 / 7
"""The share of usual days that lie within the range by which noise is measured."""

_DEVIATIONS = 1.465
"""Standard deviations within which 6 of 7 values of a normal distribution lie."""

_SHRINK = 1.0
"""Days without an effect that count beside the days of each weekday."""

_UNCERTAINTY = 2
"""Noise that was measured on n days counts (1 + 2/n) times: it may be larger than it looked."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of one day.

    Attributes:
        begin: Unix time in seconds of the day's begin.
        value: The number, on its scale.
        error: Its standard error: that of chance, by the number of calls.
    """

    begin: int
    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Noise:
    """Assumptions on the noise of a number.

    Attributes:
        least: Standard deviation from day to day that is assumed in any case.
        carried: Share of a day's noise that the next day is expected to have, too.
    """

    least: float
    carried: float = 0.0


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual level and noise of a number.

    Attributes:
        centre: Median of the days.
        effects: Usual addition of each weekday, from the weekday of the epoch (Thursday) on.
        deviation: Standard deviation from day to day, beyond that of chance.
        carried: Share of the noise of the day before that is expected on a day.
        most: The noise of the day before counts up to this, so that a change does not hide itself.
    """

    centre: float
    effects: tuple[float, ...]
    deviation: float
    carried: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[Sample], noise: Noise) -> Self:
        """The usual of some days.

        Noise is what the range within which 6 of 7 days lie has beyond chance: robust against
        single days, as the median absolute deviation is (Hampel, The Influence Curve and its Role
        in Robust Estimation, 1974), and with less error. That days differ by more than chance says
        is taken into account as in Laney's control charts (Improved Control Charts for Attributes,
        2002).

        Args:
            samples: At least two, ascending.
            noise: Assumptions.
        """
        centre = median(sample.value for sample in samples)
        effects = _effects(samples, centre)
        flat = [sample.value - effects[_weekday(sample.begin)] for sample in samples]
        centre = median(flat)
        excesses = [value - centre for value in flat]
        most = max(noise.least, _spread(excesses))
        fresh = [day - noise.carried * _clip(before, most) for before, day in pairwise(excesses)]
        chance = median(sample.error for sample in samples) ** 2 * (1 + noise.carried**2)
        deviation = sqrt(max(noise.least**2, _spread(fresh) ** 2 - chance))
        certain = deviation * (1 + _UNCERTAINTY / len(samples))
        return cls(centre, effects, certain, noise.carried, most)

    def expected(self, sample: Sample) -> float:
        """The usual number of the 24 hours of a sample.

        Hours of two days have shares of both that depend on the hour: all between them is usual.
        """
        day = _weekday(sample.begin)
        effects = {self.effects[day]}
        if sample.begin % DAY:
            effects.add(self.effects[(day + 1) % _WEEKDAYS])
        level = sample.value - self.centre
        return self.centre + max(min(effects), min(max(effects), level))

    def excess(self, sample: Sample) -> float:
        """Distance of a day above the usual, on the scale of the number."""
        return sample.value - self.expected(sample)

    def deviations(self, sample: Sample, before: Sample) -> float:
        """The same in standard deviations of noise and chance.

        Args:
            sample: The day.
            before: The day before it, a part of whose noise is expected to last.
        """
        fresh = self.excess(sample) - self.carried * _clip(self.excess(before), self.most)
        chance = sample.error**2 + (self.carried * before.error) ** 2
        return fresh / sqrt(self.deviation**2 + chance)


def _effects(samples: Sequence[Sample], centre: float) -> tuple[float, ...]:
    """Addition of each weekday, shrunk where few days tell; nothing below 14 days."""
    if len(samples) < 2 * _WEEKDAYS:
        return (0.0,) * _WEEKDAYS
    of_day: list[list[float]] = [[] for _ in range(_WEEKDAYS)]
    for sample in samples:
        of_day[_weekday(sample.begin)].append(sample.value - centre)
    return tuple(
        median(values) * len(values) / (len(values) + _SHRINK) if values else 0.0
        for values in of_day
    )


def _spread(values: Sequence[float]) -> float:
    distances = sorted(abs(value) for value in values)
    return distances[ceil(_WITHIN * len(distances)) - 1] / _DEVIATIONS


def _clip(value: float, most: float) -> float:
    return max(-most, min(most, value))


def _weekday(begin: int) -> int:
    return begin // DAY % _WEEKDAYS
