"""What is known of a client that goes before its answer begins.

Servers tell an application so only when it reads on. Most answer without, and uvicorn drops what
they send then. So its word is read where the server keeps it; where it keeps none in sight, what
the application itself reads is listened to. No message is taken that the application needs.
"""

from __future__ import annotations

from asyncio import Queue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Message

CLIENT_CLOSED_REQUEST = 499
HTTP_DISCONNECT = "http.disconnect"
_DISCONNECTS = (HTTP_DISCONNECT, "websocket.disconnect")


def is_gone(server: object) -> bool | None:
    """Whether the client has gone, before an answer began; None where the server does not say.

    Args:
        server: The object whose method `receive` is; None where it is a function.
    """
    if isinstance(server, Queue):
        # hypercorn and daphne: what waits to be read. The last word of a client is its last one.
        waiting: Any = vars(server)["_queue"]  # Only looked at.
        last: Any = waiting[-1] if waiting else None
        return last is not None and last["type"] in _DISCONNECTS
    # uvicorn: the request, whose connection may be lost.
    disconnected = getattr(server, "disconnected", None)
    return disconnected if isinstance(disconnected, bool) else None


async def listen(seen: list[Any]) -> Message:
    """Receive a message for the application, and note when it is the client's going.

    Args:
        seen: Of one request: the status of its answer, 0 before that has begun; when its last byte
            was sent; and the server's `receive`.
    """
    message: Message = await seen[2]()
    if message["type"] == HTTP_DISCONNECT and not seen[0]:
        seen[0] = CLIENT_CLOSED_REQUEST
    return message
