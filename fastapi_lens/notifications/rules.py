"""The rules of alerts: whether one holds for an endpoint. Pure; no I/O, no clock.

A rule begins at a limit and ends well below it, and says nothing where there are too few calls.
"""

from dataclasses import dataclass

HOUR = 3_600
LATEST = 900
"""Seconds of the two windows in which calls are counted. An alert begins if both exceed the limit:
the hour has enough calls, and the latest minutes show that it still goes on."""

FEWEST_CALLS = 50
"""Calls of the hour without which no share and no p95 is judged."""

FEWEST_FAILURES = 10
"""Calls with 5xx in the hour that an alert needs, so that a few errors are none."""

FEWEST_LATEST = 20
"""Calls of the latest minutes that show the end of an alert, or that it is slow."""

ENDS_AT_SHARE = 0.5
ENDS_AT_P95 = 0.8
"""Parts of the limits at which an alert ends."""

CALLED_SECONDS = 86_400
"""A deprecated endpoint is called if its last call is at most this old."""

QUIET_SECONDS = 7 * 86_400
"""It is no longer called after so long."""


@dataclass(frozen=True, slots=True)
class Load:
    """Calls of one endpoint in a window.

    Attributes:
        failed: Those with 5xx.
        p95_ms: Milliseconds; 0 without calls.
    """

    calls: int = 0
    failed: int = 0
    p95_ms: float = 0.0

    @property
    def share(self) -> float:
        """Calls with 5xx as a share of all, from 0 to 1; 0 without calls."""
        return self.failed / self.calls if self.calls else 0.0


def fails(hour: Load, latest: Load, *, limit: float) -> bool | None:
    """True if the share of 5xx exceeds a limit, False if it is half of it or less, else None.

    Args:
        hour: The calls of the last hour.
        latest: Those of its last minutes.
        limit: A share from 0 to 1.
    """
    is_enough = hour.calls >= FEWEST_CALLS and hour.failed >= FEWEST_FAILURES
    if is_enough and hour.share > limit and latest.share > limit:
        return True
    is_over = latest.calls >= FEWEST_LATEST and latest.share <= limit * ENDS_AT_SHARE
    is_low = hour.calls >= FEWEST_CALLS and hour.share <= limit * ENDS_AT_SHARE
    return False if is_over or is_low else None


def is_slow(hour: Load, latest: Load, *, limit_ms: float) -> bool | None:
    """True if the p95 exceeds a limit, False if it is a fifth below it, else None."""
    is_enough = hour.calls >= FEWEST_CALLS
    is_known = latest.calls >= FEWEST_LATEST
    if is_enough and is_known and min(hour.p95_ms, latest.p95_ms) > limit_ms:
        return True
    is_over = is_known and latest.p95_ms <= limit_ms * ENDS_AT_P95
    is_low = is_enough and hour.p95_ms <= limit_ms * ENDS_AT_P95
    return False if is_over or is_low else None


def is_called(last_called_at: float | None, *, deprecated: bool, now: float) -> bool | None:
    """True if a deprecated endpoint was called today, False if not for a week, else None."""
    if not deprecated or last_called_at is None or now - last_called_at > QUIET_SECONDS:
        return False
    return True if now - last_called_at <= CALLED_SECONDS else None
