"""Threads for what reads and renders, apart from the host's own pool."""

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio.lowlevel import RunVar

READERS = 4
"""So many read at once, so that reports never starve the host's pool."""

_limiter: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_lens_readers")

Answer = TypeVar("Answer")


async def in_reader_thread(work: Callable[[], Answer]) -> Answer:
    """Do something that blocks, as soon as one of the threads is free."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(READERS)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(work, limiter=limiter)
