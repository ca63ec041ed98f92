"""The usual level of a daily number, and how far a day usually lies from it. Pure.

All numbers are on a scale on which noise is about normal and equal at any level: logarithms of
durations and of calls, arcsines of shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import median
from typing import Self

from fastapi_lens.changes.rows import DAY

BASELINE_DAYS = 28
"""Days before a day that it is compared with."""

FEWEST_DAYS = 7
"""Of these, the days that have to be known, each with enough calls."""

_WEEKDAYS = 7
_WITHIN = 6 / 7
"""The share of usual days that lie within the range by which noise is measured."""

_DEVIATIONS = 1.465
"""Standard deviations within which 6 of 7 values of a normal distribution lie."""

_SHRINK = 1.0
"""Days of no effect that count beside the days of each weekday."""

_UNCERTAINTY = 4
"""Noise that was measured on n days counts (1 + 4/n) times: it may be larger than it looked."""


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
class Usual:
    """The usual level and noise of a number.

    Attributes:
        centre: Median of the days.
        effects: What each weekday usually adds, from the weekday of the epoch (Thursday) on.
        noise: Standard deviation from day to day, beyond that of chance.
    """

    centre: float
    effects: tuple[float, ...]
    noise: float

    @classmethod
    def of(cls, samples: Sequence[Sample], least_noise: float) -> Self:
        """The usual of some days.

        Noise is what the range within which 6 of 7 days lie has beyond chance: robust against
        single days, as the median absolute deviation is (Hampel 1974), and with less error. Days
        differ by more than chance alone says, as in Laney's control charts (Improved Control
        Charts for Attributes, 2002).

        Args:
            samples: At least one.
            least_noise: The noise is at least this.
        """
        centre = median(sample.value for sample in samples)
        effects = _effects(samples, centre)
        flat = [sample.value - effects[_weekday(sample.begin)] for sample in samples]
        centre = median(flat)
        distances = sorted(abs(value - centre) for value in flat)
        spread = distances[ceil(_WITHIN * len(flat)) - 1] / _DEVIATIONS
        chance = median(sample.error for sample in samples)
        noise = sqrt(max(least_noise**2, spread**2 - chance**2))
        return cls(centre, effects, noise * (1 + _UNCERTAINTY / len(samples)))

    def expected(self, begin: int) -> float:
        """The usual number of the 24 hours from a moment on."""
        part = begin % DAY / DAY
        day = _weekday(begin)
        following = self.effects[(day + 1) % _WEEKDAYS]
        return self.centre + (1 - part) * self.effects[day] + part * following

    def excess(self, sample: Sample) -> float:
        """How far a day lies above the usual, on the scale of the number."""
        return sample.value - self.expected(sample.begin)

    def deviations(self, sample: Sample) -> float:
        """The same in standard deviations of noise and chance."""
        return self.excess(sample) / sqrt(self.noise**2 + sample.error**2)


def _effects(samples: Sequence[Sample], centre: float) -> tuple[float, ...]:
    """What each weekday adds, shrunk towards nothing where few days tell; nothing below 14 days."""
    if len(samples) < 2 * _WEEKDAYS:
        return (0.0,) * _WEEKDAYS
    of_day: list[list[float]] = [[] for _ in range(_WEEKDAYS)]
    for sample in samples:
        of_day[_weekday(sample.begin)].append(sample.value - centre)
    return tuple(
        median(values) * len(values) / (len(values) + _SHRINK) if values else 0.0
        for values in of_day
    )


def _weekday(begin: int) -> int:
    return begin // DAY % _WEEKDAYS
