"""A request whose client has gone before it is answered, as uvicorn hands it to an application."""

from typing import Any

from starlette.types import Message

from tests.recording.probe import REQUEST_BODY, http_scope


class _Server:
    """The part of uvicorn's server that the lens looks at."""

    disconnected = True

    def __init__(self) -> None:
        self.statuses: list[int] = []

    async def receive(self) -> Message:
        return REQUEST_BODY

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


async def without_client(app: Any, path: str) -> list[int]:
    """Call the application; the statuses that it sends to nobody."""
    server = _Server()
    await app(http_scope(path), server.receive, server.send)
    return server.statuses
