"""What an exception that leaves an application makes of its call: the status, and whose fault.

Pure: it looks at exceptions and at what is known of the client. That a client went, or that the
server gives up, is no fault of the application; an exception of any other kind is, also one that
is no `Exception`: servers answer it with a 500.
"""

import asyncio
import sys
from collections.abc import Collection, Iterator
from types import CodeType
from typing import NamedTuple, cast

from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from fastapi_lens.recording.disconnects import CLIENT_CLOSED_REQUEST

CONTENT_TOO_LARGE = 413
SERVER_ERROR = 500
NO_ANSWER = "No response returned."
"""Starlette's `BaseHTTPMiddleware`, when what it calls has ended without an answer."""

_BODY_LIMIT = ("starlette.middleware.body_limit", "_RequestBodyLimitResponseSent")
"""Starlette's limit of a body's size: where it is, and how it ends what it has answered itself."""


class Outcome(NamedTuple):
    """What a call is counted as.

    Attributes:
        error: The application's fault; None where it has none.
    """

    status: int
    error: BaseException | None


def of_request(
    error: BaseException, status: int, *, gone: bool | None, sends: Collection[CodeType]
) -> Outcome:
    """The outcome of a request that an exception has ended.

    Args:
        error: What left the application.
        status: Of the answer, 0 where none has begun.
        gone: Whether the client went before; None where nobody knows.
        sends: Code of what the answer is sent through.
    """
    inside = list(leaves(error))
    if all(_is_refused_body(one, status) for one in inside):
        return Outcome(CONTENT_TOO_LARGE, None)
    if all(is_cancellation(one) for one in inside):
        if gone or _is_from_above(inside):
            # A server that gives up while its client is there answers with a 500.
            unanswered = SERVER_ERROR if gone is False else CLIENT_CLOSED_REQUEST
            return Outcome(status or unanswered, None)
    elif (status or gone is not False) and all(
        _tells_of_a_gone_client(one, sends, gone=bool(gone)) for one in inside
    ):
        # What was sent stands.
        return Outcome(status or CLIENT_CLOSED_REQUEST, None)
    # What only follows from another exception in its group hides that one.
    faults = [one for one in inside if not (is_cancellation(one) or _is_no_answer(one))]
    return Outcome(SERVER_ERROR, faults[0] if len(faults) == 1 else error)


def of_websocket(
    error: BaseException, status: int, *, gone: bool, sends: Collection[CodeType]
) -> Outcome:
    """The outcome of a WebSocket that an exception has ended.

    Args:
        error: What left the application.
        status: Of the handshake, 0 where it was not answered.
        gone: Whether the connection had ended before.
        sends: Code of what messages are sent through.
    """
    inside = list(leaves(error))
    if all(is_cancellation(one) for one in inside):
        ended = gone or _is_from_above(inside)
    else:
        ended = gone and all(
            is_cancellation(one) or _tells_of_a_closed_websocket(one, sends) for one in inside
        )
    return Outcome(status or CLIENT_CLOSED_REQUEST, None) if ended else Outcome(SERVER_ERROR, error)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group and in the groups inside it, or else the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for one in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from leaves(one)
    else:
        yield error


def is_cancellation(error: BaseException) -> bool:
    """Whether this is how asyncio, trio or the interpreter stops what is under way."""
    trio = sys.modules.get("trio")
    kinds = (asyncio.CancelledError, GeneratorExit)
    return isinstance(error, kinds if trio is None else (*kinds, trio.Cancelled))


def _is_from_above(cancellations: list[BaseException]) -> bool:
    """Whether a server or a middleware above gives up, and not the application by mistake.

    An application that awaits a task which was cancelled gets the exception of that one.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # trio, which never lets one leak; or a loop that is closed.
    if task is None:
        return True
    leaked = any(isinstance(one, GeneratorExit) for one in cancellations)
    return not leaked and task.cancelling() > 0


def _tells_of_a_gone_client(
    error: BaseException, sends: Collection[CodeType], *, gone: bool
) -> bool:
    if isinstance(error, OSError):
        return _passed_through(error, sends)
    return (
        isinstance(error, ClientDisconnect)
        or is_cancellation(error)
        or (gone and _is_no_answer(error))
    )


def _is_refused_body(error: BaseException, status: int) -> bool:
    """Whether the limit of a body's size answers, above us, instead of the application."""
    module, answered = _BODY_LIMIT
    kind = type(error)
    return kind.__module__ == module and (not status or kind.__name__ == answered)


def _is_no_answer(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and str(error) == NO_ANSWER


def _tells_of_a_closed_websocket(error: BaseException, sends: Collection[CodeType]) -> bool:
    """Whether an exception says no more than that the connection has ended, which it has."""
    if isinstance(error, RuntimeError):
        return _innermost_module(error) == "starlette.websockets" or _passed_through(error, sends)
    if isinstance(error, OSError):
        return _passed_through(error, sends)
    return isinstance(error, WebSocketDisconnect) or _is_connection_closed(error)


def _is_connection_closed(error: BaseException) -> bool:
    """Whether it is one of the package websockets, which is not always installed."""
    websockets = sys.modules.get("websockets.exceptions")
    return websockets is not None and isinstance(error, websockets.ConnectionClosed)


def _passed_through(error: BaseException, codes: Collection[CodeType]) -> bool:
    """Whether an exception came up through a function with one of these codes."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def _innermost_module(error: BaseException) -> str:
    """The name of the module that raised an exception; empty without a traceback."""
    name, trace = "", error.__traceback__
    while trace is not None:
        name, trace = trace.tb_frame.f_globals.get("__name__", ""), trace.tb_next
    return name
