"""Probe: an application with a lens, called in this process, and what the lens says it counted."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.recording.middleware import RecordingMiddleware
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.writing.drain import drain_all
from tests.support.details import detail_of

Counts = dict[tuple[str, str], dict[int, int]]


def middleware_of(app: Any) -> RecordingMiddleware:
    """The recording middleware of an application that has been called once."""
    layer: Any = app.middleware_stack if isinstance(app, FastAPI) else app
    while not isinstance(layer, RecordingMiddleware):
        layer = layer.app
    return layer


def lens_of(app: Any) -> Lens:
    """The lens of an application that has been called once."""
    lens = middleware_of(app).lens
    assert isinstance(lens, Lens)
    return lens


def calls_in(lens: Lens) -> dict[str, int]:
    """Calls of every called endpoint by path, as the lens's database has them."""
    # What another worker of the database would add within a second.
    drain_all(lens.database)
    found = lens.reader.endpoints(window=Window(), now=lens.clock())
    return {one.path: one.usage.calls for one in found if one.usage.calls}


class Probe:
    """Calls an application and reads the counts back through the database."""

    def __init__(self, app: Any, **settings: Any) -> None:
        settings = {"db_path": ":memory:", "flush_interval": 3600, **settings}
        if isinstance(app, FastAPI):
            app.add_middleware(LensMiddleware, config=LensConfig(**settings))
        else:
            app = LensMiddleware(app, config=LensConfig(**settings))
        self.app = app
        self.client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)

    @property
    def lens(self) -> Lens:
        return lens_of(self.app)

    def get(self, *paths: str) -> None:
        for path in paths:
            self.client.get(path)

    def counts(self) -> Counts:
        """Calls of every called endpoint by method, template and status."""
        assert self.lens.flusher.flush()
        reader, now = self.lens.reader, self.lens.clock()
        return {
            (one.method, one.path): dict(detail_of(reader, one.id, window=Window(), now=now).codes)
            for one in reader.endpoints(window=Window(), now=now)
            if one.usage.calls
        }

    def discovered(self) -> set[tuple[str, str]]:
        """Every endpoint that is known, called or not."""
        assert self.lens.flusher.flush()
        found = self.lens.reader.endpoints(window=Window(), now=self.lens.clock())
        return {(one.method, one.path) for one in found}

    def stop(self) -> None:
        if not isinstance(self.app, FastAPI) or self.app.middleware_stack is not None:
            self.lens.stop()


async def call(app: Any, scope: Mapping[str, Any], received: Iterable[Any]) -> list[Any]:
    """Call an ASGI application with a hand-made scope; returns the messages that it sent."""
    waiting, sent = list(received), []

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:
        sent.append(message)

    await app(dict(scope), receive, send)
    return sent


def http_scope(path: str, *, method: str = "GET", root_path: str = "") -> dict[str, Any]:
    """The scope of a plain HTTP request as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", b"localhost")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1234),
    }


def websocket_scope(path: str) -> dict[str, Any]:
    """The scope of a WebSocket's handshake as a server makes it."""
    scope = http_scope(path)
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}


REQUEST_BODY = {"type": "http.request", "body": b"", "more_body": False}
