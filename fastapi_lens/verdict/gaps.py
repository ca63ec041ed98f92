"""Used days and the gaps between them. Pure.

A gap is the difference of two used days that follow each other: 1 where both are neighbours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import sub
from typing import Self

from fastapi_lens.verdict.days import Holes

DAYS_PER_WEEK = 7
TOLERANCE = 3
"""Days by which regular gaps may differ, however short they are."""

FEWEST_GAPS = 3
"""Fewer show no pattern."""

FEWEST_CLEAN_GAPS = 6
"""Gaps that no hole touches, before others may be explained by holes."""


@dataclass(frozen=True, slots=True)
class Uses:
    """The used days of an endpoint, as exact as they are kept.

    Attributes:
        days: Used days, ascending, each once.
        weeks: The first days of used weeks that lie before the days, ascending, each once. Such a
            week was used on one of its seven days or more.
    """

    days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()

    @classmethod
    def of(cls, days: Iterable[int] = (), weeks: Iterable[int] = ()) -> Self:
        """Uses from days and first days of weeks, in any order and repeated or not."""
        return cls(tuple(sorted(set(days))), tuple(sorted(set(weeks))))

    @property
    def count(self) -> int:
        """Used days, a used week counted as one."""
        return len(self.days) + len(self.weeks)

    @property
    def first(self) -> int | None:
        """The first used day, that of its week where only weeks are kept; None without a use."""
        return min((*self.weeks[:1], *self.days[:1]), default=None)

    @property
    def last(self) -> int | None:
        """The last used day, or the last of its week; None without a use."""
        last_week = (week + DAYS_PER_WEEK - 1 for week in self.weeks[-1:])
        return max((*last_week, *self.days[-1:]), default=None)

    @property
    def span(self) -> int:
        """Days from the first to the last use; 0 where there is one or none."""
        return 0 if self.first is None or self.last is None else self.last - self.first


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps between uses.

    Attributes:
        lengths: Days, oldest first. Those between weeks are exact to 6 days more or less.
        ordered: The same lengths, ascending.
        longest_of_weeks: The longest of those that are known to the week only; 0 without one.
        explained: The number of those that were left out, because holes explain them.
    """

    lengths: tuple[int, ...] = ()
    ordered: tuple[int, ...] = ()
    longest_of_weeks: int = 0
    explained: int = 0

    @property
    def longest(self) -> int:
        """Days of the longest gap that is possible; 0 without a gap."""
        of_weeks = self.longest_of_weeks + DAYS_PER_WEEK - 1 if self.longest_of_weeks else 0
        return max(of_weeks, *self.ordered[-1:], 0)


def gaps_of(uses: Uses, holes: Holes) -> Gaps:
    """The gaps between uses, without those that holes explain.

    Weeks that follow each other tell no gap. It is taken to be the median of the gaps between
    days, so that a use looks the same when its days are no longer kept, and at most a week.

    Args:
        uses: Of one endpoint.
        holes: Only those between uses matter.
    """
    of_days = tuple(map(sub, uses.days[1:], uses.days))
    usual = min(DAYS_PER_WEEK, median_of(sorted(of_days))) if of_days else DAYS_PER_WEEK
    of_weeks = [
        later - earlier if later - earlier > DAYS_PER_WEEK else usual
        for earlier, later in pairwise(uses.weeks)
    ]
    if uses.weeks and uses.days:
        # A week's use may lie on its last day.
        edge = uses.days[0] - uses.weeks[-1]
        of_weeks.append(edge if edge > 2 * DAYS_PER_WEEK - 1 else usual)
    lengths = (*of_weeks, *of_days)
    begins = (*uses.weeks, *uses.days)[: len(lengths)]
    explained = _explained_by(holes, begins, lengths)
    if explained:
        kept = [index for index in range(len(lengths)) if index not in explained]
        of_weeks = [lengths[index] for index in kept if index < len(of_weeks)]
        lengths = tuple(lengths[index] for index in kept)
    return Gaps(
        lengths=lengths,
        ordered=tuple(sorted(lengths)),
        longest_of_weeks=max((each for each in of_weeks if each > DAYS_PER_WEEK), default=0),
        explained=len(explained),
    )


def is_regular(lengths: Sequence[int], *, tolerance: int) -> bool:
    """True if gaps differ by no more than a tolerance or a fifth of their median.

    Args:
        lengths: Days, ascending, at least one.
        tolerance: Days.
    """
    return lengths[-1] - lengths[0] <= max(tolerance, 0.2 * median_of(lengths))


def median_of(lengths: Sequence[int]) -> int:
    """The upper median of lengths in ascending order, at least one."""
    return lengths[len(lengths) // 2]


def _explained_by(holes: Holes, begins: Sequence[int], lengths: Sequence[int]) -> frozenset[int]:
    """The gaps, by index, in which all uses that were due fall into holes; the rest is regular."""
    if len(lengths) <= FEWEST_CLEAN_GAPS or not holes.overlap(begins[0], begins[-1] + lengths[-1]):
        return frozenset()
    touched = {
        index
        for index, length in enumerate(lengths)
        if length > 1 and holes.overlap(begins[index] + 1, begins[index] + length)
    }
    if not touched or len(lengths) - len(touched) < FEWEST_CLEAN_GAPS:
        return frozenset()
    clean = sorted(length for index, length in enumerate(lengths) if index not in touched)
    # Nothing is due in an irregular use.
    if not is_regular(clean, tolerance=TOLERANCE):
        return frozenset()
    period = median_of(clean)
    return frozenset(
        index for index in touched if _is_explained(begins[index], lengths[index], period, holes)
    )


def _is_explained(begin: int, length: int, period: int, holes: Holes) -> bool:
    """True if uses were due in a gap, and a hole has the time of each."""
    # A daily use is due on each day, so none comes early or late.
    slack = 0 if period == 1 else max(1, round(0.1 * period))
    due = range(begin + period, begin + length - slack, period)
    return bool(due) and all(holes.overlap(day - slack, day + slack) for day in due)
