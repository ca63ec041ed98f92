"""Releases of the demo's past, and the endpoints that each of them had. Writes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from example_project.factory import RELEASE
from example_project.load import DAY, LAUNCHED_DAYS_AGO
from example_project.profiles import PROFILES, REMOVED, Key, Trend
from fastapi_lens.recording.routes.route_match import Leaf

LAST_DAYS_AGO = 5
_NEW = ("GET", "/v2/products/{sku}/similar")
_PARCELS = ("POST", "/webhooks/parcels")


@dataclass(frozen=True, slots=True)
class Release:
    """One release.

    Attributes:
        name: Its name.
        days_ago: Days since it was deployed.
        added: Endpoints that it has, and the release before had not.
        removed: Endpoints that the release before had, and it has not.
    """

    name: str
    days_ago: float
    added: frozenset[Key] = field(default_factory=frozenset[Key])
    removed: frozenset[Key] = field(default_factory=frozenset[Key])


RELEASES = (
    Release("2.11.0", inf),
    Release("2.12.0", 210, added=frozenset({_PARCELS})),
    Release(
        "2.13.0",
        LAUNCHED_DAYS_AGO,
        added=frozenset(key for key, one in PROFILES.items() if one.trend is Trend.LAUNCHED),
        removed=frozenset(REMOVED),
    ),
    Release("2.13.1", 32),
    Release(RELEASE, LAST_DAYS_AGO, added=frozenset({_NEW})),
)
"""The oldest first; the last one is the demo itself."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A time in which one release served.

    Attributes:
        release: Name of the release.
        start: Epoch seconds.
        end: Epoch seconds.
        absent: Endpoints of other releases, which this one had not.
    """

    release: str
    start: float
    end: float
    absent: frozenset[Key]


def deployments(*, now: float, days: float) -> Iterator[Deployment]:
    """The deployments of the last days, the oldest first.

    Args:
        now: Epoch seconds.
        days: Length of the past.
    """
    begin = now - days * DAY
    starts = [now - release.days_ago * DAY for release in RELEASES]
    absent = frozenset[Key]().union(*(release.added for release in RELEASES))
    for release, start, end in zip(RELEASES, starts, [*starts[1:], now], strict=True):
        absent = absent - release.added | release.removed
        if end > begin:
            yield Deployment(release.name, max(begin, start), end, absent)


def earlier_app(leaves: Iterable[Leaf], absent: frozenset[Key]) -> Starlette:
    """An application with the endpoints of an earlier release.

    Args:
        leaves: The endpoints of the demo.
        absent: Endpoints that the earlier release had not.
    """
    routes = [route for leaf in leaves if (route := _route(leaf, absent)) is not None]
    for key, handler in _REMOVED_HANDLERS.items():
        method, path = key
        if key not in absent:
            routes.append(Route(path, handler, methods=[method]))
    return Starlette(routes=routes)


def _route(leaf: Leaf, absent: frozenset[Key]) -> BaseRoute | None:
    methods = [method for method in leaf.methods if (method, leaf.template) not in absent]
    if not methods:
        return None
    if leaf.kind == "mount":
        return Mount(leaf.pattern.removesuffix("/{path:path}"), leaf.endpoint)
    if leaf.kind == "websocket":
        return WebSocketRoute(leaf.pattern, leaf.endpoint)
    return Route(leaf.pattern, leaf.endpoint, methods=methods)


def _read_customer_v1() -> None:
    """Show a customer in the words of version 1."""


def _read_server_info() -> None:
    """Say on which machine the API runs."""


_REMOVED_HANDLERS: dict[Key, Any] = {
    ("GET", "/v1/customers/{customer_id}"): _read_customer_v1,
    ("GET", "/v1/server-info"): _read_server_info,
}
