"""The outcome of a call whose exception leaves the application: the status, and whose fault.

Pure: it inspects exceptions and the known state of the client. A client that disconnects, or a
server that gives up, is not the application's fault. Any other exception is, including one that is
not an `Exception`: servers answer it with a 500.
"""

import asyncio
import sys
from collections.abc import Collection, Iterator
from types import CodeType
from typing import NamedTuple, cast

from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from fastapi_lens.recording.calls.disconnects import CLIENT_CLOSED_REQUEST

CONTENT_TOO_LARGE = 413
SERVER_ERROR = 500
NO_ANSWER = "No response returned."
"""Error of Starlette's `BaseHTTPMiddleware` if the inner application ended without a response."""

_BODY_LIMIT = ("starlette.middleware.body_limit", "_RequestBodyLimitResponseSent")
"""Starlette's limit of the body size: its module, and its exception after its own response."""


class Outcome(NamedTuple):
    """The result that a call is counted as.

    Attributes:
        error: The exception that is the application's fault; None if there is none.
    """

    status: int
    error: BaseException | None


def of_request(
    error: BaseException, status: int, *, gone: bool | None, sends: Collection[CodeType]
) -> Outcome:
    """The outcome of a request that ended with an exception.

    Args:
        error: The exception that left the application.
        status: Status of the response, 0 if none has begun.
        gone: True if the client had disconnected; None if unknown.
        sends: Code objects of the functions that send the response.
    """
    inside = list(leaves(error))
    if all(_is_refused_body(one, status) for one in inside):
        return Outcome(CONTENT_TOO_LARGE, None)
    if all(is_cancellation(one) for one in inside):
        if gone or _is_from_above(inside):
            # A server that gives up while its client is connected answers with a 500.
            unanswered = SERVER_ERROR if gone is False else CLIENT_CLOSED_REQUEST
            return Outcome(status or unanswered, None)
    elif (status or gone is not False) and all(
        _tells_of_a_gone_client(one, sends, gone=bool(gone)) for one in inside
    ):
        # A status that was already sent is final.
        return Outcome(status or CLIENT_CLOSED_REQUEST, None)
    # Exceptions that only follow from another one in the group would hide it.
    faults = [one for one in inside if not (is_cancellation(one) or _is_no_answer(one))]
    return Outcome(SERVER_ERROR, faults[0] if len(faults) == 1 else error)


def of_websocket(
    error: BaseException, status: int, *, gone: bool, sends: Collection[CodeType]
) -> Outcome:
    """The outcome of a WebSocket that ended with an exception.

    Args:
        error: The exception that left the application.
        status: Status of the handshake, 0 if it was not answered.
        gone: True if the connection had ended before.
        sends: Code objects of the functions that send messages.
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
    """The exceptions in a group and its nested groups, or the exception itself if no group."""
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting += reversed(cast("BaseExceptionGroup[BaseException]", one).exceptions)
        else:
            yield one


def is_cancellation(error: BaseException) -> bool:
    """True if asyncio, trio or the interpreter uses this exception to stop running code."""
    # Not imported for this: most hosts have no trio.
    trio = sys.modules.get("trio")
    kinds = (asyncio.CancelledError, GeneratorExit)
    return isinstance(error, kinds if trio is None else (*kinds, trio.Cancelled))


def _is_from_above(cancellations: list[BaseException]) -> bool:
    """True if a server or outer middleware cancelled the call, not the application by mistake.

    An application that awaits a cancelled task gets that task's exception.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # trio, which never leaks a cancellation; or a closed loop.
    if task is None:
        return True
    leaked = any(isinstance(one, GeneratorExit) for one in cancellations)
    # asyncio counts requests to cancel this very task, not exceptions that come from others.
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
    """True if Starlette's body size limit answers, outside the lens, instead of the application."""
    module, answered = _BODY_LIMIT
    kind = type(error)
    return kind.__module__ == module and (not status or kind.__name__ == answered)


def _is_no_answer(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError) or len(error.args) != 1:
        return False
    # Not str(error) nor an equality of the host's: either may fail.
    (text,) = error.args
    return isinstance(text, str) and text == NO_ANSWER


def _tells_of_a_closed_websocket(error: BaseException, sends: Collection[CodeType]) -> bool:
    """True if an exception only reports that the connection has ended."""
    if isinstance(error, RuntimeError):
        # Starlette itself raises it when a message is sent after the close.
        return _innermost_module(error) == "starlette.websockets" or _passed_through(error, sends)
    if isinstance(error, OSError):
        return _passed_through(error, sends)
    return isinstance(error, WebSocketDisconnect) or _is_connection_closed(error)


def _is_connection_closed(error: BaseException) -> bool:
    """True if it is ConnectionClosed of the package websockets, which may not be installed."""
    websockets = sys.modules.get("websockets.exceptions")
    return websockets is not None and isinstance(error, websockets.ConnectionClosed)


def _passed_through(error: BaseException, codes: Collection[CodeType]) -> bool:
    """True if an exception passed through a function with one of these code objects."""
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
