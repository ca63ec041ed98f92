"""Long loops that let other threads have the interpreter. Knows no data."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

ITEMS = 32
"""Between two offers; an item takes some microseconds."""

Item = TypeVar("Item")


def yield_gil(items: Iterable[Item], *, every: int = ITEMS) -> Iterator[Item]:
    """The items; after so many of them, threads that wait for the interpreter may take it."""
    for number, item in enumerate(items, 1):
        yield item
        if number % every == 0:
            time.sleep(0)
