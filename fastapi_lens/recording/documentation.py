"""The documentation pages of an application, FastAPI's own and those that a host writes instead.

They are no endpoints. Knows no requests.
"""

import dis
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, ModuleType
from typing import Any

from fastapi_lens.recording.handlers import unwrapped

_FRAMEWORK_MODULE = "fastapi.applications"
_MAKERS = frozenset(
    {"get_swagger_ui_html", "get_redoc_html", "get_swagger_ui_oauth2_redirect_html", "get_openapi"}
)
"""What FastAPI's documentation has people call in pages of their own."""

_HOME_OF_MAKERS = "fastapi.openapi"

_URLS = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")


def is_built_in(endpoint: Any) -> bool:
    """Whether FastAPI itself answers, with a page of its own or with the schema."""
    return (getattr(unwrapped(endpoint), "__module__", None) or "").startswith(_FRAMEWORK_MODULE)


def makes_documentation(endpoint: Any) -> bool:
    """Whether a handler calls what FastAPI has for pages of the documentation, or the schema.

    A function that only has such a name, a method of a client for instance, is none of them.
    """
    handler = unwrapped(endpoint)
    code = getattr(handler, "__code__", None)
    if code is None or _MAKERS.isdisjoint(code.co_names + code.co_freevars):
        return False
    return any(module.startswith(_HOME_OF_MAKERS) for module in _modules_named(handler, code))


def _modules_named(handler: Any, code: CodeType) -> Iterator[str]:
    """The modules that a function imports, and those that hold what it names."""
    named: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            yield step.argval
        elif step.opname == "LOAD_GLOBAL":
            named.append(handler.__globals__.get(step.argval))
    for cell in handler.__closure__ or ():
        with suppress(ValueError):  # Empty: its variable has no value yet.
            named.append(cell.cell_contents)
    for one in named:
        yield str(getattr(one, "__name__" if isinstance(one, ModuleType) else "__module__", ""))


def documentation_paths(app: Any) -> frozenset[str]:
    """Where an application has its documentation, whoever answers there; empty without any."""
    if not getattr(app, "openapi_url", None):
        return frozenset()
    return frozenset(filter(None, (getattr(app, name, None) for name in _URLS)))
