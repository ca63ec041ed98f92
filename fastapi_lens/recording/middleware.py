"""The request path: times each call, finds its endpoint afterwards and counts it.

Pure ASGI. Nothing here waits, raises, logs per request or touches a database.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from starlette.requests import ClientDisconnect

from fastapi_lens.recording.recorder import (
    KNOWN_METHODS,
    SERVER_ERROR,
    UNMAPPED,
    Recorder,
    Series,
    Shard,
)
from fastapi_lens.recording.routes import Match, RouteTable, effective_context

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY = "fastapi_lens"
CLIENT_CLOSED_REQUEST = 499
NOT_FOUND = 404
SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403
MAX_CACHED = 8_192
"""Resolved calls kept per thread; past that the cache starts anew."""


class Recording(Protocol):
    """What the request path needs of a lens."""

    recorder: Recorder
    started: bool

    @property
    def routes(self) -> RouteTable:
        """The routes of the application."""
        ...

    def records(self, method: str, path: str) -> bool:
        """Whether calls of an endpoint are to be counted."""
        ...

    @property
    def counts_unmapped(self) -> bool:
        """Whether 404s that no route matched are to be counted."""
        ...

    def begin(self, app: Any, *, lifespan: bool = False) -> None:
        """Start, with the application whose endpoints are recorded; cheap when started."""
        ...

    async def end(self) -> None:
        """Write what is pending, because the server shuts down."""
        ...

    def lost(self, error: Exception) -> None:
        """A call could not be counted."""
        ...


class RecordingMiddleware:
    """Counts the calls of an ASGI application.

    Args:
        app: The application below.
        lens: What is recorded into; put into each scope as ``scope["fastapi_lens"]``.
    """

    def __init__(self, app: ASGIApp, lens: Recording) -> None:
        """Start nothing yet."""
        self.app = app
        self.lens = lens
        self._host = app if hasattr(app, "routes") else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, WebSocket or lifespan."""
        kind = scope["type"]
        scope[SCOPE_KEY] = self.lens
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.lens.started:
            self._begin(scope)
        outer_root = scope.get("root_path", "")
        status = CLIENT_CLOSED_REQUEST
        ended_ns = 0

        def observe(message: Message) -> Awaitable[None]:
            nonlocal status, ended_ns
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body"):
                return finish(message)
            return send(message)

        async def finish(message: Message) -> None:
            nonlocal ended_ns
            await send(message)
            # Background tasks run after the last byte and are no part of the call.
            ended_ns = time.perf_counter_ns()

        started_ns = time.perf_counter_ns()
        try:
            await self.app(scope, receive, observe)
        except ClientDisconnect:
            raise  # The client broke off: what was sent to it stands.
        except Exception:
            # The response that the client gets is made above us.
            status = SERVER_ERROR
            raise
        finally:
            self._count(
                scope, outer_root, status, (ended_ns or time.perf_counter_ns()) - started_ns
            )

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.lens.started:
            self._begin(scope)
        outer_root = scope.get("root_path", "")
        status = CLIENT_CLOSED_REQUEST

        def observe(message: Message) -> Awaitable[None]:
            nonlocal status
            kind = message["type"]
            if kind == "websocket.accept":
                status = SWITCHING_PROTOCOLS
            elif kind == "websocket.close" and status == CLIENT_CLOSED_REQUEST:
                status = FORBIDDEN  # The server answers a refused handshake with 403.
            elif kind == "websocket.http.response.start":
                status = message["status"]
            return send(message)

        started_ns = time.perf_counter_ns()
        try:
            await self.app(scope, receive, observe)
        except Exception:
            status = SERVER_ERROR
            raise
        finally:
            self._count(scope, outer_root, status, time.perf_counter_ns() - started_ns)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def observe(message: Message) -> None:
            kind = message["type"]
            if kind == "lifespan.startup.complete":
                self._begin(scope, lifespan=True)
            elif kind.startswith("lifespan.shutdown."):
                # Before it is forwarded: the server ends the process after this message.
                await self.lens.end()
            await send(message)

        await self.app(scope, receive, observe)

    def _begin(self, scope: Scope, *, lifespan: bool = False) -> None:
        self.lens.begin(self._host or scope.get("app"), lifespan=lifespan)

    def _count(self, scope: Scope, outer_root: str, status: int, duration_ns: int) -> None:
        try:
            recorder = self.lens.recorder
            shard = recorder.shard()
            route = scope.get("route") or scope.get("endpoint")
            if route is None:
                match = self.lens.routes.match(scope, outer_root)
                series = self._series(match, scope, status)
            else:
                context = effective_context(scope)
                key = (id(route), id(context), scope.get("method"), scope.get("root_path"), status)
                known = shard.cache.get(key) or self._resolve(shard, key, scope, outer_root)
                series = known[0]
            if series is not None:
                recorder.add(series, duration_ns)
        except Exception as error:  # noqa: BLE001  The host never fails because of us.
            self.lens.lost(error)

    def _resolve(
        self, shard: Shard, key: tuple[Any, ...], scope: Scope, outer_root: str
    ) -> tuple[Series | None, Any]:
        """Find the series of a kind of call that this thread has not seen before."""
        match, status = self.lens.routes.match(scope, outer_root), key[-1]
        series = self._series(match, scope, status)
        # The ids in the key stay valid as long as what they belong to is kept.
        kept = (series, (scope.get("route"), scope.get("endpoint"), effective_context(scope)))
        if match is not None and match.certain and scope.get("method", "GET") in KNOWN_METHODS:
            if len(shard.cache) >= MAX_CACHED:
                shard.cache.clear()
            shard.cache[key] = kept
        return kept

    def _series(self, match: Match | None, scope: Scope, status: int) -> Series | None:
        if match is None or not match.method:
            return self._unmapped(scope, status)
        if not self.lens.records(match.method, match.template):
            return None
        return self.lens.recorder.series(match.method, match.template, status)

    def _unmapped(self, scope: Scope, status: int) -> Series | None:
        if status != NOT_FOUND or not self.lens.counts_unmapped:
            return None
        return self.lens.recorder.series(scope.get("method", ""), UNMAPPED, status)
