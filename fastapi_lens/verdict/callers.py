"""Callers of an endpoint, and how long each one's silence must be. Pure.

A total hides a rare caller behind a frequent one. A ledger of callers does not: each has a row of
its own, of constant size, and a silence of its own to wait for.
"""

from dataclasses import dataclass

from fastapi_lens.verdict.days import Holes
from fastapi_lens.verdict.gaps import TOLERANCE
from fastapi_lens.verdict.needs import FEWEST_USES, FLOOR, LEFT_OUT, QUARTER, YEAR
from fastapi_lens.verdict.silence import QUARTERLY, YEARLY, clear_day

SHORTEST_SPAN = 60
"""Days from a caller's first to its last use, below which a yearly return is not excluded."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller of one endpoint, as its row in the ledger tells.

    Attributes:
        name: As pages show it.
        first_day: Of its first use.
        last_day: Of its last use.
        days: Used days; counted too low where workers wrote late.
        longest_gap: Days between two of its uses; never below the truth.
        is_noise: True for a bot, a health check or a test, whose calls do not count as use.
        is_several: True for several callers in one row, with the longest gap of them all, and
            where a row does not tell how often anybody came.
    """

    name: str
    first_day: int
    last_day: int
    days: int
    longest_gap: int
    is_noise: bool = False
    is_several: bool = False

    @property
    def order(self) -> tuple[int, str, int, int, int]:
        """A key that sorts callers the same way wherever they come from: the latest first."""
        return (-self.last_day, self.name, self.first_day, self.days, self.longest_gap)

    @property
    def is_rare(self) -> bool:
        """Too few uses to know how often it comes, so that it may be once a year."""
        return self.days < FEWEST_USES or self.last_day - self.first_day < SHORTEST_SPAN


@dataclass(frozen=True, slots=True)
class Ledger:
    """The callers of one endpoint.

    Attributes:
        since: The first day from which on every use was attributed to a caller.
        callers: In any order.
        is_complete: True if no caller is under "others", and no call was dropped, in the 400
            days before the last use.
    """

    since: int
    callers: tuple[Caller, ...]
    is_complete: bool = True


def days_of_caller(caller: Caller, start: int, holes: Holes) -> tuple[int, int]:
    """The first days on which a caller's silence is enough for probably and for safe.

    With g its longest gap: 1.5 * g for probably, and for safe 3 * g, or where it came steadily
    1.5 * g or, with one use left out, 2.1 * g; a floor is added, and nothing is less than 100 days.
    A rare one may come once a year: 400 days, and no hole in that year is tolerated. Among several,
    each may be a rare one, or none: whatever takes longer.

    Args:
        caller: No noise.
        start: The day of its last use, or a later one before which it could not call.
        holes: All that are known.
    """
    if caller.is_several:
        return _days_of_several(caller.longest_gap, start, holes)
    probably, safe = _needs_of_caller(caller)
    if safe >= YEAR:
        return clear_day(start, probably, holes, QUARTERLY), clear_day(start, safe, holes, YEARLY)
    return clear_day(start, probably, holes), clear_day(start, safe, holes)


def _days_of_several(gap: int, start: int, holes: Holes) -> tuple[int, int]:
    """The latest days that any caller with a gap of at most this length can ask for."""
    probably, safe = 1.5 * gap + FLOOR, max(QUARTER, 3 * gap + FLOOR)
    rare_probably, rare_safe = max(QUARTER, 2 * gap + FLOOR), max(YEAR, safe)
    return (
        max(
            clear_day(start, rare_probably, holes, QUARTERLY),
            # Without a clock for a year at most: whoever needs more is judged with one.
            clear_day(start, min(probably, YEAR), holes),
        ),
        max(clear_day(start, rare_safe, holes, YEARLY), clear_day(start, min(safe, YEAR), holes)),
    )


def _needs_of_caller(caller: Caller) -> tuple[float, float]:
    gap = caller.longest_gap
    if caller.is_rare:
        return max(QUARTER, 2 * gap + FLOOR), YEAR
    # Whoever is not rare has four days or more.
    mean = (caller.last_day - caller.first_day) / (caller.days - 1)
    is_steady = gap <= 2 * mean + TOLERANCE
    steady = max(1.5 * gap + FLOOR, LEFT_OUT * gap + TOLERANCE)
    return 1.5 * gap + FLOOR, max(QUARTER, steady if is_steady else 3 * gap + FLOOR)
