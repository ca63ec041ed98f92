"""Lookup of the endpoint that a request reached.

With `route_tree`, the only module that uses internals of FastAPI and Starlette. Templates are read
from the scope after the call, so no request is routed twice. Since FastAPI 0.137 `include_router`
is lazy: the route in the scope lacks the router's prefix, and the effective route context beside
it has the whole path. Mount prefixes come from the route tree, never from the request, so
``/t/acme`` becomes ``/t/{tenant}``.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from re import Pattern
from types import MappingProxyType
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Route, WebSocketRoute, compile_path
from starlette.types import Scope

from fastapi_lens.recording.routes.documentation_pages import (
    documentation_paths,
    makes_documentation,
)
from fastapi_lens.recording.routes.handler_info import describe, layers
from fastapi_lens.recording.routes.reread_limit import Rereads
from fastapi_lens.recording.routes.route_tree import (
    ANY,
    REST,
    WEBSOCKET,
    Leaf,
    declared_methods,
    is_framework,
    leaves_of,
    mounts_of,
    silent_methods,
    unwrapped_app,
)
from fastapi_lens.text.methods import method_name

__all__ = [
    "NO_CALL",
    "NO_ROUTE",
    "Leaf",
    "Match",
    "RouteTable",
    "call_key",
    "identity",
    "path_below",
]

logger = logging.getLogger("fastapi_lens")

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoint that a request reached.

    Attributes:
        method: The endpoint's method: GET for a HEAD that Starlette answers with the GET route.
        certain: True if the same route and endpoint always mean this template.
    """

    method: str
    template: str
    certain: bool = True


NO_CALL = Match("", "")
"""Certainly no call of an endpoint, whatever its path."""

NO_ROUTE = Match("", "<no route>")
"""The same, because no route has this path and method: the endpoint is removed or never existed."""


