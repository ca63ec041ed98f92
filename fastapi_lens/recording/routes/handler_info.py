"""Facts about a handler: its source location and the summary in its docstring. Knows no routes."""

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any, cast

_MOST_LAYERS = 100
_FENCES = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Handler:
    """A function or class that answers requests.

    Attributes:
        name: ``package.module.function``; empty where there is none.
        source: ``package/module.py:41``; empty where the source is not known.
        summary: First line of the docstring that is no code; empty where there is none.
    """

    name: str = ""
    source: str = ""
    summary: str = ""


def describe(endpoint: Any) -> Handler:
    """The facts about an endpoint's handler; unknown ones are empty."""
    target = unwrapped(endpoint)
    # An instance that can be called has no name of its own; its class has one.
    if not isinstance(getattr(target, "__qualname__", None), str):
        target = cast("Any", type(target))
    name = f"{target.__module__}.{target.__qualname__}"
    # Not inspect.getdoc, which falls back to the docstring of a base class.
    text = target.__doc__
    documentation = inspect.cleandoc(text) if isinstance(text, str) else ""
    return Handler(name, _source(target), _summary(documentation))


def _summary(documentation: str) -> str:
    """The first line outside of blocks of code in Markdown."""
    is_code = False
    for line in map(str.strip, documentation.split("\n")):
        # After the fence come no backticks, or it is code within a line (CommonMark).
        if line.startswith(_FENCES) and "`" not in line.lstrip("`~"):
            is_code = not is_code
        elif line and not is_code:
            return line
    return ""


def layers(endpoint: Any) -> Iterator[Any]:
    """An endpoint, and the functions inside its partials and ``functools.wraps`` decorators.

    At most `_MOST_LAYERS`: a function may wrap itself, and some objects have every attribute.
    """
    yield endpoint
    for _ in range(_MOST_LAYERS - 1):
        if isinstance(endpoint, partial):
            endpoint = endpoint.func
        elif hasattr(endpoint, "__wrapped__"):
            endpoint = endpoint.__wrapped__
        else:
            return
        yield endpoint


def unwrapped(endpoint: Any) -> Any:
    """The innermost layer, see `layers`."""
    *_, innermost = layers(endpoint)
    return innermost


def _source(target: Callable[..., Any] | type) -> str:
    code = getattr(target, "__code__", None)
    # The code object needs no source file, which a deployment may lack.
    if isinstance(code, CodeType):
        return f"{relative(code.co_filename)}:{code.co_firstlineno}"
    try:
        file = inspect.getsourcefile(target)
        _, line = inspect.findsource(target)
    except (OSError, TypeError):
        return ""
    return f"{relative(file)}:{line + 1}" if file else ""


def relative(file: str) -> str:
    """The path below the directory that its package is imported from."""
    path = Path(file)
    for base in (Path.cwd(), *map(Path, sys.path)):
        # `sys.path` may hold an empty entry for the working directory.
        if base.is_absolute() and path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name
