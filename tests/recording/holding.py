"""Calls that are held open in this process, and what the lens says of them meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi_lens.reporting.model import Endpoint, Window
from tests.recording.probe import REQUEST_BODY, Probe

NEVER = "never"
BEGINNINGS = ("websocket.accept", "http.response.body")
GONE = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1001},
}


@asynccontextmanager
async def held(
    app: Any, scope: Mapping[str, Any], *, until: str = ""
) -> AsyncIterator["asyncio.Task[None]"]:
    """Call an application, go on once it has begun to answer, and let it end at the end.

    Args:
        app: An ASGI application.
        scope: Of a request or a WebSocket.
        until: The type of the message that is waited for, that of the first byte by default; or
            `NEVER` for one that does not answer.
    """
    first = REQUEST_BODY if scope["type"] == "http" else {"type": "websocket.connect"}
    waiting = [first]
    begun, gone = asyncio.Event(), asyncio.Event()

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await gone.wait()
        return GONE[scope["type"]]

    async def send(message: Any) -> None:
        if message["type"] in ((until,) if until else BEGINNINGS):
            begun.set()

    task = asyncio.create_task(app(dict(scope), receive, send))
    ended = asyncio.create_task(begun.wait())
    if until != NEVER:
        await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
    for _ in range(9):  # To where it waits for good.
        await asyncio.sleep(0)
    yield task
    gone.set()
    ended.cancel()
    await asyncio.wait({task})


def seen(probe: Probe, path: str) -> Endpoint:
    """Database contents of the only endpoint with this path, after a flush."""
    assert probe.lens.flusher.flush()
    found = probe.lens.reader.endpoints(window=Window(), now=probe.lens.clock())
    (endpoint,) = (one for one in found if one.path == path)
    return endpoint