class RouteTable:
    """The routes of one application, looked up once for each kind of request.

    Args:
        app: A FastAPI or Starlette application, or anything with ``routes``.
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, app: Any, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Defer reading the routes to the first use."""
        self.app = app
        self._read: list[tuple[str, tuple[str, ...], int]] = []
        self._by_endpoint: dict[int, list[tuple[Leaf, Pattern[str]]]] = {}
        self._mounts: list[tuple[Pattern[str], str]] = []
        self._pages: set[str] = set()
        self._rereads = Rereads(clock)
        self._unknown: set[str] = set()

    @property
    def leaves(self) -> list[Leaf]:
        """All routes except documentation pages and those of the lens, in routing order."""
        found = leaves_of(self.app)
        return [leaf for leaf in found if not leaf.is_page and not is_framework(leaf.endpoint)]

    def match(self, scope: Scope, outer_root: str) -> Match | None:
        """The endpoint that a finished request reached.

        Args:
            scope: The request's scope in its state after the call.
            outer_root: The ``root_path`` before the call.

        Returns:
            `NO_ROUTE` if no endpoint was reached because nothing matched (404, a redirect to the
            other slash) or the method is not allowed (405); `NO_CALL` if FastAPI or the lens
            answered; ``None`` for the same if another path could give a different result, or if
            no known route has the endpoint that answered.
        """
        root = _app_root(scope, outer_root)
        route, endpoint = scope.get("route"), scope.get("endpoint")
        frontend_path: str | None = _fastapi_scope(scope).get("frontend_path")
        if frontend_path is not None:
            return self._match_frontend(scope, root, frontend_path)
        if endpoint is None:
            return NO_ROUTE
        if is_framework(endpoint):
            # A mounted FastAPI, in which nothing matched, is no page of its documentation.
            return NO_ROUTE if _is_router(endpoint) else NO_CALL
        # Starlette's router also puts its mounts there, which includes those of older FastAPI.
        if isinstance(route, (Route, WebSocketRoute)):
            return self._match_route(scope, root, route)
        return self._match_endpoint(scope, root, endpoint)

    def answering(self, scope: Scope, outer_root: str) -> Leaf | None:
        """The route that a request would have reached; expensive, for hints only."""
        self._index()
        found = [entry for entries in self._by_endpoint.values() for entry in entries]
        return _by_path(found, scope, _app_root(scope, outer_root))

    def _match_route(self, scope: Scope, root: str, route: Route | WebSocketRoute) -> Match:
        """Match of a route found in the scope: FastAPI stores its routes there, Starlette some."""
        context = effective_context(scope)
        source = context if context is not None and context.original_route is route else route
        method = _method(scope, _answered(route, source))
        # FastAPI adds no HEAD to a GET.
        if method is None or (isinstance(route, APIRoute) and method != scope["method"]):
            return NO_ROUTE
        prefix = self._mount_prefix(scope, root)
        template = (prefix or "") + source.path_format
        maybe = method == "GET" and (
            source.path_format in documentation_paths(scope.get("app"))
            or makes_documentation(source.endpoint)
        )
        if maybe and self._is_page(template):
            return NO_CALL
        return Match(method_name(method), template, certain=prefix is not None)

    def _is_page(self, template: str) -> bool:
        """True if a template is that of a documentation page."""
        if template not in self._pages:
            self._reread()
        return template in self._pages

    def _match_endpoint(self, scope: Scope, root: str, endpoint: Any) -> Match | None:
        """Match of a Starlette route or mount that stores only its endpoint in the scope."""
        if _is_router(endpoint):
            return NO_ROUTE  # A router or application in which nothing matched.
        found = self._leaves_of(endpoint)
        if not found:
            return None
        certain = len(found) == 1 and id(endpoint) in self._by_endpoint
        leaf = found[0][0] if certain else _by_path(found, scope, root)
        if leaf is not None and leaf.is_page:
            return NO_CALL
        if leaf is None:
            return None
        method = _method(scope, leaf.methods)
        if method is None:
            return NO_ROUTE
        return Match(method_name(method), leaf.template, certain=certain)

    def _leaves_of(self, endpoint: Any) -> list[tuple[Leaf, Pattern[str]]]:
        found = self._by_endpoint.get(id(endpoint))
        if found is None and self._reread():
            found = self._by_endpoint.get(id(endpoint))
        if found is None:
            # A route may wrap its handler again for each request.
            known = (self._by_endpoint.get(id(one)) for one in layers(endpoint))
            found = next(filter(None, known), None)
        # Once: a handler that is created for each request would fill the log.
        if found is None and not self._unknown:
            self._unknown.add(describe(endpoint).name)
            logger.warning(
                "fastapi_lens cannot find the route of %s, so its calls are not counted. Either "
                "the handler is created for each request, or this version of FastAPI needs a "
                "newer fastapi_lens",
                *self._unknown,
            )
        return found or []

    def _reread(self) -> bool:
        """Reread the route tree for an unknown route, unless that was just done."""
        if not self._rereads.are_due(getattr(self.app, "routes", None) or []):
            return False
        if self._index():
            self._rereads.found_more()
        return True

    def _index(self) -> bool:
        """Read the route tree; return true if routes have changed, otherwise keep the index."""
        leaves = leaves_of(self.app)
        read = [(leaf.pattern, leaf.methods, id(leaf.endpoint)) for leaf in leaves]
        if read == self._read:
            return False
        by_endpoint: dict[int, list[tuple[Leaf, Pattern[str]]]] = {}
        for leaf in leaves:
            pattern, _, _ = compile_path(leaf.pattern)
            by_endpoint.setdefault(id(leaf.endpoint), []).append((leaf, pattern))
        self._mounts = [
            (compile_path(mount.pattern)[0], mount.template) for mount in mounts_of(self.app)
        ]
        self._pages = {leaf.template for leaf in leaves if leaf.is_page}
        # Last: the flusher's thread looks up routes, too, and expects a complete index.
        self._read, self._by_endpoint = read, by_endpoint
        return True

    def _mount_prefix(self, scope: Scope, root: str) -> str | None:
        """The templates of the mounts between the app's root and the route; None if unknown."""
        suffix = _below(root, scope.get("root_path", ""))
        if not suffix:
            return ""
        prefix = self._mounted_at(suffix)
        return self._mounted_at(suffix) if prefix is None and self._reread() else prefix

    def _mounted_at(self, suffix: str) -> str | None:
        found = (template for pattern, template in self._mounts if pattern.match(suffix))
        return next(found, None)

    def _match_frontend(self, scope: Scope, root: str, rest: str) -> Match | None:
        """Match of `FastAPI.frontend`, which stores only the path below its own in the scope."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        path = _below(scope.get("root_path", ""), scope["path"])
        prefix = self._mount_prefix(scope, root) or ""
        template = prefix + path.removesuffix(rest).rstrip("/")
        return Match("GET", template + REST, certain=False)


def _is_router(endpoint: Any) -> bool:
    """True if an endpoint is an application or router with routes of its own."""
    return getattr(unwrapped_app(endpoint), "routes", None) is not None


def call_key(scope: Scope, status: int) -> tuple[object, ...]:
    """A key that is equal for calls that are counted alike; cheap to create.

    It contains ids, which are valid as long as the objects of `identity` are kept.
    """
    inner = scope.get("fastapi")
    # Route and endpoint: inside a Starlette mount, the route is always the mount.
    return (
        id(scope.get("route")),
        id(scope.get("endpoint")),
        id(inner.get("effective_route_context")) if inner else 0,
        scope.get("method"),
        scope.get("root_path"),
        status,
    )


def identity(scope: Scope) -> tuple[object, ...]:
    """The objects whose ids are in the `call_key` of a request."""
    return scope.get("route"), scope.get("endpoint"), effective_context(scope)


def path_below(scope: Scope, outer_root: str) -> str:
    """The requested path as the app's templates describe it, without the ``root_path``.

    Args:
        scope: The request's scope in its state after the call.
        outer_root: The ``root_path`` before the call.
    """
    return _below(_app_root(scope, outer_root), scope["path"])


def effective_context(scope: Scope) -> Any | None:
    """FastAPI's context of a route of an included router (0.137 and newer), else None."""
    return _fastapi_scope(scope).get("effective_route_context")


