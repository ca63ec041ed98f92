"""The request path: times each call, finds its endpoint afterwards and counts it.

Pure ASGI. Nothing here waits, raises, logs per request or touches a database.
"""

# Otherwise each request would evaluate the annotations of `observe` again.
from __future__ import annotations

import logging
from time import perf_counter_ns
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol

from starlette.applications import Starlette

from fastapi_lens.recording.calls.disconnects import (
    CLIENT_CLOSED_REQUEST,
    is_gone,
    listen,
    server_of,
)
from fastapi_lens.recording.calls.handled import Handled, handled_below
from fastapi_lens.recording.calls.outcomes import of_request
from fastapi_lens.recording.calls.websocket import WebSocketWatch
from fastapi_lens.recording.log.request_log import SAMPLING_MODULUS, UNKNOWN, Ended, Unknown
from fastapi_lens.recording.log.unrouted_calls import is_unrouted
from fastapi_lens.recording.ownership import owner, warn_of_nested_lens
from fastapi_lens.recording.routes.route_match import (
    NO_ROUTE,
    Match,
    RouteTable,
    call_key,
    identity,
    path_below,
)
from fastapi_lens.recording.routes.route_tree import unwrapped_app
from fastapi_lens.recording.series import (
    KNOWN_METHODS,
    SERVER_ERROR,
    UNMAPPED,
    CallerValue,
    Series,
    known_method,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from fastapi_lens.recording.recorder import Recorder

logger = logging.getLogger("fastapi_lens")

SCOPE_KEY = "fastapi_lens"
NOT_FOUND = 404
SUCCESS = range(200, 300)
MORE = {
    "http.response.body": "more_body",
    "http.response.pathsend": "more_body",  # Never has it: a whole file, and nothing after it.
    "http.response.trailers": "more_trailers",
    "http.response.zerocopysend": "more_body",
}
"""Messages that may end a response, each with the key that says that more will follow."""

_SEEN = 4
"""Facts that `observe` notes of each request."""

MAX_HINTS = 20
"""Requests that `_hint` examines, which costs as much as routing them again."""


class Recording(Protocol):
    """The interface of a lens that the request path uses."""

    recorder: Recorder
    started: bool
    logged: set[str]

    @property
    def routes(self) -> RouteTable:
        """The routes of the application."""
        ...

    def is_recorded(self, method: str, path: str) -> bool:
        """True if calls of an endpoint are counted."""
        ...

    def skips(self, method: str, path: str, status: int) -> bool:
        """True if a response with this status code is not counted."""
        ...

    @property
    def counts_unmapped(self) -> bool:
        """True if 404s that no route matched are counted."""
        ...

    def begin(self, app: Any, *, lifespan: bool = False) -> None:
        """Start, with the application whose endpoints are recorded; cheap when started.

        Never raises; `started` says whether it runs.
        """
        ...

    async def end(self) -> None:
        """Write what is pending, because the server shuts down."""
        ...

    def count_dropped(self, error: Exception) -> None:
        """Record that a call could not be counted."""
        ...


class RecordingMiddleware:
    """Counts the calls of an ASGI application.

    Args:
        app: The application below.
        lens: The lens that counts the calls; each scope holds it as ``scope["fastapi_lens"]``.
    """

    def __init__(self, app: ASGIApp, lens: Recording) -> None:
        """Start nothing yet."""
        self.app = app
        self.lens = lens
        self._host = _application_in(app)
        self._hints = iter(range(MAX_HINTS))
        self._is_doubled = False

    async def __call__(  # noqa: C901, PLR0915  One function for the sake of speed, see below.
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request, WebSocket or lifespan.

        The code path of a request is one function on purpose: each further function call would cost
        every request of the host some tenths of a microsecond.
        """
        started_ns = perf_counter_ns()
        if SCOPE_KEY in scope and scope[SCOPE_KEY] is not self.lens:
            return await self._below(scope, receive, send)
        lens = scope[SCOPE_KEY] = self.lens
        if scope["type"] != "http":
            return await self._other(scope, receive, send)
        if not lens.started:
            lens = self._begin(scope)
        outer_root = scope.get("root_path", "")
        server = getattr(receive, "__self__", None) or server_of(receive)
        has_flag = isinstance(getattr(server, "disconnected", None), bool)
        # Status, time of the last byte, the `receive` for `listen`, number of the open call; for a
        # response of 500 and above also the exception that it was made from.
        seen: list[Any] = [0, 0, receive, 0]

        def observe(message: Message) -> Awaitable[None]:
            kind = message["type"]
            if kind == "http.response.body":
                if "more_body" not in message or not message["more_body"]:
                    return _finish(send, message, seen)
                if not seen[3]:
                    call = (scope, outer_root, seen, started_ns)
                    seen[3] = lens.recorder.open_calls.begin(call)
            elif kind == "http.response.start":
                if not seen[0]:
                    # A client that has disconnected by now receives nothing of the response.
                    gone = server is not None and (
                        server.disconnected if has_flag else is_gone(server)
                    )
                    seen[0] = CLIENT_CLOSED_REQUEST if gone else message["status"]
                    if seen[0] >= SERVER_ERROR:
                        seen.append(handled_below(_CALL))
            elif kind in MORE and not message.get(MORE[kind]):
                return _finish(send, message, seen)
            return send(message)

        try:
            await self.app(scope, receive if has_flag else MethodType(listen, seen), observe)
        except BaseException as error:
            if seen[3]:
                lens.recorder.open_calls.end(seen[3])
            _take_handled(seen)  # What has left the application counts.
            duration_ns = (seen[1] or perf_counter_ns()) - started_ns
            ended = Ended(scope, seen[0], started_ns, duration_ns, None, seen[3])
            self._raised(ended, outer_root, error, (server, send))
            raise
        if seen[3]:
            lens.recorder.open_calls.end(seen[3])
        duration_ns = (seen[1] or perf_counter_ns()) - started_ns
        status = seen[0] or _unanswered(server)
        try:
            recorder = lens.recorder
            # The `call_key` of most calls: those of FastAPI's own routes.
            series = recorder.cache[
                id(scope["route"]),
                id(scope["endpoint"]),
                # A router without a match leaves an empty dictionary behind.
                id(scope["fastapi"]["effective_route_context"]) if scope.get("fastapi") else 0,
                scope["method"],
                scope["root_path"],
                status,
            ][0]
            if series is not None:
                caller: CallerValue | Unknown = UNKNOWN
                note = recorder.callers.note
                try:
                    if note is not None:
                        caller = note(series, scope, seen[3])
                finally:
                    recorder.add(series, duration_ns)
                if (
                    started_ns % SAMPLING_MODULUS < recorder.log.share
                    or duration_ns > series.slow_ns
                    or status >= SERVER_ERROR
                ):
                    recorder.log.take(
                        series,
                        Ended(scope, status, started_ns, duration_ns, None, seen[3], caller),
                        _take_handled(seen),
                    )
            elif recorder.unrouted.has_room:
                self._note_unrouted(scope, status, outer_root)
        except Exception:  # noqa: BLE001  Such a call is new, of another kind, or stays unknown.
            ended = Ended(scope, status, started_ns, duration_ns, None, seen[3])
            self._count(ended, outer_root, _take_handled(seen))

    async def _below(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a call that an outer lens counts."""
        if not self._is_doubled:
            self._is_doubled = True
            warn_of_nested_lens(scope[SCOPE_KEY], scope.get("app"))
        await self.app(scope, receive, send)

    def _raised(
        self, ended: Ended, outer_root: str, error: BaseException, around: tuple[object, Send]
    ) -> None:
        """Count a call that ended with an exception; a response, if any, is created outside."""
        server, send = around
        gone = ended.status == CLIENT_CLOSED_REQUEST or is_gone(server)
        last = _finish.__code__
        sends = (last, getattr(send, "__code__", last))
        status, fault = of_request(error, ended.status, gone=gone, sends=sends)
        self._count(ended._replace(status=status, error=fault), outer_root)

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
        open_calls = self.lens.recorder.open_calls
        started_ns = perf_counter_ns()
        watch = WebSocketWatch(
            receive, send, lambda seen: open_calls.begin((scope, outer_root, seen, started_ns))
        )
        ended: BaseException | None = None
        try:
            await self.app(scope, watch.receive, watch.send)
        except BaseException as error:
            ended = error
            raise
        finally:
            open_calls.end(watch.opened)
            duration_ns = perf_counter_ns() - started_ns
            status, exception = watch.outcome(ended)
            self._count(
                Ended(scope, status, started_ns, duration_ns, exception, watch.opened), outer_root
            )
            # Its traceback has this frame, which has the error: each would keep the other alive.
            ended = exception = None

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

    def _begin(self, scope: Scope, *, lifespan: bool = False) -> Recording:
        """Start the application's lens; return it, or the one that already records it."""
        app = scope.get("app") if self._host is None else self._host
        lens = self.lens = scope[SCOPE_KEY] = owner(app, self.lens)
        lens.begin(app, lifespan=lifespan)
        return lens

    def _count(self, ended: Ended, outer_root: str, handled: Handled | None = None) -> None:
        """Count any call, whether the cache holds its series or not."""
        scope, status = ended.scope, ended.status
        try:
            known = self.lens.recorder.cache.get(call_key(scope, status))
            if known is not None:
                if known[0] is not None:
                    self._add(known[0], ended, handled)
                else:
                    self._note_unrouted(scope, status, outer_root)
                return
            match = self.lens.routes.match(scope, outer_root)
            # Read before the settings: a change replaces first the settings and then the cache, so
            # that a decision by the old settings cannot enter the new cache.
            cache = self.lens.recorder.cache
            series = self._series(match, scope, status)
            reached = identity(scope)
            if match is NO_ROUTE:
                self._note_unrouted(scope, status, outer_root)
            if match and any(reached) and _is_cacheable(scope, match, series):
                key, meaning = call_key(scope, status), (match, status)
                cache.keep(key, series, reached, meaning=meaning)
            if series is not None:
                self._add(series, ended, handled)
            elif status in SUCCESS and not any(reached):
                self._hint(scope, outer_root)
        except Exception as error:  # noqa: BLE001  The host never fails because of us.
            self.lens.count_dropped(error)

    def _note_unrouted(self, scope: Scope, status: int, outer_root: str) -> None:
        """Keep a call if no route matched it, because a removed endpoint may have."""
        unrouted = self.lens.recorder.unrouted
        if (
            unrouted.has_room
            and is_unrouted(scope, status)
            and self.lens.routes.match(scope, outer_root) is NO_ROUTE
        ):
            unrouted.note(scope, path_below(scope, outer_root))

    def _add(self, series: Series, ended: Ended, handled: Handled | None) -> None:
        """Count a call whose series is known, as `__call__` does."""
        recorder = self.lens.recorder
        note = recorder.callers.note
        try:
            if note is not None:
                ended = ended._replace(caller=note(series, ended.scope, ended.opened))
        finally:
            recorder.add(series, ended.duration_ns)
        if (
            ended.started_ns % SAMPLING_MODULUS < recorder.log.share
            or ended.duration_ns > series.slow_ns
            or ended.status >= SERVER_ERROR
        ):
            recorder.log.take(series, ended, handled)

    def _hint(self, scope: Scope, outer_root: str) -> None:
        """Log once that a middleware answers for a route, so that such calls are not counted."""
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
                # The template, not the path, which the client controls.
                leaf.template,
            )

    def _series(self, match: Match | None, scope: Scope, status: int) -> Series | None:
        if match is None or not match.method:
            return self._unmapped(scope, status)
        if not self.lens.is_recorded(match.method, match.template):
            return None
        if self.lens.skips(match.method, match.template, status):
            return None
        return self.lens.recorder.series(match.method, match.template, status)

    def _unmapped(self, scope: Scope, status: int) -> Series | None:
        if status != NOT_FOUND or not self.lens.counts_unmapped:
            return None
        return self.lens.recorder.series(known_method(scope.get("method", "")), UNMAPPED, status)


_CALL = RecordingMiddleware.__call__.__code__


def _application_in(app: ASGIApp) -> Any:
    """The application that a lens lies around, perhaps with middlewares in between; else None.

    Inside of an application, where `add_middleware` puts the lens, there is only its router.
    """
    if hasattr(app, "routes"):
        return app
    try:
        inner = unwrapped_app(app)
    except Exception:  # noqa: BLE001  A middleware of the host may define `app` as anything.
        return None
    return inner if isinstance(inner, Starlette) else None


def _take_handled(seen: list[Any]) -> Handled | None:
    """Take the exception that the response was made from out of `seen`, if there is one.

    Otherwise the frames of its traceback would keep the exception, and it would keep them.
    """
    return seen.pop() if len(seen) > _SEEN else None


async def _finish(send: Send, message: Message, seen: list[Any]) -> None:
    """Send the last message and note when it was sent."""
    await send(message)
    # Background tasks run after the last byte and are no part of the call.
    seen[1] = perf_counter_ns()


def _unanswered(server: object) -> int:
    """The status of a call that ended without a response and without an exception."""
    return CLIENT_CLOSED_REQUEST if is_gone(server) else SERVER_ERROR


def _is_cacheable(scope: Scope, match: Match, series: Series | None) -> bool:
    """True if each such call is counted alike, and clients cannot create too many kinds of them."""
    if not match.certain or (match is NO_ROUTE and series is not None):
        # The cache would count the call without a look at its path.
        return False
    method = scope.get("method")
    return method in KNOWN_METHODS or method == match.method
