"""The documentation pages of an application: FastAPI's own, and substitutes by the host.

They do not count as endpoints. Knows no requests.
"""

import dis
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, ModuleType
from typing import Any

from fastapi_lens.recording.routes.handler_info import unwrapped

_FRAMEWORK_MODULE = "fastapi.applications"
_MAKERS = frozenset(
    {"get_swagger_ui_html", "get_redoc_html", "get_swagger_ui_oauth2_redirect_html", "get_openapi"}
)
"""Functions that FastAPI's documentation tells users to call in pages of their own."""

_HOME_OF_MAKERS = "fastapi.openapi"

_URLS = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")


def is_built_in(endpoint: Any) -> bool:
    """True if FastAPI itself answers, with one of its pages or with the schema."""
    return (getattr(unwrapped(endpoint), "__module__", None) or "").startswith(_FRAMEWORK_MODULE)


def makes_documentation(endpoint: Any) -> bool:
    """True if a handler calls FastAPI's functions for documentation pages or for the schema.

    A different function of the same name, such as a method of a client, does not count.
    """
    handler = unwrapped(endpoint)
    code = getattr(handler, "__code__", None)
    if code is None or _MAKERS.isdisjoint(code.co_names + code.co_freevars):
        return False
    return any(module.startswith(_HOME_OF_MAKERS) for module in _modules_named(handler, code))


def _modules_named(handler: Any, code: CodeType) -> Iterator[str]:
    """The modules that a function imports, and those that define the names it uses."""
    named: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            yield step.argval
        elif step.opname == "LOAD_GLOBAL":
            named.append(handler.__globals__.get(step.argval))
    for cell in handler.__closure__ or ():
        with suppress(ValueError):  # An empty cell: its variable has no value yet.
            named.append(cell.cell_contents)
    for one in named:
        yield str(getattr(one, "__name__" if isinstance(one, ModuleType) else "__module__", ""))


def documentation_paths(app: Any) -> frozenset[str]:
    """Paths of an application's documentation, whichever route answers there; empty without any."""
    # Without the schema, FastAPI adds none of its pages.
    if not getattr(app, "openapi_url", None):
        return frozenset()
    return frozenset(filter(None, (getattr(app, name, None) for name in _URLS)))