def _fastapi_scope(scope: Scope) -> Mapping[str, Any]:
    return scope.get("fastapi") or _NOTHING


def _app_root(scope: Scope, outer_root: str) -> str:
    """The ``root_path`` above all mounts of the app.

    It may differ from the one before the call: ``FastAPI(root_path=…)`` and middlewares below the
    lens set another. The first mount stores the one it found, but it may lie above an inner app.
    """
    inner: str = scope.get("app_root_path", scope.get("root_path", ""))
    return max(outer_root, inner, key=len)


def _below(root: str, path: str) -> str:
    """A path without the root path, which some servers include and others do not."""
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else path


def _answered(route: Route | WebSocketRoute, source: Any) -> tuple[str, ...]:
    """The methods that a route answers, in the form that `_method` expects."""
    if isinstance(route, WebSocketRoute):
        return (WEBSOCKET,)
    return declared_methods(route, source.methods) + silent_methods(route, source.methods)


def _method(scope: Scope, declared: tuple[str, ...]) -> str | None:
    """The endpoint's method that a request's method belongs to; None for a 405."""
    method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
    if method in declared:
        return method
    if ANY in declared:
        return ANY
    # Starlette answers HEAD with the route of GET.
    return "GET" if method == "HEAD" and "GET" in declared else None


def _by_path(found: list[tuple[Leaf, Pattern[str]]], scope: Scope, root: str) -> Leaf | None:
    """The route that a path belongs to, among routes with the same handler."""
    path = _below(root, scope["path"])
    for leaf, pattern in found:
        if pattern.match(path) and _method(scope, leaf.methods):
            return leaf
    return None
