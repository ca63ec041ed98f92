"""A queue for one at a time in which no network holds up the others. Knows no keys and no HTTP."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

MAX_NETWORKS = 10_000
"""Networks whose latest turn is remembered while somebody waits."""


class BusyError(Exception):
    """More wait than may; whoever is told so may try again."""


@dataclass(eq=False, slots=True)
class _Waiter:
    networks: Sequence[str]
    called: anyio.Event = field(default_factory=anyio.Event)
    refused: bool = False


class FairQueue:
    """Gives turns to networks, and within each to the smaller networks in it, round robin.

    Of one event loop.

    Args:
        max_waiting: So many wait at most. One more pushes out the newest of the network that has
            most of them waiting, which may be itself.
    """

    def __init__(self, max_waiting: int) -> None:
        """Nobody waits."""
        self._max_waiting = max_waiting
        self._waiting: list[_Waiter] = []
        self._is_taken = False
        self._turns = 0
        self._latest: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, networks: Sequence[str]) -> AsyncGenerator[None]:
        """Wait, and have the turn until the end of the block.

        Args:
            networks: Of who waits, widest first, for everybody as many.

        Raises:
            BusyError: Too many wait.
        """
        await self._wait(networks)
        try:
            yield
        finally:
            self._call_next()

    async def _wait(self, networks: Sequence[str]) -> None:
        if not self._is_taken:
            self._is_taken = True
            self._note(networks)
            return
        mine = _Waiter(networks)
        self._waiting.append(mine)
        if len(self._waiting) > self._max_waiting:
            self._push_one_out()
        try:
            await mine.called.wait()
        except BaseException:
            # Given up. The turn may have come in the same moment.
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.refused:
                self._call_next()
            raise
        if mine.refused:
            raise BusyError

    def _push_one_out(self) -> None:
        waiting = Counter(name for one in self._waiting for name in one.networks)
        most = max(
            reversed(self._waiting), key=lambda one: [waiting[name] for name in one.networks]
        )
        self._waiting.remove(most)
        most.refused = True
        most.called.set()

    def _call_next(self) -> None:
        if not self._waiting:
            self._is_taken = False
            self._latest.clear()
            return
        following = min(
            self._waiting, key=lambda one: [self._latest.get(name, 0) for name in one.networks]
        )
        self._waiting.remove(following)
        self._note(following.networks)
        following.called.set()

    def _note(self, networks: Sequence[str]) -> None:
        if len(self._latest) > MAX_NETWORKS:
            self._latest.clear()
        self._turns += 1
        self._latest.update(dict.fromkeys(networks, self._turns))
