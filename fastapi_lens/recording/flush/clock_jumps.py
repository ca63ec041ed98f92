"""Correction of times from a clock that was wrong for a while, once it has been set.

A board without a battery starts in 1970 until its time is set, and one with a bad battery may be a
year ahead. Only a second clock that never jumps can show by how much the first one was corrected.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST

_JUMP_SECONDS = 1.0
_MOST_STRETCHES = 16


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A range of times from a wrong clock, and the seconds to add to them."""

    begin: float
    end: float
    shift: float


def steady_seconds() -> float:
    """Seconds of a clock that never jumps; it runs during sleep if the system supports that."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # pragma: no cover  Not on Linux.


class ClockJumps:
    """A monitor of one clock.

    Args:
        clock: Epoch seconds; may jump.
        steady: Seconds of a clock that never jumps.
    """

    def __init__(
        self, clock: Callable[[], float], steady: Callable[[], float] = steady_seconds
    ) -> None:
        """Start at the present times of both clocks."""
        self._clock = clock
        self._steady = steady
        self._begun = self._wall = clock()
        self._counted = steady()
        self._wrong: list[_Stretch] = []

    @property
    def is_set(self) -> bool:
        """True if the clock may be right."""
        return self._clock() >= EARLIEST

    def look(self) -> float:
        """Seconds by which the clock was corrected since the last look; 0.0 if it was not.

        A forward jump from a plausible time is no correction: the machine has slept.
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

    def corrected(self, at: float) -> float:
        """Correct a time that the clock returned.

        Returns:
            A plausible time unchanged; any other time corrected, but at most now. While the clock
            is not set, every time unchanged.
        """
        now = self._clock()
        if EARLIEST <= at <= now + AHEAD_SECONDS or now < EARLIEST:
            return at
        for one in reversed(self._wrong):
            if one.begin <= at <= one.end:
                return max(EARLIEST, min(now, at + one.shift))
        return now
