"""First call: a request that an application's routes answer and that is counted. Sends nothing."""

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import unquote, urlencode
from uuid import UUID

from fastapi import params
from starlette.routing import Mount, Route, compile_path

from fastapi_lens.recording.routes.handler_info import unwrapped
from fastapi_lens.recording.routes.route_tree import (
    Leaf,
    is_framework,
    is_lens,
    leaves_of,
    mounted_app,
    route_contexts,
)
from fastapi_lens.text.quoted_paths import quoted_path

MOST_TRIED = 50
"""Endpoints whose route is looked up, which costs as much as routing a request."""

_UUID = "00000000-0000-4000-8000-000000000000"
_PLAIN = "1"
"""The value of everything that needs no other one; a text may be anything."""

_EXAMPLES: Mapping[type, str] = {
    **dict.fromkeys((str, int, float, Decimal), _PLAIN),
    bool: "true",
    UUID: _UUID,
    date: "2026-01-31",
    datetime: "2026-01-31T12:00:00",
    time: "12:00:00",
}
_OF_CONVERTERS = {"uuid": _UUID}


@dataclass(frozen=True, slots=True)
class Call:
    """A request of an endpoint.

    Attributes:
        method: ``GET``, or that of an endpoint that cannot be called without a body.
        template: The path template of the endpoint.
        target: Path and query below the root path, percent-encoded; empty if the request needs more
            than an address.
    """

    method: str
    template: str
    target: str = ""


def first_call(app: Any, is_counted: Callable[[str, str], bool]) -> Call | None:
    """The request that is easiest to make and is counted; None if no endpoint is counted.

    A GET without parameters comes first, then one with the fewest of them, filled in with values of
    their types, then any other endpoint. Each address is compared with all routes: one that another
    route or a mount answers is left out.

    Args:
        app: A FastAPI or Starlette application.
        is_counted: True if calls of a method and path template are counted.
    """
    leaves = [
        leaf
        for leaf in leaves_of(app)
        if leaf.kind == "http" and not (leaf.is_page or is_framework(leaf.endpoint))
    ]
    counted = [
        (method, leaf)
        for leaf in leaves
        for method in leaf.names
        if is_counted(method, leaf.template)
    ]
    gets = sorted((leaf for method, leaf in counted if method == "GET"), key=_effort)
    for leaf in gets[:MOST_TRIED]:
        path, query = _filled(leaf)
        if _answering(app, path) is leaf.endpoint:
            return Call("GET", leaf.template, quoted_path(path) + query)
    others = [Call(method, leaf.template) for method, leaf in counted]
    return min(others, key=lambda call: (call.method == "GET", len(call.template)), default=None)


def root_of(app: Any, base: str) -> str:
    """The path in front of all templates of an application, as a client of its admin sees it.

    Args:
        app: The application that the admin is a part of.
        base: The admin's path as the client sees it, percent-encoded: ``/api/internal/lens``.

    Returns:
        ``/api``, percent-encoded; empty if there is none, or if the admin is not in the routes.
    """
    admins = [compile_path(leaf.pattern)[0] for leaf in leaves_of(app) if is_lens(leaf.endpoint)]
    for at in (at for at, letter in enumerate(base) if letter == "/"):
        if any(admin.match(unquote(base[at:])) for admin in admins):
            return base[:at]
    return ""


def _effort(leaf: Leaf) -> tuple[int, int]:
    """Parameters, then letters."""
    return leaf.template.count("{") + len(_required(leaf)), len(leaf.template)


def _filled(leaf: Leaf) -> tuple[str, str]:
    """A path of an endpoint, and the query that it requires, with its question mark."""
    values = _hints(leaf.endpoint)
    _, path, converters = compile_path(leaf.pattern)
    for name, converter in converters.items():
        kind = type(converter).__name__.removesuffix("Convertor").lower()
        value = _OF_CONVERTERS.get(kind) or example_of(values.get(name))
        path = path.replace(f"{{{name}}}", value)
    required = _required(leaf)
    return path, f"?{urlencode(required)}" if required else ""


def _required(leaf: Leaf) -> dict[str, str]:
    """Names and values of the parameters that the query must have, as far as they are known."""
    _, _, converters = compile_path(leaf.pattern)
    hints, found = _hints(leaf.endpoint), dict[str, str]()
    for name, parameter in _parameters(leaf.endpoint).items():
        alias = "" if name in converters else _query_name(parameter, hints.get(name))
        if alias:
            found[alias] = example_of(hints.get(name))
    return found


def _query_name(parameter: inspect.Parameter, hint: object) -> str:
    """The name of a parameter in the query; empty if it may be left out or is elsewhere."""
    if not _known_example(hint):
        return ""
    declared = _declared(parameter.default, hint)
    # Not by equality, which values of the host may define as they like.
    is_required = parameter.default is parameter.empty or parameter.default is ...
    if declared is None:
        return parameter.name if is_required else ""
    # Others are a header, a part of the body, or what a dependency gives.
    if not isinstance(declared, params.Query) or not (is_required or declared.is_required()):
        return ""
    return declared.alias or parameter.name


def _declared(default: object, hint: object) -> object:
    """The value that tells the source of a parameter: ``Query()``; None for a plain one."""
    kinds = (params.Param, params.Body, params.Depends)
    return next((one for one in (default, *_metadata(hint)) if isinstance(one, kinds)), None)


def example_of(hint: object) -> str:
    """A text that stands for a value of a type; the first of an enumeration."""
    return _known_example(hint) or _PLAIN


def _known_example(hint: object) -> str:
    """The same; empty for a type that no text is known of."""
    choices, base = _choices(hint), _base(hint)
    if choices:
        return str(choices[0])
    # Only types, because other hints may have no hash.
    return _EXAMPLES.get(base, "") if isinstance(base, type) else ""


def _choices(hint: object) -> list[object]:
    """The values of an enumeration or a `Literal`; none of any other type."""
    base = _base(hint)
    if get_origin(base) is Literal:
        return list(get_args(base))
    if isinstance(base, type) and issubclass(base, Enum):
        return [one.value for one in base]
    return []


def _base(hint: object) -> Any:
    """A type without what `Annotated` says of it."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _metadata(hint: object) -> tuple[object, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _hints(endpoint: Any) -> Mapping[str, object]:
    """The types of a handler's parameters; none where they cannot be read."""
    try:
        return typing.get_type_hints(unwrapped(endpoint), include_extras=True)
    except (AttributeError, NameError, SyntaxError, TypeError):
        return {}


def _parameters(endpoint: Any) -> Mapping[str, inspect.Parameter]:
    """The parameters of a handler; none where they cannot be read."""
    try:
        return inspect.signature(unwrapped(endpoint)).parameters
    except (TypeError, ValueError):
        return {}


def _answering(app: Any, path: str) -> Any:
    """The handler that the routes choose for a GET; None if they answer 404 or 405."""
    for route, context in _beginning(route_contexts(getattr(app, "routes", None) or ()), path):
        if isinstance(route, Mount):
            below = compile_path(context.path + "/{path:path}")[0].match(path)
            if below is not None:
                return _answering(mounted_app(route), f"/{below['path']}")
        elif "GET" in (context.methods or ("GET",)) and compile_path(context.path)[0].match(path):
            return context.endpoint
    return None


def _beginning(routes: Iterable[tuple[Any, Any]], path: str) -> Iterator[tuple[Any, Any]]:
    """The routes and mounts whose paths begin as a path does, up to their first parameter."""
    for route, context in routes:
        if isinstance(route, (Mount, Route)) and path.startswith(context.path.partition("{")[0]):
            yield route, context
