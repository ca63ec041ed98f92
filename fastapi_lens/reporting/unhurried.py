"""Long loops that let the event loop's thread have the interpreter first. Knows no data."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

WORK_SECONDS = 0.00025
"""So long a thread works at a stretch. Without a rest it would be ten times as long, and again
each time that the other thread lets go of the interpreter, which it does to read and to send."""

REST_SECONDS = 0.00005
"""What the operating system makes of it is two or three times as long."""

WANTED_SECONDS = 0.0003
"""A rest that takes longer has waited for somebody who wants the interpreter."""

LONG_REST_SECONDS = 0.001
"""Then, for a request to be answered meanwhile."""

Item = TypeVar("Item")


def unhurried(
    items: Iterable[Item],
    *,
    timer: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Item]:
    """The items, with a rest whenever half a millisecond was spent on them."""
    since = timer()
    for item in items:
        yield item
        now = timer()
        if now - since >= WORK_SECONDS:
            sleep(REST_SECONDS)
            if timer() - now >= WANTED_SECONDS:
                sleep(LONG_REST_SECONDS)
            since = timer()
