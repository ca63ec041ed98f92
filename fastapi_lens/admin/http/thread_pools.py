"""Thread pools for blocking work, separate from the host's own.

One pool reads, one changes stored data, and one compares keys.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio.to_thread
from anyio.lowlevel import RunVar

from fastapi_lens.admin.http.fair_queue import FairQueue

READERS = 2
"""Threads that read. More would mostly wait for the interpreter, and each needs memory."""

CHANGERS = 2
"""Threads that change data: a deletion may take many seconds, in which others still read."""

MAX_WAITING = 100
"""Most keys that wait for a comparison, which may take 50 ms for each hashed key."""

Answer = TypeVar("Answer")


# One for each event loop: a limiter cannot be shared by loops, and a process may run several.
_readers: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_readers")
_changers: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_changers")
_comparer: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_comparer")
_keys: RunVar[FairQueue] = RunVar("fastapi_lens_keys")


async def in_reader_thread(work: Callable[[], Answer]) -> Answer:
    """Run blocking work in a reading thread."""
    return await anyio.to_thread.run_sync(work, limiter=_threads(_readers, READERS))


async def in_changing_thread(work: Callable[[], Answer]) -> Answer:
    """Run blocking work of a form in a changing thread."""
    return await anyio.to_thread.run_sync(work, limiter=_threads(_changers, CHANGERS))


async def in_key_thread(work: Callable[[], Answer], networks: Sequence[str]) -> Answer:
    """Run work with a key, one at a time, so that guesses delay no pages.

    Args:
        work: A function that blocks.
        networks: Networks of the client; see `FairQueue.turn`.

    Raises:
        BusyError: Too many are waiting.
    """
    queue = _keys.get(None)
    if queue is None:
        queue = FairQueue(MAX_WAITING)
        _keys.set(queue)
    async with queue.turn(networks):
        return await anyio.to_thread.run_sync(work, limiter=_threads(_comparer, 1))


def _threads(variable: RunVar[anyio.CapacityLimiter], count: int) -> anyio.CapacityLimiter:
    """Limiter of the running event loop."""
    limiter = variable.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(count)
        variable.set(limiter)
    return limiter
