"""Long loops that let the event loop's thread have the interpreter first. Knows no data."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

WORK_SECONDS = 0.0003
"""So long a thread works at a stretch: shorter than what a flush asks of a request that it lies
beside. Without a rest it would be 5 ms, and again each time that the other thread lets go of the
interpreter, which it does to read and to send."""

REST_SECONDS = 0.00005
"""What the operating system makes of it is two or three times as long."""

WANTED_SECONDS = 0.0003
"""A rest that takes longer has waited for somebody who wants the interpreter."""

WANTED_WORK_SECONDS, WANTED_REST_SECONDS = 0.0001, 0.0005
"""Work and rest from then on, until nobody wants it: a request comes to lie beside one or two
stretches of work, and none of them is long."""

QUICK = 32
"""Items of loops that take a microsecond for each of them."""

Item = TypeVar("Item")


def unhurried(
    items: Iterable[Item],
    *,
    every: int = 1,
    timer: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Item]:
    """The items, with rests in between that are as long as others need them to be.

    Args:
        items: What is to be done.
        every: The time is looked at once in so many items.
        timer: Seconds.
        sleep: Waits so many seconds.
    """
    work, since = WORK_SECONDS, timer()
    for number, item in enumerate(items, 1):
        yield item
        if number % every:
            continue
        now = timer()
        if now - since < work:
            continue
        sleep(REST_SECONDS)
        work = WORK_SECONDS
        if timer() - now >= WANTED_SECONDS:
            sleep(WANTED_REST_SECONDS)
            work = WANTED_WORK_SECONDS
        since = timer()
