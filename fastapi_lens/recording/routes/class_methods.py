"""Methods that a class-based endpoint of Starlette answers. Knows no routes and no requests."""

import inspect
from collections.abc import Callable
from typing import Any

from starlette.endpoints import HTTPEndpoint

_STANDARD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")
_REGISTERED = frozenset(
    {"ACL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "COPY", "LABEL", "LINK", "LOCK", "MERGE"}
    | {"MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH"}
    | {"PROPFIND", "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "TRACE", "UNBIND"}
    | {"UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF"}
)
"""IANA's other methods that can be function names, and PURGE, which caches use."""

_DISPATCH: Callable[..., Any] = HTTPEndpoint.dispatch
KNOWS_ITS_VERBS = "_allowed_methods" in _DISPATCH.__code__.co_names
"""True if Starlette refuses methods that are not `_STANDARD`, as it does since 1.0."""

_PARAMETERS = 2
"""Number of parameters: the instance and the request."""


def verbs_of(endpoint: Any) -> tuple[str, ...]:
    """The methods that a class certainly answers; empty if it is no `HTTPEndpoint`."""
    if not _is_class_based(endpoint):
        return ()
    found = tuple(name for name in _STANDARD if hasattr(endpoint, name.lower()))
    own = [verb for verb in _own_verbs(endpoint) if verb in _REGISTERED]
    # A function of such a name may be a helper, which takes other arguments than a request.
    return (*found, *(verb for verb in own if _takes_a_request(endpoint, verb)))


def possible_verbs_of(endpoint: Any) -> tuple[str, ...]:
    """Methods that a class answers besides `verbs_of`; some may be only helper functions."""
    if not _is_class_based(endpoint):
        return ()
    certain = verbs_of(endpoint)
    return tuple(verb for verb in _own_verbs(endpoint) if verb not in certain)


def _is_class_based(endpoint: Any) -> bool:
    return isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint)


def _own_verbs(endpoint: type[HTTPEndpoint]) -> list[str]:
    """The public functions of a class that are not Starlette's and that requests can reach."""
    dispatch: Callable[..., Any] = endpoint.dispatch
    if KNOWS_ITS_VERBS and dispatch is _DISPATCH:
        return []
    names = sorted(set(dir(endpoint)).difference(dir(HTTPEndpoint)))
    return [
        name.upper()
        for name in names
        if not name.startswith("_") and inspect.isfunction(getattr(endpoint, name))
    ]


def _takes_a_request(endpoint: type[HTTPEndpoint], verb: str) -> bool:
    return len(inspect.signature(getattr(endpoint, verb.lower())).parameters) == _PARAMETERS
