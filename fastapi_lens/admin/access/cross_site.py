"""The site that a request comes from, according to the browser. Knows no keys and no pages.

Browsers send it as fetch metadata (``Sec-Fetch-…``, https://www.w3.org/TR/fetch-metadata/), but not
to hosts that they do not trust, such as a name over plain http. There, ``Origin`` is used: every
request whose response a script of another site could read has that header.
"""

from collections.abc import Sequence

from starlette.requests import HTTPConnection, Request

from fastapi_lens.text.origins import normalized_origin

_OWN_SITE = ("same-origin", "none")
"""Values of the own site; ``none`` means the address bar or a bookmark."""

_OTHER_SITE = ("same-site", "cross-site")
_LINK = ("navigate", "document")
"""Mode and destination of a link that opens in a tab, not in a frame and not for a script."""

_SPECULATION = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""Headers of pages that are prefetched before the user follows the link."""


def is_cross_site(request: Request, trusted: Sequence[str]) -> bool:
    """True if a request comes from another site, unless the user followed a link from there.

    Args:
        request: A request of any method.
        trusted: Normalized origins of sites with the same rights as the admin's own pages.
    """
    origin = _only(request, "origin")
    normal = None if origin is None else normalized_origin(origin)
    if normal is not None and normal in trusted:
        return False
    site = _only(request, "sec-fetch-site")
    if site is None:
        return origin is not None and not _is_own(request, normal)
    # A followed link sends no Origin; a request whose answer a script could read does.
    return site not in _OWN_SITE and (origin is not None or not _follows_link(request, site))


def is_own_form(request: Request, trusted: Sequence[str]) -> bool:
    """True if a form was sent by a page of this site or of a trusted one.

    Args:
        request: A request of a method that changes something.
        trusted: See `is_cross_site`.
    """
    # Every current browser sends Origin with a POST, so a form without both is refused.
    sent = "sec-fetch-site" in request.headers or "origin" in request.headers
    return sent and not is_cross_site(request, trusted)


def _is_own(request: HTTPConnection, origin: str | None) -> bool:
    """True if an origin is the requested host, regardless of the scheme that a proxy used."""
    host = _only(request, "host") or ""
    return origin is not None and origin == normalized_origin(
        f"{origin.partition(':')[0]}://{host}"
    )


def _follows_link(request: Request, site: str) -> bool:
    sent = (_only(request, "sec-fetch-mode"), _only(request, "sec-fetch-dest"))
    return (
        request.method == "GET"
        and site in _OTHER_SITE
        and sent == _LINK
        and not any(name in request.headers for name in _SPECULATION)
    )


def _only(request: HTTPConnection, name: str) -> str | None:
    """A header's value; a repeated header, which no browser sends, gives no valid value."""
    values = request.headers.getlist(name)
    return ", ".join(values) if values else None
