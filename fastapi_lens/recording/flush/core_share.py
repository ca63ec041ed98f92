"""Share of one processor core that the threads of a lens use. Knows no database and no request."""

import time
from collections import deque
from collections.abc import Callable
from threading import get_ident

WINDOW_SECONDS = 60.0
"""The share is that of the last minute: a single flush says little."""

SHORTEST_SECONDS = 5.0
"""Shortest time to report on: the CPU clock of a thread may not advance within a shorter one."""

MILLIONTHS = 1_000_000


class CoreShare:
    """CPU time of one thread, and of what `add` runs in another, divided by the time that passed.

    Args:
        cpu_seconds: CPU time of the calling thread.
        wall_seconds: Time that never goes back.
    """

    def __init__(
        self,
        cpu_seconds: Callable[[], float] = time.thread_time,
        wall_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Measure no thread yet."""
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._thread: int | None = None
        self._added = 0.0
        self._samples: deque[tuple[float, float]] = deque()
        self._ppm: int | None = None

    def begin(self) -> None:
        """Measure the calling thread from now on."""
        self._thread, self._ppm = get_ident(), None
        self._samples.clear()
        self._sample()

    def add(self, work: Callable[[], object]) -> None:
        """Do work in one other thread, whose CPU time counts as well."""
        begun = self._cpu_seconds()
        work()
        self._added += self._cpu_seconds() - begun

    def ppm(self) -> int | None:
        """Millionths of one core over the last minute, or since the start; None before 5 s.

        Other threads get the latest result of the measured thread.
        """
        # `thread_time` is that of the calling thread.
        if get_ident() == self._thread:
            self._sample()
            (begun, used_before), (now, used) = self._samples[0], self._samples[-1]
            if now - begun >= SHORTEST_SECONDS:
                self._ppm = round((used - used_before) / (now - begun) * MILLIONTHS)
        return self._ppm

    def _sample(self) -> None:
        """Record both clocks, and forget samples that the last minute does not need."""
        now = self._wall_seconds()
        self._samples.append((now, self._cpu_seconds() + self._added))
        # The second one decides, because one from before the window is subtracted.
        while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW_SECONDS:
            self._samples.popleft()
