"""Which endpoints an app has and which of them a request reached.

The only module that knows FastAPI's and Starlette's insides. Templates are read from the
scope after the call, so no request is routed twice. Since FastAPI 0.137 `include_router` is
lazy: the route in the scope lacks the router's prefix, and the effective route context that
lies beside it has the whole path. Mount prefixes come from the route tree, never from the
request, so ``/t/acme`` becomes ``/t/{tenant}``.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from re import Pattern
from types import MappingProxyType
from typing import Any

from fastapi import routing as fastapi_routing
from fastapi.routing import APIRoute
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Host, Mount, Route, WebSocketRoute, compile_path
from starlette.staticfiles import StaticFiles

from fastapi_lens.recording.handlers import Handler, describe, unwrapped

logger = logging.getLogger("fastapi_lens")

Scope = MutableMapping[str, Any]

WEBSOCKET = "WEBSOCKET"
ANY = "ANY"
_REST = "/{path}"
_MAX_UNKNOWN = 1_000
_MAX_DEPTH = 8
_FRAMEWORK_MODULES = ("fastapi.applications", "fastapi_lens.")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_iter_contexts = getattr(fastapi_routing, "iter_route_contexts", None)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One route of an app that answers requests, under its full template.

    Attributes:
        template: Full path template, mounts and prefixes included.
        pattern: The same with its converters, ``/files/{path:path}``.
        methods: Methods it answers; ``("WEBSOCKET",)``, or ``("ANY",)`` of an opaque mount.
        kind: ``http``, ``websocket`` or ``mount``.
        endpoint: The handler, or the mounted application.
    """

    template: str
    pattern: str
    methods: tuple[str, ...]
    kind: str
    endpoint: Any
    tags: tuple[str, ...] = ()
    deprecated: bool = False

    @property
    def handler(self) -> Handler:
        """Facts about the handler; none of the framework's own, such as StaticFiles."""
        module = getattr(unwrapped(self.endpoint), "__module__", None) or ""
        return (
            Handler() if module.startswith(("fastapi.", "starlette.")) else describe(self.endpoint)
        )


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoint that a request reached.

    Attributes:
        method: The endpoint's method: GET for a HEAD that Starlette answers with the GET route.
        certain: Whether the same route and endpoint always mean this template.
    """

    method: str
    template: str
    certain: bool = True


NO_CALL = Match("", "")
"""Certainly no call of an endpoint, whatever the path was."""


def is_framework(endpoint: Any) -> bool:
    """Whether FastAPI itself (docs, schema) or the lens answers here."""
    module = getattr(unwrapped(endpoint), "__module__", None) or ""
    return module.startswith(_FRAMEWORK_MODULES)


class RouteTable:
    """The routes of one application, looked up after each kind of request once.

    Args:
        app: A FastAPI or Starlette application, or anything with ``routes``.
    """

    def __init__(self, app: Any) -> None:
        """Read the routes at the first use, not yet here."""
        self._app = app
        self._count = -1
        self._by_endpoint: dict[int, list[tuple[Leaf, Pattern[str]]]] = {}
        self._mounts: list[tuple[Pattern[str], str]] = []
        self._unknown: set[int] = set()

    @property
    def leaves(self) -> list[Leaf]:
        """Every route but FastAPI's own pages and the lens's, in routing order."""
        return [leaf for leaf in self._walked() if not is_framework(leaf.endpoint)]

    def _walked(self) -> list[Leaf]:
        return list(_walk_app(self._app, _ROOT, ()))

    def match(self, scope: Scope, outer_root: str) -> Match | None:
        """The endpoint that a finished request reached.

        Args:
            scope: The request's scope as the call has left it.
            outer_root: ``root_path`` as it was before the call.

        Returns:
            `NO_CALL` where no endpoint was reached: nothing matched (404, a redirect to the
            other slash), the method is not allowed (405), or FastAPI or the lens answered;
            ``None`` for the same where another path could mean something else.
        """
        route, endpoint = scope.get("route"), scope.get("endpoint")
        frontend_path: str | None = _fastapi_scope(scope).get("frontend_path")
        if frontend_path is not None:
            return self._match_frontend(scope, outer_root, frontend_path)
        if endpoint is None or is_framework(endpoint):
            return NO_CALL
        if route is not None:
            return self._match_route(scope, outer_root, route)
        return self._match_endpoint(scope, outer_root, endpoint)

    def _match_route(self, scope: Scope, outer_root: str, route: Any) -> Match:
        """FastAPI's own routes leave themselves in the scope; they add no HEAD to a GET."""
        context = effective_context(scope)
        source = context if context is not None and context.original_route is route else route
        method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
        if method not in getattr(source, "methods", (WEBSOCKET,)):
            return NO_CALL
        return Match(method, self._mount_prefix(scope, outer_root) + source.path_format)

    def _match_endpoint(self, scope: Scope, outer_root: str, endpoint: Any) -> Match | None:
        """Starlette's own routes and mounts leave the endpoint alone in the scope."""
        if getattr(endpoint, "routes", None) is not None:
            return NO_CALL  # A router or application in which nothing matched.
        found = self._leaves_of(endpoint)
        if not found:
            return NO_CALL
        leaf = found[0][0] if len(found) == 1 else _by_path(found, scope, outer_root)
        if leaf is None:
            return None
        if leaf.kind == "websocket":
            return Match(WEBSOCKET, leaf.template, certain=len(found) == 1)
        method = _method(scope.get("method", WEBSOCKET), leaf.methods)
        return None if method is None else Match(method, leaf.template, certain=len(found) == 1)

    def _leaves_of(self, endpoint: Any) -> list[tuple[Leaf, Pattern[str]]]:
        found = self._by_endpoint.get(id(endpoint))
        if found is None and id(endpoint) not in self._unknown:
            self._index()
            found = self._by_endpoint.get(id(endpoint))
            if found is None:
                self._remember_unknown(endpoint)
        return found or []

    def _remember_unknown(self, endpoint: Any) -> None:
        if not self._unknown:
            logger.warning(
                "fastapi_lens does not know the route of %r and does not count its calls; "
                "is a newer release of fastapi_lens out for this FastAPI?",
                endpoint,
            )
        if len(self._unknown) < _MAX_UNKNOWN:
            self._unknown.add(id(endpoint))

    def _index(self) -> None:
        """Read the route tree; it is kept unless routes have been added."""
        leaves = self._walked()
        if len(leaves) == self._count:
            return
        by_endpoint: dict[int, list[tuple[Leaf, Pattern[str]]]] = {}
        for leaf in leaves:
            pattern, _, _ = compile_path(leaf.pattern)
            by_endpoint.setdefault(id(leaf.endpoint), []).append((leaf, pattern))
        self._count, self._by_endpoint = len(leaves), by_endpoint
        self._unknown.clear()
        self._mounts = [
            (compile_path(mount.pattern)[0], mount.template)
            for mount in _mounts(getattr(self._app, "routes", ()), _ROOT)
        ]

    def _mount_prefix(self, scope: Scope, outer_root: str) -> str:
        """The templates of the mounts that lie between the app's root and the route."""
        root = scope.get("root_path", "")
        if root == outer_root:
            return ""
        suffix = root.removeprefix(outer_root)
        for _ in range(2):
            for pattern, template in self._mounts:
                if pattern.match(suffix):
                    return template
            self._index()
        return ""

    def _match_frontend(self, scope: Scope, outer_root: str, rest: str) -> Match | None:
        """`FastAPI.frontend` leaves what follows its own path, and nothing else, in the scope."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        template = self._mount_prefix(scope, outer_root) + path.removesuffix(rest).rstrip("/")
        return Match("GET", template + _REST, certain=False)


def effective_context(scope: Scope) -> Any | None:
    """FastAPI's context of a route of an included router (0.137 and newer), else None."""
    return _fastapi_scope(scope).get("effective_route_context")


