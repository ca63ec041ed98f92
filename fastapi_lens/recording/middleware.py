"""The request path: times each call, finds its endpoint afterwards and counts it.

Pure ASGI. Nothing here waits, raises, logs per request or touches a database.
"""

# Else each request would make the annotations of `observe` anew.
from __future__ import annotations

import logging
from copy import copy
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import ClientDisconnect

from fastapi_lens.recording.catalogue import lift_own_route
from fastapi_lens.recording.cost import SAMPLE_MASK, CostMeter
from fastapi_lens.recording.recorder import (
    KNOWN_METHODS,
    SERVER_ERROR,
    UNMAPPED,
    Recorder,
    Series,
)
from fastapi_lens.recording.request_log import SPREAD, Ended
from fastapi_lens.recording.routes import Match, RouteTable, call_key, identity

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import CodeType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("fastapi_lens")

SCOPE_KEY = "fastapi_lens"
CLIENT_CLOSED_REQUEST = 499
NOT_FOUND = 404
SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403
SUCCESS = range(200, 300)
MAX_HINTS = 20
"""Requests that are looked into for the hint of `_hint`; it costs as much as routing them."""

MAX_CACHED = 8_192
"""Resolved calls kept; past that the cache starts anew."""


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

    def skips(self, method: str, path: str, status: int) -> bool:
        """Whether an answer with this status code is not to be counted."""
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
        self._sample_mask = SAMPLE_MASK
        self._hints = iter(range(MAX_HINTS))

    async def __call__(  # noqa: C901  One function for the sake of speed, see below.
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request, WebSocket or lifespan.

        The request's path is written out here: each function that it would be cut into costs
        every request of the host some tenths of a microsecond.
        """
        started_ns = perf_counter_ns()
        lens = scope[SCOPE_KEY] = self.lens
        if scope["type"] != "http":
            return await self._other(scope, receive, send)
        if not lens.started:
            self._begin(scope)
        if not started_ns & self._sample_mask:
            return await self._measured(scope, receive, send)
        outer_root = scope.get("root_path", "")
        seen = [CLIENT_CLOSED_REQUEST, 0]  # The status, and when the last byte was sent.

        def observe(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                seen[0] = message["status"]
            elif "more_body" not in message or not message["more_body"]:
                return _finish(send, message, seen)
            return send(message)

        try:
            await self.app(scope, receive, observe)
        except BaseException as error:
            duration_ns = (seen[1] or perf_counter_ns()) - started_ns
            self._raised(Ended(scope, seen[0], started_ns, duration_ns), outer_root, error)
            raise
        duration_ns = (seen[1] or perf_counter_ns()) - started_ns
        status = seen[0]
        try:
            recorder = lens.recorder
            # The `call_key` of most calls: those of FastAPI's own routes.
            series = recorder.cache[
                id(scope["route"]),
                id(scope["endpoint"]),
                id(scope["fastapi"]["effective_route_context"]) if "fastapi" in scope else 0,
                scope["method"],
                scope["root_path"],
                status,
            ][0]
            if series is not None:
                recorder.add(series, duration_ns)
                if (
                    started_ns % SPREAD < recorder.log.share
                    or duration_ns > series.slow_ns
                    or status >= SERVER_ERROR
                ):
                    recorder.log.take(series, Ended(scope, status, started_ns, duration_ns))
        except Exception:  # noqa: BLE001  Such a call is new, of another kind, or stays unknown.
            self._count(Ended(scope, status, started_ns, duration_ns), outer_root)

    def _raised(self, ended: Ended, outer_root: str, error: BaseException) -> None:
        """Count a call that ended with an exception; the response is made above us, if any."""
        # Where the client broke off, also by the server's `send`, what was sent to it stands.
        broken_off = isinstance(error, ClientDisconnect) or (
            isinstance(error, OSError) and _passed_through(error, _finish.__code__)
        )
        if isinstance(error, Exception) and not broken_off:
            ended = ended._replace(status=SERVER_ERROR, error=error)
        self._count(ended, outer_root)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request and measure what counting it costs."""
        meter = CostMeter(self.app)
        counting = copy(self)
        counting.app, counting._sample_mask = meter.below, -1  # noqa: SLF001  Its own class.
        begun_ns = perf_counter_ns()
        try:
            await counting(scope, receive, meter.above(send))
        finally:
            self.lens.recorder.costs.add(meter.own_ns(perf_counter_ns() - begun_ns))

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

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

        started_ns = perf_counter_ns()
        failure: Exception | None = None
        try:
            await self.app(scope, receive, observe)
        except Exception as error:
            status, failure = SERVER_ERROR, error
            raise
        finally:
            duration_ns = perf_counter_ns() - started_ns
            self._count(Ended(scope, status, started_ns, duration_ns, failure), outer_root)
            failure = None

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
        app = self._host or scope.get("app")
        try:
            lift_own_route(app)
        except Exception:
            # It answers from there as well, only that others wait for it.
            logger.exception("fastapi_lens could not lift its route out of its router")
        self.lens.begin(app, lifespan=lifespan)

    def _count(self, ended: Ended, outer_root: str) -> None:
        """Count any call: known, of a kind that was not seen yet, or kept by no key."""
        scope, status = ended.scope, ended.status
        try:
            known = self.lens.recorder.cache.get(call_key(scope, status))
            if known is not None:
                if known[0] is not None:
                    self._add(known[0], ended)
                return
            match = self.lens.routes.match(scope, outer_root)
            # Before the settings are asked: a new cache comes after new ones.
            cache = self.lens.recorder.cache
            series = self._series(match, scope, status)
            reached = identity(scope)
            if match and match.certain and any(reached) and scope.get("method") in KNOWN_METHODS:
                if len(cache) >= MAX_CACHED:
                    cache.clear()
                # The ids in the key stay valid as long as what they belong to is kept.
                cache[call_key(scope, status)] = (series, reached)
            if series is not None:
                self._add(series, ended)
            elif status in SUCCESS and not any(reached):
                self._hint(scope, outer_root)
        except Exception as error:  # noqa: BLE001  The host never fails because of us.
            self.lens.lost(error)

    def _add(self, series: Series, ended: Ended) -> None:
        """What `__call__` does with a call whose series is at hand."""
        recorder = self.lens.recorder
        recorder.add(series, ended.duration_ns)
        if (
            ended.started_ns % SPREAD < recorder.log.share
            or ended.duration_ns > series.slow_ns
            or ended.status >= SERVER_ERROR
        ):
            recorder.log.take(series, ended)

    def _hint(self, scope: Scope, outer_root: str) -> None:
        """Say once that answers come from where no route is seen, if routes would give them."""
        if next(self._hints, None) is None:
            return
        leaf = self.lens.routes.answering(scope, outer_root)
        if leaf is not None:
            list(self._hints)  # Once is enough.
            logger.warning(
                "fastapi_lens saw %s %s answered without a route: a middleware below the lens "
                "answers itself, or hands on a copy of the scope. Add LensMiddleware before "
                "that middleware, so that it comes to lie below it",
                scope.get("method"),
                # Not the path, which is whatever a client has sent.
                leaf.template,
            )

    def _series(self, match: Match | None, scope: Scope, status: int) -> Series | None:
        if match is None or not match.method:
            return self._unmapped(scope, status)
        if not self.lens.records(match.method, match.template):
            return None
        if self.lens.skips(match.method, match.template, status):
            return None
        return self.lens.recorder.series(match.method, match.template, status)

    def _unmapped(self, scope: Scope, status: int) -> Series | None:
        if status != NOT_FOUND or not self.lens.counts_unmapped:
            return None
        return self.lens.recorder.series(scope.get("method", ""), UNMAPPED, status)


async def _finish(send: Send, message: Message, seen: list[int]) -> None:
    """Send the last message and note when it was sent."""
    await send(message)
    # Background tasks run after the last byte and are no part of the call.
    seen[1] = perf_counter_ns()


def _passed_through(error: BaseException, code: CodeType) -> bool:
    """Whether an error came up through a function with this code."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return True
        trace = trace.tb_next
    return False
