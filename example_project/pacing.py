"""When the next request is due: a rate with rhythm and bursts. Sends nothing."""

import asyncio
import math
import time
from collections.abc import Callable
from random import Random

DEFAULT_RATE = 6.0
"""Requests a second: enough to watch, and not so many that the history looks empty beside it."""

SWING = 0.3
SWING_SECONDS = 97.0
BURST_FACTOR = 1.8
BURST_SECONDS = 7.0
BURST_EVERY_SECONDS = 43.0
LONGEST_LAG_SECONDS = 1.0


class EnoughError(Exception):
    """All requests that were asked for are sent; ends a client."""


def rate_at(seconds: float, *, mean: float) -> float:
    """Requests a second at a time: a slow wave, and a burst now and then.

    Args:
        seconds: Since the traffic began.
        mean: Requests a second over a long time.
    """
    share = BURST_SECONDS / BURST_EVERY_SECONDS
    base = mean / (1 + share * (BURST_FACTOR - 1))
    wave = 1 + SWING * math.sin(2 * math.pi * seconds / SWING_SECONDS)
    is_burst = seconds % BURST_EVERY_SECONDS > BURST_EVERY_SECONDS - BURST_SECONDS
    return base * wave * (BURST_FACTOR if is_burst else 1.0)


class Pacer:
    """Hands out turns to all clients, so that together they keep the rate.

    Args:
        mean: Requests a second.
        chance: For the gaps, which are as irregular as those between real visitors.
        most: Turns in all; None for no end.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        mean: float,
        chance: Random,
        *,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now."""
        self._mean = mean
        self._chance = chance
        self._most = most
        self._clock = clock
        self._began = self._due = clock()
        self.turns = 0

    async def turn(self) -> None:
        """Wait for the next turn.

        Raises:
            EnoughError: There is none left.
        """
        if self._most is not None and self.turns >= self._most:
            raise EnoughError
        self.turns += 1
        now = self._clock()
        # What a slow server has kept us from sending is not sent all at once afterwards.
        self._due = max(self._due, now - LONGEST_LAG_SECONDS)
        self._due += self._chance.expovariate(rate_at(now - self._began, mean=self._mean))
        await asyncio.sleep(max(0.0, self._due - now))
