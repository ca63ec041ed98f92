"""The day on which a silence has lasted long enough, as far as anybody could see. Pure.

A day that was not observed is not silence. Without a known period, every hole begins the silence
again. With one, a caller in a hole would also have called a period earlier or later: the hole
counts as seen as soon as one of these times was observed in the same silence.
"""

from bisect import bisect_right
from dataclasses import dataclass
from math import floor

from fastapi_lens.verdict.days import Holes

PERIODS_BACK = 3
PERIODS_AHEAD = 12
"""Periods before and after a hole in which its days may be seen; then the silence begins anew."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The period of a use that has to be excluded.

    Attributes:
        period: Days.
        slack: Days by which a use may come early or late.
    """

    period: float
    slack: float


QUARTERLY = Clock(92, 8)
YEARLY = Clock(365.25, 35)


def clear_day(start: int, need: float, holes: Holes, clock: Clock | None = None) -> int:
    """The first day on which a silence has been long enough.

    A further hole after the start never makes it earlier: it only adds to what has to be seen.

    Args:
        start: The day of the last use; the silence begins the day after.
        need: Days that the silence must last.
        holes: All that are known; those up to `start` change nothing.
        clock: The period of the use, None where it has none.
    """
    until = start + need
    for index in range(bisect_right(holes.lasts, start), len(holes)):
        first, last = max(holes.firsts[index], start + 1), holes.lasts[index]
        if first > until:
            break
        if clock is None:
            until = last + need
        elif not _was_seen_before(first, last, start, holes, clock):
            until = max(until, _seen_after(first, last, need, holes, clock))
    return floor(until) + 1


def _was_seen_before(first: int, last: int, start: int, holes: Holes, clock: Clock) -> bool:
    """True if the days one to three periods before a hole were silent and observed."""
    for count in range(1, PERIODS_BACK + 1):
        low = first - count * clock.period - clock.slack
        # Days up to the last use show nothing of the silence.
        if low <= start:
            return False
        if not holes.overlap(low, last - count * clock.period + clock.slack):
            return True
    return False


def _seen_after(first: int, last: int, need: float, holes: Holes, clock: Clock) -> float:
    """The end of the first time, a number of periods after a hole, that no hole touches."""
    for count in range(1, PERIODS_AHEAD + 1):
        ahead = count * clock.period
        if not holes.overlap(first + ahead - clock.slack, last + ahead + clock.slack):
            return last + ahead + clock.slack
    return last + need + PERIODS_AHEAD * clock.period
