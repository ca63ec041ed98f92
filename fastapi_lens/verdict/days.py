"""UTC days as numbers since the epoch, and holes: days that were not fully observed. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

_EPOCH = date(1970, 1, 1)


def date_of(day: int) -> date:
    """The calendar date of a day number."""
    return _EPOCH + timedelta(days=day)


def day_of(day: date) -> int:
    """The day number of a calendar date."""
    return (day - _EPOCH).days


FOREVER = day_of(date.max)
"""A day that never comes, as the last one of what has no end."""


@dataclass(frozen=True, slots=True)
class Holes:
    """Runs of days that were not fully observed: ascending, disjoint, never adjacent.

    A day belongs to a hole if 60 or more minutes in a row, of which it has at least one, were
    observed by no worker. Shorter interruptions are deployments: the application was down, and
    nobody could call it.

    Attributes:
        firsts: The first day of each run.
        lasts: The last day of each run, of the same length.
    """

    firsts: tuple[int, ...] = ()
    lasts: tuple[int, ...] = ()

    @classmethod
    def of(cls, runs: Iterable[tuple[int, int]]) -> Self:
        """Holes from first and last days, in any order; runs may overlap, those without a day go.

        Args:
            runs: Pairs of the first and the last day, both included.
        """
        firsts: list[int] = []
        lasts: list[int] = []
        for first, last in sorted(run for run in runs if run[0] <= run[1]):
            if lasts and first <= lasts[-1] + 1:
                lasts[-1] = max(lasts[-1], last)
            else:
                firsts.append(first)
                lasts.append(last)
        return cls(tuple(firsts), tuple(lasts))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.firsts, self.lasts, strict=True)

    def __len__(self) -> int:
        return len(self.firsts)

    def overlap(self, first: float, last: float) -> bool:
        """True if a hole has a day between two moments, both included.

        Args:
            first: Days since the epoch, with a fraction where a period has one.
            last: The same, not before `first`.
        """
        index = bisect_right(self.firsts, last) - 1
        return index >= 0 and self.lasts[index] >= first

    def within(self, first: int, last: int) -> "Holes":
        """The holes between two days, both included, cut at these."""
        low, high = bisect_left(self.lasts, first), bisect_right(self.firsts, last)
        if low >= high:
            return NO_HOLES
        firsts, lasts = self.firsts[low:high], self.lasts[low:high]
        return Holes(
            (max(firsts[0], first), *firsts[1:]),
            (*lasts[:-1], min(lasts[-1], last)),
        )

    def after(self, day: int) -> "Holes":
        """The holes after a day, cut at it."""
        return self.within(day + 1, self.lasts[-1]) if self.lasts else NO_HOLES

    def days(self) -> int:
        """The number of days in all holes."""
        return sum(self.lasts) - sum(self.firsts) + len(self.firsts)


NO_HOLES = Holes()