def _fastapi_scope(scope: Scope) -> Mapping[str, Any]:
    return scope.get("fastapi") or _NOTHING


@dataclass(frozen=True, slots=True)
class _Prefix:
    """What the mounts above put before a path: as a template, and with converters."""

    template: str = ""
    pattern: str = ""

    def below(self, mount: Any) -> "_Prefix":
        """The prefix of what is mounted there."""
        return _Prefix(
            self.template + mount.path_format.removesuffix(_REST), self.pattern + mount.path
        )


_ROOT = _Prefix()


def _walk_app(app: Any, prefix: _Prefix, seen: tuple[int, ...]) -> Iterator[Leaf]:
    """Every route of an application or router, unless it is mounted in itself."""
    if id(app) not in seen:
        yield from _walk(getattr(app, "routes", ()), prefix, (*seen, id(app)))
        yield from _frontends(getattr(app, "router", app), prefix)


def _frontends(router: Any, prefix: _Prefix) -> Iterator[Leaf]:
    """The front ends of a router, which FastAPI keeps apart from its routes."""
    for candidate in getattr(router, "_iter_low_priority_routes", tuple)():
        group = getattr(candidate, "original_route", candidate)
        inside = getattr(candidate, "frontend_prefix", "")
        for route in getattr(group, "routes", ()):
            path = (inside + route.path).rstrip("/")
            yield Leaf(
                prefix.template + path + _REST,
                f"{prefix.pattern}{path}/{{path:path}}",
                ("GET",),
                "mount",
                route.app,
            )


