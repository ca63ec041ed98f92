"""The endpoints of an application, found by a walk over its route tree. Knows no requests.

With `route_match`, the only module that uses internals of FastAPI and Starlette. Until FastAPI
0.136 `include_router` copies routes (eager); since 0.137 it leaves them in their router (lazy), and
FastAPI itself provides the paths under which they answer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from fastapi import routing as fastapi_routing
from fastapi.routing import APIRoute
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from fastapi_lens.recording.routes.class_methods import possible_verbs_of, verbs_of
from fastapi_lens.recording.routes.documentation_pages import (
    documentation_paths,
    is_built_in,
    makes_documentation,
)
from fastapi_lens.recording.routes.handler_info import Handler, describe, unwrapped
from fastapi_lens.text.methods import method_name
from fastapi_lens.verdict.overrides import EXTENSION

WEBSOCKET = "WEBSOCKET"
ANY = "ANY"
REST = "/{path}"
"""The part of a template that stands for any path below a mount."""

# An application may be mounted in itself.
_MAX_DEPTH = 8
_OWN_MODULE = "fastapi_lens."


@dataclass(frozen=True, slots=True)
class Leaf:
    """One route of an app that answers requests, under its full template.

    Attributes:
        template: Full path template, mounts and prefixes included.
        pattern: The same with its converters, ``/files/{path:path}``.
        methods: Methods it answers, as declared; ``("WEBSOCKET",)``, or ``("ANY",)`` for an opaque
            mount.
        is_page: True if it is a page of the application's documentation.
        silent: Those of the methods that are reported only after a call.
        kind: ``http``, ``websocket`` or ``mount``.
        endpoint: The handler, or the mounted application.
        guarded: True if FastAPI runs dependencies before it that are not among its parameters.
        overrides: The ``x-lens`` value of the route's `openapi_extra`, as the code has it; None
            where it has none.
    """

    template: str
    pattern: str
    methods: tuple[str, ...]
    kind: str
    endpoint: Any
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    guarded: bool = False
    silent: tuple[str, ...] = ()
    is_page: bool = False
    overrides: object = None

    @property
    def names(self) -> tuple[str, ...]:
        """The method names under which calls are counted."""
        return tuple(method_name(one) for one in self.methods if one not in self.silent)

    @property
    def handler(self) -> Handler:
        """Facts about the handler; none of the framework's own, such as StaticFiles."""
        module = getattr(unwrapped(self.endpoint), "__module__", None) or ""
        return (
            Handler() if module.startswith(("fastapi.", "starlette.")) else describe(self.endpoint)
        )


@dataclass(frozen=True, slots=True)
class Prefix:
    """The path of all mounts above a route: as a template, and with converters."""

    template: str = ""
    pattern: str = ""

    def below(self, mount: Any) -> "Prefix":
        """The prefix of the routes below a mount."""
        return Prefix(
            self.template + mount.path_format.removesuffix(REST), self.pattern + mount.path
        )


_ROOT = Prefix()


def leaves_of(app: Any) -> list[Leaf]:
    """Every route of an application or router, in routing order; empty if it has no routes."""
    return list(_walk_app(app, _ROOT, ()))


def mounts_of(app: Any) -> Iterator[Prefix]:
    """Every mount of an application, including mounts in mounted applications."""
    return _mounts(getattr(app, "routes", ()), _ROOT)


def unwrapped_app(app: Any) -> Any:
    """The application inside middlewares that wrap it directly, if it has routes."""
    inner = app
    for _ in range(_MAX_DEPTH):
        # Not its truth: an application that has no route yet has an empty list.
        if getattr(inner, "routes", None) is not None:
            return inner
        inner = getattr(inner, "app", None)
        if inner is None:
            break
    return app


def is_framework(endpoint: Any) -> bool:
    """True if the endpoint belongs to FastAPI's own documentation or to the lens."""
    return is_lens(endpoint) or is_built_in(endpoint)


def is_lens(endpoint: Any) -> bool:
    """True if the endpoint belongs to the lens."""
    module = getattr(unwrapped(endpoint), "__module__", None) or ""
    return module.startswith(_OWN_MODULE)


def declared_methods(route: Any, methods: Iterable[str] | None) -> tuple[str, ...]:
    """The methods that an app declares; the HEAD that Starlette adds to GET is left out.

    Args:
        route: A route of FastAPI or Starlette.
        methods: The methods under which it is included; None if its endpoint defines them.
    """
    if not methods:
        return verbs_of(route.endpoint) or (ANY,)
    declared = sorted(methods)
    # FastAPI adds no HEAD to its own routes, so a HEAD there was declared.
    if "GET" in declared and "HEAD" in declared and not isinstance(route, APIRoute):
        declared.remove("HEAD")
    return tuple(declared)


def silent_methods(route: Any, methods: Iterable[str] | None) -> tuple[str, ...]:
    """Methods that a route may answer besides its `declared_methods`; takes the same arguments."""
    return () if methods else possible_verbs_of(route.endpoint)


