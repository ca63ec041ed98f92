"""Which site a request comes from, as the browser says. Knows no keys and no pages.

Browsers say it in the fetch metadata (``Sec-Fetch-…``, https://www.w3.org/TR/fetch-metadata/), and
leave that out towards hosts that they do not trust, such as a name over plain http. There the
``Origin`` tells, which every request has whose answer a script of another site could read.
"""

from collections.abc import Sequence

from starlette.requests import HTTPConnection, Request

from fastapi_lens.origins import normalized_origin

_OWN_SITE = ("same-origin", "none")
"""``none``: typed into the address bar, or a bookmark."""

_OTHER_SITE = ("same-site", "cross-site")
_LINK = ("navigate", "document")
"""Mode and destination of a link that opens in a tab, neither in a frame nor for a script."""

_SPECULATION = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""Headers of pages that are fetched before anybody has followed the link."""


def is_cross_site(request: Request, trusted: Sequence[str]) -> bool:
    """Whether a request is another site's, unless somebody followed a link from there.

    Args:
        request: Of any method.
        trusted: Origins of sites that may do what our own pages may, normalized.
    """
    origin = _only(request, "origin")
    normal = None if origin is None else normalized_origin(origin)
    if normal is not None and normal in trusted:
        return False
    site = _only(request, "sec-fetch-site")
    if site is None:
        return origin is not None and not _is_own(request, normal)
    return site not in _OWN_SITE and (origin is not None or not _follows_link(request, site))


def is_own_form(request: Request, trusted: Sequence[str]) -> bool:
    """Whether a form was sent by a page of this site or of a trusted one.

    Args:
        request: Of a method that changes something.
        trusted: As for `is_cross_site`.
    """
    told = "sec-fetch-site" in request.headers or "origin" in request.headers
    return told and not is_cross_site(request, trusted)


def _is_own(request: HTTPConnection, origin: str | None) -> bool:
    """Whether an origin is the host that was asked, by whatever scheme a proxy has spoken to us."""
    host = _only(request, "host") or ""
    return origin is not None and origin == normalized_origin(
        f"{origin.partition(':')[0]}://{host}"
    )


def _follows_link(request: Request, site: str) -> bool:
    told = (_only(request, "sec-fetch-mode"), _only(request, "sec-fetch-dest"))
    return (
        request.method == "GET"
        and site in _OTHER_SITE
        and told == _LINK
        and not any(name in request.headers for name in _SPECULATION)
    )


def _only(request: HTTPConnection, name: str) -> str | None:
    """A header; one that came twice is none that a browser sends, and reads like no other."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
