"""Load of the shop at a time in the demo's past. Pure arithmetic: no clock, no I/O."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Self

from example_project.profiles import Rhythm, Trend

HOUR = 3_600
DAY = 24 * HOUR
WEEK_STARTS_ON = 3
"""Monday was the fourth day after the epoch's Thursday; counted from 0."""
SATURDAY = 5

CALLS_PER_DAY = 52_000
"""On a usual day now; the demo's own traffic would be ten times that if it ran all day."""
CALLS_PER_DAY_ONCE = 6_000
GROWTH_DAYS = 15
"""The shop became known lately: what was gained fades by a factor of e each so many days back."""
STEADY_CALLS_PER_DAY = 30_000
FADED_CALLS_PER_DAY = 7_500
FADING_BY_DAY = 375
LAUNCHED_DAYS_AGO = 40
OPENED_DAYS_AGO = 120
TRIAL_SHARE = 0.02
"""Share of the calls before the shop opened, when only its own staff and friends ordered."""

INCIDENT_DAYS_AGO = 9
INCIDENT_STARTS_AT = 14 * HOUR
INCIDENT_SECONDS = 90 * 60

BURST_EVERY_DAYS = 6.0
BURST_SECONDS = 3 * HOUR
BURST_FACTOR = 2.5


@dataclass(frozen=True, slots=True)
class Load:
    """The load of the shop up to a present.

    Attributes:
        now: Epoch seconds of the present.
        bursts: Epoch seconds at which a newsletter or a television programme brought many.
        scale: Factor on all calls.
    """

    now: float
    bursts: tuple[float, ...] = ()
    scale: float = 1.0

    @classmethod
    def until(cls, now: float, *, days: float, chance: Random, scale: float = 1.0) -> Self:
        """The load of the last days, with bursts by chance."""
        bursts = []
        at = now - days * DAY
        while (at := at + chance.expovariate(1 / (BURST_EVERY_DAYS * DAY))) < now:
            bursts.append(at)
        return cls(now, tuple(bursts), scale)

    @property
    def incident(self) -> tuple[float, float]:
        """When the incident began and ended, in epoch seconds."""
        start = (self.now // DAY - INCIDENT_DAYS_AGO) * DAY + INCIDENT_STARTS_AT
        return start, start + INCIDENT_SECONDS

    def calls(self, start: float, end: float) -> Mapping[tuple[Rhythm, Trend], float]:
        """Calls to be expected if all endpoints were called like that."""
        total = dict.fromkeys(product(Rhythm, Trend), 0.0)
        for piece_start, piece_end in _pieces(start, end):
            middle = (piece_start + piece_end) / 2
            seconds = self.scale * (piece_end - piece_start)
            is_burst = any(0 <= middle - burst < BURST_SECONDS for burst in self.bursts)
            days_ago = (self.now - middle) / DAY
            usual = seconds / DAY * (BURST_FACTOR if is_burst else 1.0)
            usual *= TRIAL_SHARE if days_ago > OPENED_DAYS_AGO else 1.0
            volumes = {trend: calls_per_day(trend, days_ago) for trend in Trend}
            activities = {rhythm: activity(rhythm, middle) for rhythm in Rhythm}
            for rhythm, trend in total:
                total[rhythm, trend] += usual * volumes[trend] * activities[rhythm]
        return total


def calls_per_day(trend: Trend, days_ago: float) -> float:
    """Calls of a usual day, so many days ago, if all endpoints had that trend."""
    if trend is Trend.STEADY:
        return STEADY_CALLS_PER_DAY
    if trend is Trend.FADING:
        return FADED_CALLS_PER_DAY + FADING_BY_DAY * days_ago
    if trend is Trend.LAUNCHED and days_ago > LAUNCHED_DAYS_AGO:
        return 0.0
    gained = (CALLS_PER_DAY - CALLS_PER_DAY_ONCE) * math.exp(-days_ago / GROWTH_DAYS)
    return CALLS_PER_DAY_ONCE + gained


def activity(rhythm: Rhythm, at: float) -> float:
    """Activity of the callers of a rhythm at a time; about 1 on average over a week."""
    hour = at % DAY / HOUR
    weekday = (at // DAY + WEEK_STARTS_ON) % 7
    if rhythm is Rhythm.MACHINES:
        return 1.0
    if rhythm is Rhythm.OFFICE:
        is_open = weekday < SATURDAY and 6 <= hour < 17  # noqa: PLR2004  Opening hours.
        return 3.0 if is_open else 0.02
    day = 1 + 0.62 * math.sin((hour - 9) / 24 * 2 * math.pi)
    evening = 0.45 * math.exp(-(((hour - 19.5) / 2) ** 2))
    return (day + evening) * (1.2 if weekday >= SATURDAY else 0.9)


def _pieces(start: float, end: float) -> Iterator[tuple[float, float]]:
    """The time cut at full hours."""
    while start < end:
        piece_end = min(end, (start // HOUR + 1) * HOUR)
        yield start, piece_end
        start = piece_end
