"""Requests below the level of any client: raw paths, header bytes and bodies, straight to the app.

Knows no lens and judges nothing.
"""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

HOST = b"testserver"
Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Raw:
    """One request as a server has read it.

    Attributes:
        path: As it stands in the request line, percent-encoded or not.
        body: In the pieces in which it arrives.
    """

    method: str = "GET"
    path: str = "/"
    query: bytes = b""
    headers: tuple[Header, ...] = ((b"host", HOST),)
    body: tuple[bytes, ...] = (b"",)
    client: str = "testclient"
    scheme: str = "http"
    http_version: str = "1.1"

    def scope(self) -> dict[str, Any]:
        """The ASGI scope that a server makes of it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": self.http_version,
            "method": self.method,
            "scheme": self.scheme,
            "path": unquote(self.path, errors="replace"),
            "raw_path": self.path.encode("utf-8", "replace"),
            "query_string": self.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self.headers],
            "client": (self.client, 5000),
            "server": ("testserver", 80),
            "state": {},
        }


@dataclass
class Answer:
    """The answer to an attempt; `error` is the exception that left the application."""

    status: int = 0
    headers: list[Header] = field(default_factory=list[Header])
    body: bytes = b""
    error: BaseException | None = None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str:
        """The value of a header; empty without."""
        return next((v.decode("latin-1") for n, v in self.headers if n == name.encode()), "")


class Caller:
    """Calls an application in an event loop of its own; close it afterwards.

    Attributes:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        """Call nothing yet."""
        self.app = app
        self._runner = asyncio.Runner()

    def __call__(self, raw: Raw) -> Answer:
        """Send one request and wait for the whole answer."""
        return self._runner.run(answer_of(self.app, raw))

    def close(self) -> None:
        """End the loop."""
        self._runner.close()


async def answer_of(app: Any, raw: Raw) -> Answer:
    """The answer of an application, and what it raises."""
    answer, left, done = Answer(), list(raw.body), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not left:
            await done.wait()
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert answer.status == 0, "answered twice"
            answer.status, answer.headers = message["status"], list(message["headers"])
        else:
            answer.body += message.get("body", b"")

    try:
        await app(raw.scope(), receive, send)
    except Exception as error:  # noqa: BLE001  It is part of what is judged.
        answer.error = error
    finally:
        done.set()
    return answer
