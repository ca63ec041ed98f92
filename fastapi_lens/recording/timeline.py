"""A clock that may be wrong for a while, and what it said then by what it says now.

A board without a battery begins in 1970 until its time is set, and one with a bad one may be a
year ahead. Only a second clock that never jumps can tell how much the first one was corrected by.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastapi_lens.storage.clocks import AHEAD_SECONDS, EARLIEST

_JUMP_SECONDS = 1.0
_MOST_STRETCHES = 16


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Times that a clock told while it was wrong, and what has to be added to them."""

    begin: float
    end: float
    shift: float


def steady_seconds() -> float:
    """Seconds that never jump, and that pass while the machine sleeps where that can be had."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # pragma: no cover  Not on Linux.


class Timeline:
    """Watches one clock.

    Args:
        clock: Epoch seconds; may jump.
        steady: Seconds that do not.
    """

    def __init__(
        self, clock: Callable[[], float], steady: Callable[[], float] = steady_seconds
    ) -> None:
        """Begin with what the clocks say now."""
        self._clock = clock
        self._steady = steady
        self._begun = self._wall = clock()
        self._counted = steady()
        self._wrong: list[_Stretch] = []

    @property
    def is_set(self) -> bool:
        """Whether the clock may be right."""
        return self._clock() >= EARLIEST

    def look(self) -> float:
        """Seconds by which the clock was set right since the last look; 0.0 when it was not.

        A jump forwards from a time that may be right is none: the machine has slept.
        """
        wall, counted = self._clock(), self._steady()
        passed = counted - self._counted
        jump = wall - self._wall - passed
        until = self._wall + passed
        self._wall, self._counted = wall, counted
        if abs(jump) < _JUMP_SECONDS:
            return 0.0
        begun, self._begun = self._begun, wall - passed
        was_ahead = jump < -AHEAD_SECONDS and wall >= EARLIEST
        if not was_ahead and until >= EARLIEST:
            return 0.0
        before = [replace(one, shift=one.shift + jump) for one in self._wrong]
        self._wrong = [*before, _Stretch(begun, until, jump)][-_MOST_STRETCHES:]
        return jump

    def mended(self, at: float) -> float:
        """What the clock would have said, had it been right, when it said this.

        Returns:
            A time that may be right as it is. Of others, never more than now; as it is while
            the clock is not set.
        """
        now = self._clock()
        if EARLIEST <= at <= now + AHEAD_SECONDS or now < EARLIEST:
            return at
        for one in reversed(self._wrong):
            if one.begin <= at <= one.end:
                return max(EARLIEST, min(now, at + one.shift))
        return now
