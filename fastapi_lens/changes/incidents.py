"""Incidents: hours in which far more calls failed than usual. Pure.

An incident lasts until calls show that it is over: an hour without calls ends nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, sqrt

from fastapi_lens.changes.rows import Row

FEWEST_FAILURES = 10
"""Failed calls that an hour must have beyond the usual."""

LEAST_POINTS = 0.1
"""Least excess of the share of failed calls over the usual: 10 points."""

DEVIATIONS = 5.0
"""Standard deviations by chance, of the number of calls of an hour."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Hours in which calls failed.

    Attributes:
        hours: Those that stand out: at least one, ascending.
        is_over: True if later calls show that it ended.
    """

    hours: tuple[Row, ...]
    is_over: bool

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
        return _share(self.hours)


def incidents_of(hours: Sequence[Row], usual: float) -> tuple[Incident, ...]:
    """The incidents among some hours, the oldest first; only the last may not be over.

    Args:
        hours: Ascending.
        usual: The usual share of failed calls: 0 to 1.
    """
    found: list[Incident] = []
    current: list[Row] = []
    later: list[Row] = []
    for hour in hours:
        if _stands_out(hour, usual):
            current.append(hour)
            later.clear()
        elif current:
            later.append(hour)
            if _is_over(current, later, usual):
                found.append(Incident(tuple(current), is_over=True))
                current.clear()
                later.clear()
    return (*found, Incident(tuple(current), is_over=False)) if current else tuple(found)


def _is_over(hours: Sequence[Row], later: Sequence[Row], usual: float) -> bool:
    """True if so many calls came later that ten of them would have failed, and too few did."""
    share = _share(hours)
    calls = sum(hour.calls for hour in later)
    return calls * share >= FEWEST_FAILURES and _share(later) < (usual + share) / 2


def _share(hours: Sequence[Row]) -> float:
    return sum(hour.failures for hour in hours) / sum(hour.calls for hour in hours)


def _stands_out(hour: Row, usual: float) -> bool:
    """True if an hour has more failed calls than chance explains, on the scale of arcsines."""
    if hour.failures < usual * hour.calls + FEWEST_FAILURES:
        return False
    share = hour.failures / hour.calls
    distance = asin(sqrt(share)) - asin(sqrt(usual))
    return share >= usual + LEAST_POINTS and distance * 2 * sqrt(hour.calls) >= DEVIATIONS
