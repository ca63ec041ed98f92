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

    @property
    def is_worse(self) -> bool:
        """True for a change that somebody should look at first."""
        return self in _WORSE


_WORSE = frozenset({Kind.FAILING_MORE, Kind.SLOWER})


class Measured(StrEnum):
    """What the numbers of a change are."""

    TYPICAL_MS = "typical_ms"
    P95_MS = "p95_ms"
    FAILED_SHARE = "failed_share"
    CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one endpoint.

    Attributes:
        kind: Of the change.
        measured: What `before` and `after` are: milliseconds, a share from 0 to 1, or calls a day;
            of deprecated endpoints calls of the period.
        since: Unix time in seconds; of cold and dead ones the moment at which they became so.
        before: The usual on the 28 days before.
        after: From then on.
        calls_before: On the days before.
        calls_after: From then on.
        until: Unix time in seconds at which it ended; None if it lasts.
        last_call: Unix time in seconds, of cold, dead and deprecated endpoints; None elsewhere.
        release: The release that began within a day of it; "" if none did.
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
        """After by before; None where there was nothing before."""
        return self.after / self.before if self.before else None
