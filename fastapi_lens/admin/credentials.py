"""Keys as requests bring them along, and what only looks like one. Knows no key and no session."""

import base64
import json
from typing import Any

from starlette.requests import HTTPConnection

from fastapi_lens.admin.edge import parts_of

KEY_HEADER = "x-lens-key"
_BROWSER = "Mozilla/"
"""How every browser's name begins; no page can take it away."""

_DOTS_OF_TOKENS = (2, 4)
"""Of a signed and of an encrypted JSON web token."""


def key_header(request: HTTPConnection) -> bytes:
    """The key of the X-Lens-Key header, which is for the lens alone; empty without."""
    return request.headers.get(KEY_HEADER, "").encode("latin-1")


def bearer_token(request: HTTPConnection) -> bytes:
    """The token of the Authorization header, which may be for somebody else; empty without."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def is_web_token(token: bytes) -> bool:
    """Whether a text is a JSON web token (RFC 7519), as identity providers give them out."""
    if token.count(b".") not in _DOTS_OF_TOKENS:
        return False
    head = token.partition(b".")[0]
    try:
        header: Any = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def is_given_by_person(request: HTTPConnection) -> bool:
    """Whether somebody has opened this address, and no page of another site has done it for them.

    A browser that does not say where a request comes from, as over plain http, may have been sent
    by any site; a program sends itself.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        # Not as an image or a script of a page of this site, which others may have written.
        is_page = headers.get("sec-fetch-dest", "document") == "document"
        return is_page and site in ("same-origin", "none")
    came_from = headers.get("origin") or headers.get("referer")
    if came_from is not None:
        return parts_of(came_from).netloc.lower() == headers.get("host", "").lower()
    return not headers.get("user-agent", "").startswith(_BROWSER)
