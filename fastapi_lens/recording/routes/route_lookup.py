"""Lookup of the route that a path reaches, without a call. Records nothing.

It follows FastAPI and Starlette: the first route in order that matches path and method.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.routing import Host, Match, Mount

from fastapi_lens.recording.routes.handler_info import describe
from fastapi_lens.recording.routes.route_tree import mounted_app, route_contexts, unwrapped_app

# An application may be mounted in itself.
_MAX_DEPTH = 8
# A reserved name (RFC 2606), so no route can be meant for it.
_ANY_HOST = "host.invalid"
_PARAMETER = re.compile(r"\{[^{}:]*(?::([^{}]*))?\}")
_SAMPLES = {"float": "1.0", "int": "1", "uuid": "00000000-0000-0000-0000-000000000000"}
_SAMPLE = "x"


@dataclass(frozen=True, slots=True)
class Reached:
    """The endpoint that answers at a path.

    Attributes:
        endpoint: The handler, or the application at a mount.
        name: The route's kind, path and handler, in words.
    """

    endpoint: Any
    name: str


def reached_at(app: Any, path: str) -> list[Reached]:
    """The routes that a GET of a path reaches, for an unnamed host and for each host in a route.

    Args:
        app: An application or router.
        path: The path without the root path.

    Returns:
        The route of an unnamed host first; hosts for which no route matches are left out.
    """
    hosts = [_ANY_HOST, *_hosts_in(getattr(app, "routes", None) or ())]
    found = [_reached(app, _scope(path, host), _MAX_DEPTH) for host in hosts]
    return [one for one in found if one is not None]


def sample_path(pattern: str) -> str:
    """A path that matches a pattern: ``/t/{tenant}/x`` gives ``/t/x/x``."""
    return _PARAMETER.sub(lambda found: _SAMPLES.get(found[1], _SAMPLE), pattern)


def _hosts_in(routes: Iterable[Any]) -> list[str]:
    return [sample_path(route.host) for route, _ in route_contexts(routes) if _is_host(route)]


def _is_host(route: Any) -> bool:
    return isinstance(route, Host)


def _scope(path: str, host: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", host.encode("latin-1", "replace"))],
    }


def _reached(app: Any, scope: dict[str, Any], depth: int) -> Reached | None:
    """The first route that matches a request; for a mounted application, the one inside."""
    for route, context in route_contexts(getattr(app, "routes", None) or ()):
        matched, changes = context.matches(dict(scope))
        if matched is Match.FULL:
            inside = None
            if isinstance(route, Mount | Host) and depth:
                inner = mounted_app(route) if isinstance(route, Mount) else context.app
                inside = _reached(unwrapped_app(inner), {**scope, **changes}, depth - 1)
            return inside or Reached(changes.get("endpoint"), _name_of(route, context))
    return None


def _name_of(route: Any, context: Any) -> str:
    where = route.host if isinstance(route, Host) else getattr(context, "path", None)
    target: Any = getattr(route, "_base_app", None) or getattr(route, "app", route)
    if not isinstance(route, Mount | Host):
        target = getattr(context, "endpoint", None) or route
    handler = describe(target).name
    return f"{type(route).__name__} {where or '/'!r} ({handler})"
