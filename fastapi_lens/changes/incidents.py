"""Incidents: hours in which far more calls failed than usual. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, sqrt

from fastapi_lens.changes.rows import Row

FEWEST_FAILURES = 10
"""Failed calls that an hour must have beyond the usual."""

LEAST_POINTS = 0.1
"""What the share of failed calls must lie above the usual: 10 points."""

DEVIATIONS = 5.0
"""Standard deviations by chance, of the number of calls of an hour."""

_HOUR = 3_600
_MOST_APART = 2 * _HOUR
"""Two hours with at most one quiet hour between them are one incident."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Hours in a row in which calls failed.

    Attributes:
        hours: At least one, ascending.
    """

    hours: tuple[Row, ...]

    @property
    def begin(self) -> int:
        """Unix time in seconds."""
        return self.hours[0].begin

    @property
    def end(self) -> int:
        """Unix time in seconds."""
        return self.hours[-1].end

    @property
    def calls(self) -> int:
        """Calls of these hours."""
        return sum(hour.calls for hour in self.hours)

    @property
    def share(self) -> float:
        """The share of failed calls: 0 to 1."""
        return sum(hour.failures for hour in self.hours) / self.calls


def incidents_of(hours: Sequence[Row], usual: float) -> tuple[Incident, ...]:
    """The incidents among some hours, the oldest first.

    Args:
        hours: Ascending.
        usual: The usual share of failed calls: 0 to 1.
    """
    found: list[list[Row]] = []
    for hour in hours:
        if _stands_out(hour, usual):
            if found and hour.begin - found[-1][-1].begin <= _MOST_APART:
                found[-1].append(hour)
            else:
                found.append([hour])
    return tuple(Incident(tuple(each)) for each in found)


def _stands_out(hour: Row, usual: float) -> bool:
    """True if an hour has more failed calls than chance explains, on the scale of arcsines."""
    if hour.failures < usual * hour.calls + FEWEST_FAILURES:
        return False
    share = hour.failures / hour.calls
    distance = asin(sqrt(share)) - asin(sqrt(usual))
    return share >= usual + LEAST_POINTS and distance * 2 * sqrt(hour.calls) >= DEVIATIONS
