"""The exception that a handler of the application turns into a response. Counts nothing.

Starlette calls an exception handler, and sends its response, inside the ``except`` block that has
caught the exception. So whoever is asked to send the response finds the exception as the one that
is being handled: no handler is wrapped, and no state of the application is changed or read.

It cannot be found if the response passes through a task of its own between the handler and the
lens, as it does below a `BaseHTTPMiddleware`.
"""

import sys
from inspect import currentframe
from types import CodeType, TracebackType
from typing import NamedTuple


class Handled(NamedTuple):
    """An exception with its traceback, which FastAPI takes off the exception after the response."""

    error: BaseException
    trace: TracebackType | None


def handled_below(outermost: CodeType) -> Handled | None:
    """The exception that is being handled where a response is sent; None without one.

    Args:
        outermost: Code of the function that called the application. An exception that was caught
            outside of it has nothing to do with the response.
    """
    error = sys.exception()
    if error is None or error.__traceback__ is None:
        return None
    # The first frame of a traceback is the one that has caught the exception.
    catching, frame = error.__traceback__.tb_frame, currentframe()
    while frame is not None and frame.f_code is not outermost:
        if frame is catching:
            return Handled(error, error.__traceback__)
        frame = frame.f_back
    return None
