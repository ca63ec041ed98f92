"""Detection of clients that disconnect before the response begins.

A server reports a disconnect only if the application receives another message. Most applications
respond without doing so, and uvicorn then discards the response. So the disconnect is read from the
server object, if it exposes it, and otherwise from the messages that the application receives. No
message that the application needs is consumed.

FastAPI's telemetry, OpenTelemetry's instrumentation and other middlewares above the lens pass on a
`receive` of their own: a function that refers to the one that it got by the same name. The server
is looked for behind such functions, too.
"""

from __future__ import annotations

from asyncio import Queue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Message, Receive

CLIENT_CLOSED_REQUEST = 499
HTTP_DISCONNECT = "http.disconnect"
_DISCONNECTS = (HTTP_DISCONNECT, "websocket.disconnect")
_MAX_WRAPPERS = 8
"""Functions around the server's `receive` that are looked behind."""

_RECEIVE = "receive"


def server_of(receive: Receive) -> Any:
    """The object that a `receive` is a method of; None if there is none.

    Args:
        receive: The server's, or a function around it.
    """
    inner: Any = receive
    for _ in range(_MAX_WRAPPERS):
        server = getattr(inner, "__self__", None)
        code = getattr(inner, "__code__", None)
        if server is not None or code is None or _RECEIVE not in code.co_freevars:
            return server
        try:
            inner = inner.__closure__[code.co_freevars.index(_RECEIVE)].cell_contents
        except ValueError:  # It has no value any more.
            return None
    return None


def is_gone(server: object) -> bool | None:
    """True if the client has disconnected before a response; None if the server does not tell.

    Args:
        server: The object that `receive` is a method of; None if it is a function.
    """
    if isinstance(server, Queue):
        # hypercorn and daphne: the unread messages. A disconnect is always the last one.
        waiting: Any = vars(server)["_queue"]  # Only read, never changed.
        last: Any = waiting[-1] if waiting else None
        return last is not None and last["type"] in _DISCONNECTS
    # uvicorn: the request cycle, which knows if its connection is lost.
    disconnected = getattr(server, "disconnected", None)
    return disconnected if isinstance(disconnected, bool) else None


async def listen(seen: list[Any]) -> Message:
    """Receive a message for the application, and note if it is the client's disconnect.

    Args:
        seen: State of one request: the status of its response, 0 before that has begun; the time
            at which its last byte was sent; and the server's `receive`.
    """
    message: Message = await seen[2]()
    if message["type"] == HTTP_DISCONNECT and not seen[0]:
        seen[0] = CLIENT_CLOSED_REQUEST
    return message