def _walk_app(app: Any, prefix: Prefix, seen: tuple[int, ...]) -> Iterator[Leaf]:
    """Every route of an application or router, unless it is mounted in itself."""
    if id(app) not in seen:
        pages = {prefix.template + path for path in documentation_paths(app)}
        for leaf in _walk(getattr(app, "routes", ()), prefix, (*seen, id(app))):
            # A handler that also accepts POST does more than serve documentation.
            is_page = leaf.methods == ("GET",) and (
                leaf.template in pages or makes_documentation(leaf.endpoint)
            )
            yield replace(leaf, is_page=True) if is_page else leaf
        yield from _frontends(getattr(app, "router", app), prefix)


def _frontends(router: Any, prefix: Prefix) -> Iterator[Leaf]:
    """The front ends of a router, which FastAPI 0.138 keeps separate from its routes."""
    for candidate in getattr(router, "_iter_low_priority_routes", tuple)():
        group = getattr(candidate, "original_route", candidate)
        inside = getattr(candidate, "frontend_prefix", "")
        for route in getattr(group, "routes", ()):
            path = (inside + route.path).rstrip("/")
            yield Leaf(
                prefix.template + path + REST,
                f"{prefix.pattern}{path}/{{path:path}}",
                ("GET",),
                "mount",
                route.app,
            )


def _walk(routes: Iterable[Any], prefix: Prefix, seen: tuple[int, ...]) -> Iterator[Leaf]:
    """Every route below, in routing order."""
    for route, context in route_contexts(routes):
        if isinstance(route, Host):
            yield from _walk_app(unwrapped_app(context.app), prefix, seen)
        elif isinstance(route, Mount):
            yield from _walk_mount(context, route, prefix, seen)
        elif isinstance(route, WebSocketRoute):
            yield _leaf(context, prefix, (WEBSOCKET,), "websocket")
        elif isinstance(route, Route):
            silent = silent_methods(route, context.methods)
            declared = declared_methods(route, context.methods)
            leaf = _leaf(context, prefix, declared + silent, "http")
            yield replace(leaf, silent=silent, overrides=_overrides(route))


def _walk_mount(
    context: Any, route: Mount, prefix: Prefix, seen: tuple[int, ...]
) -> Iterator[Leaf]:
    below = prefix.below(context)
    inner = mounted_app(route)
    if getattr(inner, "routes", None) is None:
        # StaticFiles refuses all methods but GET and HEAD.
        methods = ("GET",) if isinstance(inner, StaticFiles) else (ANY,)
        template, pattern = below.template + REST, below.pattern + "/{path:path}"
        yield Leaf(template, pattern, methods, "mount", route.app)
    else:
        yield from _walk_app(inner, below, seen)


def _leaf(context: Any, prefix: Prefix, methods: tuple[str, ...], kind: str) -> Leaf:
    return Leaf(
        prefix.template + context.path_format,
        prefix.pattern + context.path,
        methods,
        kind,
        context.endpoint,
        # FastAPI also takes members of an Enum as tags.
        tuple(str(getattr(tag, "value", tag)) for tag in getattr(context, "tags", None) or ()),
        bool(getattr(context, "deprecated", None)),
        bool(getattr(context, "dependencies", None)),
    )


def _overrides(route: Any) -> object:
    """The overrides in a route's code; only routes of FastAPI have any."""
    extra = getattr(route, "openapi_extra", None)
    return cast("dict[str, object]", extra).get(EXTENSION) if isinstance(extra, dict) else None


def _mounts(routes: Iterable[Any], prefix: Prefix, depth: int = _MAX_DEPTH) -> Iterator[Prefix]:
    """Every mount below."""
    for route, context in route_contexts(routes) if depth else ():
        if isinstance(route, Mount):
            below = prefix.below(context)
            yield below
            yield from _inner_mounts(mounted_app(route), below, depth)
        elif isinstance(route, Host):
            yield from _inner_mounts(unwrapped_app(context.app), prefix, depth)


def mounted_app(route: Mount) -> Any:
    """The application at a mount, without middlewares that Starlette or the host put around it."""
    return unwrapped_app(getattr(route, "_base_app", route.app))


def _inner_mounts(app: Any, prefix: Prefix, depth: int) -> Iterator[Prefix]:
    return _mounts(getattr(app, "routes", None) or (), prefix, depth - 1)


def route_contexts(routes: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each route, and the object with the path and methods under which it answers."""
    for context in _iter_contexts(list(routes)):
        route = getattr(context, "original_route", context)
        yield route, getattr(context, "starlette_route", None) or context


def _iter_included(routes: Iterable[Any]) -> Iterator[Any]:
    """Substitute for `fastapi.routing.iter_route_contexts` in FastAPI before 0.137.2."""
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)
        yield from (route,) if included is None else included()


_iter_contexts = getattr(fastapi_routing, "iter_route_contexts", _iter_included)
