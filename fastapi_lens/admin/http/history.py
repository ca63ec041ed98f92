"""Entries in a browser's history for fragments. Knows no page."""

from starlette.requests import Request

from fastapi_lens.admin.http.requests import parts_of, wants_fragment
from fastapi_lens.admin.urls.query_string import fields_of


def history_headers(request: Request, address: str) -> dict[str, str]:
    """The htmx headers that update the address bar and the history for a fragment.

    An explicit choice adds an entry, typing in the search replaces the entry of the search,
    and a live update changes nothing.

    Args:
        request: The request for the fragment; one for a whole page needs no headers.
        address: The canonical address of the fragment's state.
    """
    if not wants_fragment(request):
        return {}
    # htmx sends its source as `tag#id`.
    source = request.headers.get("hx-source", "")
    shown = parts_of(request.headers.get("hx-current-url", ""))
    same = shown.path + (f"?{shown.query}" if shown.query else "") == address
    if same or is_live_update(request):
        return {"HX-Push-Url": "false"}
    # The first letter adds an entry, so that Back leads to the list before the search.
    searched = any(fields_of(f"?{shown.query}").get("q", []))
    typing = source.endswith("#lens-q") and searched
    return {"HX-Replace-Url" if typing else "HX-Push-Url": address}


def is_live_update(request: Request) -> bool:
    """True if the page itself asks for a fragment, not the reader."""
    return request.headers.get("hx-source", "").endswith("#lens-live")
