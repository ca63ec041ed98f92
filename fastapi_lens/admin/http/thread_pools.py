"""Threads for what blocks, apart from the host's own pool.

Some read, some change what is stored, and one compares keys.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio.to_thread
from anyio.lowlevel import RunVar

from fastapi_lens.admin.http.fair_queue import FairQueue

READERS = 2
"""So many read at once, so that reports never starve the host's pool. More would wait for the
interpreter most of the time, and each has memory of its own."""

CHANGERS = 2
"""A deletion may take many seconds, in which others read on."""

MAX_WAITING = 100
"""Keys that wait to be compared; a comparison may take 50 ms for each hashed key."""

Answer = TypeVar("Answer")


_readers: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_readers")
_changers: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_changers")
_comparer: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_comparer")
_keys: RunVar[FairQueue] = RunVar("fastapi_lens_keys")


async def in_reader_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks, as soon as one of the threads is free."""
    return await anyio.to_thread.run_sync(work, limiter=_threads(_readers, READERS))


async def in_changing_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks and that somebody has asked for by a form."""
    return await anyio.to_thread.run_sync(work, limiter=_threads(_changers, CHANGERS))


async def in_key_thread(work: Callable[[], Answer], networks: Sequence[str]) -> Answer:
    """Do something with a key, one after the other, so that guesses hold up no pages.

    Args:
        work: A function that blocks.
        networks: Networks of the client; see `FairQueue.turn`.

    Raises:
        BusyError: Too many wait already.
    """
    queue = _keys.get(None)
    if queue is None:
        queue = FairQueue(MAX_WAITING)
        _keys.set(queue)
    async with queue.turn(networks):
        return await anyio.to_thread.run_sync(work, limiter=_threads(_comparer, 1))


def _threads(variable: RunVar[anyio.CapacityLimiter], count: int) -> anyio.CapacityLimiter:
    """The threads of the running event loop."""
    limiter = variable.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(count)
        variable.set(limiter)
    return limiter
