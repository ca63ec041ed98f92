"""A change of one endpoint. Pure data."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of changes, in the order in which pages show them."""

    FAILING_MORE = "failing_more"
    SLOWER = "slower"
    WENT_DEAD = "went_dead"
    WENT_COLD = "went_cold"
    LESS_TRAFFIC = "less_traffic"
    DEPRECATED_BUT_CALLED = "deprecated_but_called"
    MORE_TRAFFIC = "more_traffic"
    FASTER = "faster"
    RECOVERED = "recovered"


class Measured(StrEnum):
    """Units of the numbers of a change."""

    TYPICAL_MS = "typical_ms"
    P95_MS = "p95_ms"
    FAILED_SHARE = "failed_share"
    CALLS_A_DAY = "calls_a_day"
    CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one endpoint.

    Attributes:
        kind: Of the change.
        measured: Unit of `before` and `after`: milliseconds, a share from 0 to 1, calls a day,
            or calls of as many days before and after.
        since: Unix time in seconds: the begin of the day, the hour or the release from which on it
            holds; of cold and dead endpoints the moment at which they became so.
        before: The usual of the 56 days before.
        after: From `since` on, or from `since` to `until`.
        calls_before: On these 56 days.
        calls_after: From `since` on, or from `since` to `until`.
        until: Unix time in seconds at which an incident ended; None of all that lasts.
        last_call: Unix time in seconds, of cold, dead and deprecated endpoints; None of others.
        release: The release that began within a day of `since`; "" if none did.
    """

    kind: Kind
    measured: Measured
    since: int
    before: float
    after: float
    calls_before: int
    calls_after: int
    until: int | None = None
    last_call: int | None = None
    release: str = ""

    @property
    def ratio(self) -> float | None:
        """After divided by before; None where there was nothing before."""
        return self.after / self.before if self.before else None
