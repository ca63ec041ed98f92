"""Waiting for something to become true. Never a fixed sleep, never for ever."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(look: Callable[[], T], *, seconds: float = 15.0, what: str = "") -> T:
    """Look again and again until the answer is truthy, and return it.

    Args:
        look: Asked every 20 ms.
        seconds: Deadline.
        what: Completes the sentence "… did not happen" of the error.

    Raises:
        AssertionError: The deadline has passed; names the last answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'it'} did not happen in {seconds:g} s: last {answer!r}")
        time.sleep(0.02)
