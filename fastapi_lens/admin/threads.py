"""Threads for what blocks, apart from the host's own pool.

Some read, some change what is stored, and one compares keys.
"""

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio.lowlevel import RunVar

READERS = 2
"""So many read at once, so that reports never starve the host's pool. More would wait for the
interpreter most of the time, and each has memory of its own."""

CHANGERS = 2
"""A deletion may take many seconds, in which others read on."""

MAX_WAITING = 100
"""Keys that wait to be compared; a comparison may take 50 ms for each hashed key."""

Answer = TypeVar("Answer")


class BusyError(Exception):
    """More keys wait to be compared than may; whoever has sent one more is told to try again."""


class _Pool:
    """Threads of one event loop."""

    def __init__(self, threads: int) -> None:
        self.limiter = anyio.CapacityLimiter(threads)
        self.pending = 0


_readers: RunVar[_Pool] = RunVar("fastapi_lens_readers")
_changers: RunVar[_Pool] = RunVar("fastapi_lens_changers")
_comparer: RunVar[_Pool] = RunVar("fastapi_lens_comparer")


async def in_reader_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks, as soon as one of the threads is free."""
    return await anyio.to_thread.run_sync(work, limiter=_pool(_readers, READERS).limiter)


async def in_changing_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks and that somebody has asked for by a form."""
    return await anyio.to_thread.run_sync(work, limiter=_pool(_changers, CHANGERS).limiter)


async def in_key_thread(work: Callable[[], Answer]) -> Answer:
    """Do something with a key, one after the other, so that guesses hold up no pages.

    Raises:
        BusyError: Too many wait already.
    """
    pool = _pool(_comparer, 1)
    if pool.pending > MAX_WAITING:
        raise BusyError
    # Not the limiter's own count: it learns of a task later than the next one comes here.
    pool.pending += 1
    try:
        return await anyio.to_thread.run_sync(work, limiter=pool.limiter)
    finally:
        pool.pending -= 1


def _pool(variable: RunVar[_Pool], threads: int) -> _Pool:
    pool = variable.get(None)
    if pool is None:
        pool = _Pool(threads)
        variable.set(pool)
    return pool
