"""Correction of times from a clock that was wrong for a while.

A board without a battery starts in 1970 until its time is set, and a virtual machine may be a year
behind for a second. Only a second clock that never jumps can show how far the first one jumped, and
only time can tell which of both settings was wrong: the one that lasted longer is right.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST

CERTAIN_SECONDS = 86_400.0
"""A clock that has kept its setting for this long is right."""

DOUBT_SECONDS = 3_600.0
"""A clock that steps back after it was right is not followed for this long."""

LONGEST_PAUSE_SECONDS = 120.0
"""Longest time between two looks of a process that ran all the time; each minute has one."""

_JUMP_SECONDS = 1.0
_ROUNDING_SECONDS = 0.001
_MOST_STRETCHES = 16


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A range of times from one setting of the clock, and its distance from the steady clock."""

    begin: float
    end: float
    offset: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A range of times that turned out to be wrong, and the seconds to add to them."""

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

    Jumps of a day and less are followed, and move nothing. After a step back, the setting before it
    is taken for wrong unless it has lasted for a day; if the clock returns to it, the setting
    between was the wrong one. Any other jump forward moves nothing, because the machine may have
    slept, unless the clock was known to be behind. A clock that steps back from a setting that has
    lasted for a day is not followed for an hour.

    Args:
        clock: Epoch seconds; may jump.
        steady: Seconds of a clock that never jumps.

    Attributes:
        unbroken_since: Time of the clock since which it has not jumped, was not in doubt, and the
            process has not paused, as far as the last look shows.
        has_jumped: True if it has jumped at all.
    """

    def __init__(
        self, clock: Callable[[], float], steady: Callable[[], float] = steady_seconds
    ) -> None:
        """Start at the present times of both clocks."""
        self._clock = clock
        self._steady = steady
        self._begun = self.unbroken_since = clock()
        self._since = self._looked = steady()
        self._offset = self._begun - self._since
        self._certain: float | None = None
        self._doubt: _Stretch | None = None
        self._doubted = 0.0
        self._wrong: list[_Stretch] = []
        self._is_behind = self.has_jumped = False

    @property
    def is_set(self) -> bool:
        """True if the clock may be right."""
        return self._clock() >= EARLIEST

    @property
    def is_certain(self) -> bool:
        """True if the clock has kept its present setting for a day, with interruptions or not."""
        return self._doubt is None and self._is_near_certain()

    def _is_near_certain(self) -> bool:
        return self._certain is not None and abs(self._offset - self._certain) <= AHEAD_SECONDS

    def now(self) -> float:
        """Epoch seconds; the clock's own unless it has just stepped back from a certain time."""
        if self._doubt is None:
            return self._clock()
        return self._steady() + self._offset

    def suspect(self) -> None:
        """Note that something was recorded at times ahead of the clock's present setting."""
        self._is_behind = True

    def look(self) -> Moved | None:
        """Check if the clock was set since the last look.

        Returns:
            The times up to now that turned out to be wrong, as `now` and `corrected` returned
            them; None if there are none.
        """
        wall, steady = self._clock(), self._steady()
        passed, self._looked = steady - self._looked, steady
        expected = self._offset + steady
        jump = wall - expected
        is_broken = abs(jump) >= _JUMP_SECONDS or self._doubt is not None
        self.has_jumped |= is_broken
        if is_broken or passed > LONGEST_PAUSE_SECONDS:
            self.unbroken_since = wall
        if abs(jump) < _JUMP_SECONDS or (abs(jump) <= AHEAD_SECONDS and expected >= EARLIEST):
            self._end_doubt(steady)
            self._offset += jump
            if steady - self._since >= CERTAIN_SECONDS and wall >= EARLIEST:
                self._certain = self._offset
            return None
        begin, moved = wall - passed, None
        if jump < 0 and self._certain is not None and not self._is_near_certain():
            certain = self._certain + steady
            if certain - wall > AHEAD_SECONDS:
                # From a wrong time ahead to one behind: the right one lies between them.
                moved = self._follow(certain, steady, begin=certain - passed)
        if jump < 0 and self._doubts(wall, steady, begin=begin):
            return moved
        return self._follow(wall, steady, begin=begin)

    def corrected(self, at: float) -> float:
        """Correct a time that the clock returned.

        Returns:
            A plausible time from a right setting unchanged; any other time corrected, but at most
            now. While the clock is not set, every time unchanged.
        """
        now = self.now()
        if now < EARLIEST:
            return at
        wrong = self._wrong
        if self._doubt is not None:
            wrong = [*wrong, replace(self._doubt, end=self._clock())]
        for one in reversed(wrong):
            shift = self._offset - one.offset
            # A time ahead of now may come true: then it is no longer the wrong one.
            if one.begin <= at <= one.end and (shift > _JUMP_SECONDS or at > now + AHEAD_SECONDS):
                return max(EARLIEST, min(now, at + shift))
        return at if EARLIEST <= at <= now + AHEAD_SECONDS else now

    def _doubts(self, wall: float, steady: float, *, begin: float) -> bool:
        """True while a step back is not followed."""
        if self._doubt is None:
            if not self.is_certain:
                return False
            self._doubted = steady
        elif steady - self._doubted >= DOUBT_SECONDS:
            return False
        offset = wall - steady
        if self._doubt is None or abs(offset - self._doubt.offset) >= _JUMP_SECONDS:
            self._end_doubt(steady)
            self._doubt = _Stretch(begin, begin, offset)
        return True

    def _end_doubt(self, steady: float) -> None:
        """Note the times of a setting that was not followed."""
        if self._doubt is not None:
            end = self._doubt.offset + steady + _ROUNDING_SECONDS
            self._note(replace(self._doubt, end=end))
            self._doubt = None

    def _follow(self, wall: float, steady: float, *, begin: float) -> Moved | None:
        """Believe the clock's new setting."""
        shift = wall - steady - self._offset
        expected = self._offset + steady + _ROUNDING_SECONDS
        wrong: _Stretch | None = None
        if self._doubt is not None and shift < 0:
            doubted = self._doubted + self._offset - _ROUNDING_SECONDS
            wrong = _Stretch(doubted, expected, self._offset)
            begin, self._doubt = self._doubt.begin, None
        elif self._doubt is not None:
            self._end_doubt(steady)
        elif not self.is_certain and self._was_wrong(wall - steady, expected):
            wrong = _Stretch(self._begun, expected, self._offset)
            # What is moved to the new setting moves back with it.
            begin = self._begun + shift - _ROUNDING_SECONDS
        self._offset, self._begun, self._since = wall - steady, begin, steady
        self._is_behind = False
        if wrong is None:
            return None
        self._note(wrong)
        if wall < EARLIEST:
            return None
        return Moved(wrong.begin, wrong.end, shift)

    def _was_wrong(self, offset: float, expected: float) -> bool:
        """True if the present setting was wrong, now that the clock has another one."""
        if offset < self._offset or expected < EARLIEST or self._is_behind:
            return True
        known = [one.offset for one in self._wrong]
        if self._certain is not None:
            known.append(self._certain)
        return any(abs(offset - one) <= AHEAD_SECONDS for one in known)

    def _note(self, wrong: _Stretch) -> None:
        # A clock that keeps jumping must not fill the memory.
        self._wrong = [*self._wrong, wrong][-_MOST_STRETCHES:]
