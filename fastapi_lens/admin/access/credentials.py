"""Keys in requests, and tokens that only look like keys. Knows no valid key and no session."""

import base64
import json
from typing import Any

from starlette.requests import HTTPConnection

from fastapi_lens.admin.http.requests import parts_of

KEY_HEADER = "x-lens-key"
_BROWSER = "Mozilla/"
"""Prefix of every browser's User-Agent; no page can remove it."""

_DOTS_OF_TOKENS = (2, 4)
"""Number of dots in a signed and in an encrypted JSON web token."""


def key_header(request: HTTPConnection) -> bytes:
    """The key in the X-Lens-Key header, which only the lens uses; empty without one."""
    # Starlette decodes headers as Latin-1, so this gives back the bytes that were sent.
    return request.headers.get(KEY_HEADER, "").encode("latin-1")


def bearer_token(request: HTTPConnection) -> bytes:
    """The token in the Authorization header, which may be for another system; empty without one."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def is_web_token(token: bytes) -> bool:
    """True if a text is a JSON web token (RFC 7519), as identity providers issue them."""
    if token.count(b".") not in _DOTS_OF_TOKENS:
        return False
    head = token.partition(b".")[0]
    try:
        # Web tokens leave out the padding of base64 (RFC 7515).
        header: Any = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    # Deeply nested JSON exhausts the interpreter's stack.
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def is_given_by_person(request: HTTPConnection) -> bool:
    """True if a user or a program requested this URL, not a page of another site.

    A browser that does not send the origin of a request, as over plain http, may have been directed
    by any site. A program requests URLs by itself.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        # Not as an image or a script in a page of this site, whose content may be by others.
        is_page = headers.get("sec-fetch-dest", "document") == "document"
        return is_page and site in ("same-origin", "none")
    came_from = headers.get("origin") or headers.get("referer")
    if came_from is not None:
        return parts_of(came_from).netloc.lower() == headers.get("host", "").lower()
    return not headers.get("user-agent", "").startswith(_BROWSER)
