"""The totals of one endpoint and caller, as a row of `lens_use` holds them. Pure.

A row has a constant size, so it does not know all of its days. The number of days is never above
the truth and the longest gap never below it, in whatever order the days arrive.
"""

from dataclasses import dataclass, fields

from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.writing.batches import CallerCalls

_DAY_US = Tier.DAY.value * 1_000_000


@dataclass(slots=True)
class UseTotals:
    """The columns of `models.UseRow` besides its key, in their order."""

    calls: int = 0
    refused: int = 0
    errors_5xx: int = 0
    first_at: int = 0
    last_at: int = 0
    first_day: int = 0
    last_day: int = 0
    days: int = 0
    max_gap: int = 0
    refused_day: int = 0

    def add(self, calls: CallerCalls, *, ahead_us: int) -> None:
        """Add the calls of one day.

        Args:
            calls: Of this endpoint and caller.
            ahead_us: A stored last call after this time, in microseconds since the epoch, came from
                a wrong clock and is overwritten.
        """
        self.calls += calls.calls
        self.refused += calls.refused
        self.errors_5xx += calls.errors_5xx
        if calls.refused:
            self.refused_day = max(self.refused_day, calls.day)
        if calls.last_at_us <= 0:
            return  # All were refused.
        if self.days and self.last_at > ahead_us >= calls.last_at_us:
            # No call can be known to be later than this one.
            self.end_at(calls.last_at_us, calls.day)
        self._add_times(calls.first_at_us, calls.last_at_us)
        self._add_day(calls.day)

    def merge(self, other: "UseTotals", *, is_same_caller: bool = True) -> None:
        """Add further totals of the endpoint.

        Args:
            other: Of the same caller in another database, or of another caller.
            is_same_caller: False if nobody had a gap between the two.
        """
        self.calls += other.calls
        self.refused += other.refused
        self.errors_5xx += other.errors_5xx
        self.refused_day = max(self.refused_day, other.refused_day)
        if not other.days:
            return
        if not self.days:
            self.first_at, self.last_at = other.first_at, other.last_at
            self.first_day, self.last_day = other.first_day, other.last_day
            self.days, self.max_gap = other.days, other.max_gap
            return
        self._add_times(other.first_at, other.last_at)
        between = max(other.first_day - self.last_day, self.first_day - other.last_day)
        # The same days may be among those of both, unless one ended before the other began.
        self.days = self.days + other.days if between > 0 else max(self.days, other.days)
        # A gap of both lies within one of the two ranges, or is what lies between them.
        self.max_gap = max(self.max_gap, other.max_gap, between if is_same_caller else 0)
        self.first_day = min(self.first_day, other.first_day)
        self.last_day = max(self.last_day, other.last_day)

    def begin_at(self, first_at_us: int) -> None:
        """Replace a first call that a wrong clock has booked too early."""
        self.first_at, self.first_day = first_at_us, day_of(first_at_us)
        self.last_at = max(self.last_at, first_at_us)
        self.last_day = max(self.last_day, self.first_day)
        self._bound()

    def end_at(self, last_at_us: int, last_day: int) -> None:
        """Replace a last call that a wrong clock has booked too late."""
        self.last_at, self.last_day = last_at_us, last_day
        self.first_at = min(self.first_at, last_at_us)
        self.first_day = min(self.first_day, last_day)
        self._bound()

    def values(self) -> dict[str, int]:
        """The values by column."""
        return {name: getattr(self, name) for name in TOTALS}

    def _bound(self) -> None:
        # No gap is longer than the time from the first to the last day.
        self.max_gap = min(self.max_gap, self.last_day - self.first_day)
        self.days = min(self.days, self.last_day - self.first_day + 1)

    def _add_times(self, first_at: int, last_at: int) -> None:
        self.first_at = min(self.first_at, first_at) if self.days else first_at
        self.last_at = max(self.last_at, last_at) if self.days else last_at

    def _add_day(self, day: int) -> None:
        if not self.days:
            self.first_day = self.last_day = day
            self.days = 1
        elif day > self.last_day:
            self.days += 1
            self.max_gap = max(self.max_gap, day - self.last_day)
            self.last_day = day
        elif day < self.first_day:
            self.days += 1
            self.max_gap = max(self.max_gap, self.first_day - day)
            self.first_day = day
        # Another day may have been counted before, so it is not counted; it only shortens gaps.


TOTALS = tuple(field.name for field in fields(UseTotals))


def day_of(time_us: int) -> int:
    """The day since the epoch of a time in microseconds."""
    return time_us // _DAY_US
