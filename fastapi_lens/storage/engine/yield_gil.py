"""Long loops that offer the interpreter lock to other threads. Knows no data."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

SLICE_SECONDS = 0.0005
"""Time between two offers. Each costs a loop about 0.1 ms on Linux, where the shortest sleep takes
as long as the timer is coarse; a thread that waits for a request's answer gains up to 5 ms."""

Item = TypeVar("Item")


def yield_gil(items: Iterable[Item]) -> Iterator[Item]:
    """The items; after each slice of time, threads that wait for the interpreter may run."""
    due = time.perf_counter() + SLICE_SECONDS
    for item in items:
        yield item
        if time.perf_counter() >= due:
            # Otherwise a loop keeps the lock for the switch interval of 5 ms, again and again.
            time.sleep(0)
            due = time.perf_counter() + SLICE_SECONDS