def _walk(routes: Iterable[Any], prefix: _Prefix, seen: tuple[int, ...]) -> Iterator[Leaf]:
    """Every route below, in routing order."""
    for context in _contexts(routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, Host):
            yield from _walk_app(getattr(context, "app", route.app), prefix, seen)
        elif isinstance(route, Mount):
            yield from _walk_mount(context, route, prefix, seen)
        elif isinstance(route, WebSocketRoute):
            yield _leaf(context, prefix, (WEBSOCKET,), "websocket")
        elif isinstance(route, Route):
            yield _leaf(context, prefix, _methods(route, context.methods), "http")


def _walk_mount(
    context: Any, route: Mount, prefix: _Prefix, seen: tuple[int, ...]
) -> Iterator[Leaf]:
    below = prefix.below(context)
    inner = getattr(route, "_base_app", route.app)
    if getattr(inner, "routes", None) is None:
        methods = ("GET",) if isinstance(inner, StaticFiles) else (ANY,)
        template, pattern = below.template + _REST, below.pattern + "/{path:path}"
        yield Leaf(template, pattern, methods, "mount", route.app)
    else:
        yield from _walk_app(inner, below, seen)


def _leaf(context: Any, prefix: _Prefix, methods: tuple[str, ...], kind: str) -> Leaf:
    return Leaf(
        prefix.template + context.path_format,
        prefix.pattern + context.path,
        methods,
        kind,
        context.endpoint,
        tuple(str(getattr(tag, "value", tag)) for tag in getattr(context, "tags", None) or ()),
        bool(getattr(context, "deprecated", None)),
    )


def _contexts(routes: Iterable[Any]) -> Iterable[Any]:
    return routes if _iter_contexts is None else _iter_contexts(list(routes))


def _mounts(routes: Iterable[Any], prefix: _Prefix, depth: int = _MAX_DEPTH) -> Iterator[_Prefix]:
    """Every mount below."""
    for context in _contexts(routes) if depth else ():
        route = getattr(context, "original_route", context)
        if isinstance(route, Mount):
            below = prefix.below(context)
            yield below
            inner = getattr(route, "_base_app", route.app)
            yield from _mounts(getattr(inner, "routes", None) or (), below, depth - 1)
        elif isinstance(route, Host):
            yield from _mounts(getattr(route.app, "routes", None) or (), prefix, depth - 1)


def _methods(route: Any, methods: Iterable[str] | None) -> tuple[str, ...]:
    """The methods that an app declares; the HEAD that Starlette adds to GET is left out."""
    if methods is None:
        endpoint = route.endpoint
        if isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint):
            names = ("get", "head", "post", "put", "patch", "delete", "options", "query")
            return tuple(name.upper() for name in names if hasattr(endpoint, name))
        return (ANY,)
    declared = sorted(methods)
    if "GET" in declared and "HEAD" in declared and not isinstance(route, APIRoute):
        declared.remove("HEAD")
    return tuple(declared)


def _method(method: str, declared: tuple[str, ...]) -> str | None:
    """The endpoint's method that a request's method belongs to; None for a 405."""
    if method in declared:
        return method
    if ANY in declared:
        return ANY
    return "GET" if method == "HEAD" and "GET" in declared else None


def _by_path(found: list[tuple[Leaf, Pattern[str]]], scope: Scope, outer_root: str) -> Leaf | None:
    """Which of several routes with the same handler the path belongs to."""
    path = scope["path"].removeprefix(outer_root)
    for leaf, pattern in found:
        if pattern.match(path) and _method(scope.get("method", WEBSOCKET), leaf.methods):
            return leaf
    return None
