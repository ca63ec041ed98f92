"""A fair queue that serves one client at a time. Knows no keys and no HTTP."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

MAX_NETWORKS = 10_000
"""Maximum of networks whose latest turn is remembered while anyone waits."""


class BusyError(Exception):
    """Too many are waiting; the client may try again."""


@dataclass(eq=False, slots=True)
class _Waiter:
    networks: Sequence[str]
    called: anyio.Event = field(default_factory=anyio.Event)
    refused: bool = False


class FairQueue:
    """A queue that serves networks, and the smaller networks in each, round robin.

    For use in one event loop.

    Args:
        max_waiting: Maximum of waiting clients. One more evicts the newest of the network with the
            most waiting clients, which may be the new one itself.
    """

    def __init__(self, max_waiting: int) -> None:
        """Start empty."""
        self._max_waiting = max_waiting
        self._waiting: list[_Waiter] = []
        self._is_taken = False
        self._turns = 0
        self._latest: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, networks: Sequence[str]) -> AsyncGenerator[None]:
        """Wait for a turn, and keep it until the end of the block.

        Args:
            networks: Networks of the client, widest first; the same number for every client.

        Raises:
            BusyError: Too many are waiting.
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
        waiter = _Waiter(networks)
        self._waiting.append(waiter)
        if len(self._waiting) > self._max_waiting:
            self._evict_one()
        try:
            await waiter.called.wait()
        except BaseException:
            # Cancelled, perhaps at the same time as the turn came.
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.refused:
                self._call_next()
            raise
        if waiter.refused:
            raise BusyError

    def _evict_one(self) -> None:
        waiting = Counter(name for one in self._waiting for name in one.networks)
        # max finds the first of equals, so reversed means that the newest one is evicted.
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
        # Lists compare the widest network first: one owner of many small ones gets one share.
        following = min(
            self._waiting, key=lambda one: [self._latest.get(name, 0) for name in one.networks]
        )
        self._waiting.remove(following)
        self._note(following.networks)
        # `_is_taken` stays true: a newcomer must not step in before the called one runs.
        following.called.set()

    def _note(self, networks: Sequence[str]) -> None:
        # Forgetting costs some fairness in the next turns; an attacker could fill the memory.
        if len(self._latest) > MAX_NETWORKS:
            self._latest.clear()
        self._turns += 1
        self._latest.update(dict.fromkeys(networks, self._turns))
