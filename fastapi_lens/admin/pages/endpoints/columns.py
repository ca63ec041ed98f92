"""The choice of columns: its form, and the cookie that remembers it.

The address of a view names the columns, so that whoever gets a link sees the same ones. Without
them in the address, those of the cookie are chosen, by a redirect to the address that names them.
"""

from typing import NamedTuple

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.access.cookies import Cookie, set_cookie
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.tables.endpoints import COLUMNS
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, chosen_names, names_of
from fastapi_lens.admin.urls.query_string import address, fields_of

COOKIE = "lens_cols"
COOKIE_SECONDS = 365 * 86_400

_VIEW = "columns"
"""Parameter of the form: the address of the view whose columns are chosen."""


class Choice(NamedTuple):
    """A column that can be chosen."""

    name: str
    label: str
    is_shown: bool


class Chooser(NamedTuple):
    """The form in which columns are chosen.

    Attributes:
        choices: The columns, from left to right.
        view: The address of the view below `base`.
        default_href: The view with the columns of its tab; empty if they are shown.
    """

    choices: list[Choice]
    view: str
    default_href: str


def chooser(query: EndpointsQuery, base: str) -> Chooser:
    """The form of a view, whose address begins with `base`."""
    shown = {column.name for column in query.view_columns()}
    # With a path, because an empty parameter would be none.
    view = query.with_columns(()).url("/")
    return Chooser(
        [
            Choice(column.name, column.header, column.name in shown)
            for column in COLUMNS
            if not column.is_row_header
        ],
        view,
        address(base, [(_VIEW, view)]) if query.columns else "",
    )


def query_of(context: Context) -> EndpointsQuery:
    """The state of the page in the address, or in the form of the columns."""
    url = f"?{context.request.url.query}"
    view = _view_of(context)
    if view is None:
        return EndpointsQuery.parse(url)
    return EndpointsQuery.parse(view).with_columns(chosen_names(url))


def redirect_of(context: Context, query: EndpointsQuery) -> Response | None:
    """A redirect to the address that names the reader's columns; None if this one does."""
    if wants_fragment(context.request):
        return None
    base = context.url("/endpoints")
    if _view_of(context) is not None:
        return remembered(context, query, RedirectResponse(query.url(base), 303))
    if "cols" in fields_of(f"?{context.request.url.query}"):
        return None
    own = query.with_columns(names_of(context.request.cookies.get(COOKIE, "")))
    return RedirectResponse(own.url(base), 303) if own.columns else None


def remembered(context: Context, query: EndpointsQuery, response: Response) -> Response:
    """The response, with a cookie if the reader has just chosen columns."""
    if _view_of(context) is None:
        return response
    cookie = Cookie(".".join(query.columns), COOKIE_SECONDS if query.columns else 0)
    set_cookie(response, context.request, context.base, COOKIE, cookie)
    return response


def _view_of(context: Context) -> str | None:
    """The view in the form of the columns; None if the request is none of that form."""
    found = fields_of(f"?{context.request.url.query}").get(_VIEW)
    return None if found is None else found[-1]
