"""The documentation pages of an application, FastAPI's own and those that a host writes instead.

They are no endpoints. Knows no requests.
"""

from typing import Any

from fastapi_lens.recording.handlers import unwrapped

_FRAMEWORK_MODULE = "fastapi.applications"
_MAKERS = frozenset(
    {"get_swagger_ui_html", "get_redoc_html", "get_swagger_ui_oauth2_redirect_html", "get_openapi"}
)
"""What FastAPI's documentation has people call in pages of their own."""

_URLS = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")


def is_documentation(endpoint: Any) -> bool:
    """Whether a handler makes a page of the documentation, or the schema."""
    handler = unwrapped(endpoint)
    if (getattr(handler, "__module__", None) or "").startswith(_FRAMEWORK_MODULE):
        return True
    code = getattr(handler, "__code__", None)
    return code is not None and not _MAKERS.isdisjoint(code.co_names + code.co_freevars)


def documentation_paths(app: Any) -> frozenset[str]:
    """Where an application has its documentation, whoever answers there; empty without any."""
    if not getattr(app, "openapi_url", None):
        return frozenset()
    return frozenset(filter(None, (getattr(app, name, None) for name in _URLS)))
