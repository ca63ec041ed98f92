"""Calls an ASGI application as a server does, without a server: hand-made scopes, no sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"accept", b"application/json"),
    (b"user-agent", b"benchmark"),
    (b"x-api-key", b"0123456789abcdef0123456789abcdef"),
]


def scope_of(path: str) -> dict[str, Any]:
    """A GET as uvicorn hands it over."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": HEADERS,
        "state": {},
    }


def no_body() -> Callable[[], Awaitable[Message]]:
    """The receive of one request without a body, whose client stays."""
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


class Answers:
    """The send that keeps the status codes which came back."""

    def __init__(self) -> None:
        """Nothing came back yet."""
        self.statuses: set[int] = set()

    async def __call__(self, message: Message) -> None:
        """Take one message of the application."""
        if message["type"] == "http.response.start":
            self.statuses.add(message["status"])


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[None]:
    """The lifespan of an application around a block."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    lifespan = asyncio.create_task(
        _awaited(app({"type": "lifespan", "asgi": {}, "state": {}}, inbox.get, outbox.put))
    )
    await inbox.put({"type": "lifespan.startup"})
    started = await outbox.get()
    assert started["type"] == "lifespan.startup.complete", started
    try:
        yield
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await outbox.get()
        await lifespan


async def _awaited(call: Awaitable[None]) -> None:
    await call
