"""Status of an endpoint, from its last call only. Pure: no I/O, no clock, no counts."""

from dataclasses import dataclass
from enum import StrEnum

SECONDS_PER_DAY = 86_400


class Status(StrEnum):
    """Status of an endpoint by the age of its last call."""

    ACTIVE = "active"
    COLD = "cold"
    DEAD = "dead"
    NEVER_CALLED = "never_called"


UNUSED = frozenset({Status.DEAD, Status.NEVER_CALLED})
"""The statuses that the report of dead endpoints lists."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Days without a call after which an endpoint is cold, and dead.

    Attributes:
        cold_days: Days, greater than 0.
        dead_days: Days, longer than `cold_days`.
    """

    cold_days: float
    dead_days: float


def classify(last_called_at: float | None, *, now: float, thresholds: Thresholds) -> Status:
    """The status of an endpoint; exact seconds are compared, never rounded days.

    Args:
        last_called_at: Seconds since the epoch; ``None`` when it was never called.
        now: Seconds since the epoch. A last call after it (another host's clock) is active.
        thresholds: The limits in days; an age of exactly the limit is not yet past it.
    """
    if last_called_at is None:
        return Status.NEVER_CALLED
    age_days = (now - last_called_at) / SECONDS_PER_DAY
    if age_days > thresholds.dead_days:
        return Status.DEAD
    if age_days > thresholds.cold_days:
        return Status.COLD
    return Status.ACTIVE
