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


class _Pool:
    """Threads of one event loop."""

    def __init__(self, threads: int) -> None:
        self.limiter = anyio.CapacityLimiter(threads)


_readers: RunVar[_Pool] = RunVar("fastapi_lens_readers")
_changers: RunVar[_Pool] = RunVar("fastapi_lens_changers")
_comparer: RunVar[_Pool] = RunVar("fastapi_lens_comparer")
_keys: RunVar[FairQueue] = RunVar("fastapi_lens_keys")


async def in_reader_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks, as soon as one of the threads is free."""
    return await anyio.to_thread.run_sync(work, limiter=_pool(_readers, READERS).limiter)


async def in_changing_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks and that somebody has asked for by a form."""
    return await anyio.to_thread.run_sync(work, limiter=_pool(_changers, CHANGERS).limiter)


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
        return await anyio.to_thread.run_sync(work, limiter=_pool(_comparer, 1).limiter)


def _pool(variable: RunVar[_Pool], threads: int) -> _Pool:
    pool = variable.get(None)
    if pool is None:
        pool = _Pool(threads)
        variable.set(pool)
    return pool
