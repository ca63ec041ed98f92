"""Redirects from addresses of earlier releases to those of today."""

from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.context import Context


def moved(context: Context, path: str) -> Response:
    """A permanent redirect to another path of the admin, with the same query."""
    # Not from the URL, which older releases of Starlette cut at a question mark in the path.
    query: str = context.request.scope["query_string"].decode("ascii", "ignore")
    return RedirectResponse(context.url(path) + (f"?{query}" if query else ""), 308)


def export_csv(context: Context) -> Response:
    """``GET /export.csv``: a redirect to ``/endpoints.csv``."""
    return moved(context, "/endpoints.csv")


def export_json(context: Context) -> Response:
    """``GET /export.json``: a redirect to ``/endpoints.json``."""
    return moved(context, "/endpoints.json")


def failures(context: Context) -> Response:
    """``GET /failures`` and ``GET /failures/{key}``: a redirect to ``/exceptions``."""
    key = context.request.path_params.get("key")
    return moved(context, "/exceptions" if key is None else f"/exceptions/{quote(key)}")
