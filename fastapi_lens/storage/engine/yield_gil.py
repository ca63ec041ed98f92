"""Long loops that offer the interpreter lock to other threads. Knows no data."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

ITEMS = 32
"""Items between two offers; an item takes some microseconds."""

Item = TypeVar("Item")


def yield_gil(items: Iterable[Item], *, every: int = ITEMS) -> Iterator[Item]:
    """The items; after each group of them, threads that wait for the interpreter may run."""
    for number, item in enumerate(items, 1):
        yield item
        if number % every == 0:
            # Otherwise a loop keeps the lock for the switch interval of 5 ms, again and again.
            time.sleep(0)
