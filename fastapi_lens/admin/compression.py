"""Final form of pages for one client: masked CSRF token, compression. Creates no page."""

import gzip

from starlette.requests import Request
from starlette.responses import Response

from fastapi_lens.admin.access.csrf import masked
from fastapi_lens.admin.http.requests import takes_gzip

HTML = "text/html"
_GZIP_LEVEL = 6
_FEWEST_BYTES = 500
"""Shorter responses hardly shrink."""


def sent(response: Response, request: Request, csrf_token: str = "") -> Response:
    """Mask the CSRF token of an HTML response and compress it; other responses stay unchanged.

    Args:
        response: The response, changed in place.
        request: The request of the response.
        csrf_token: The token in the HTML; empty without one.
    """
    if not response.headers.get("content-type", "").startswith(HTML):
        return response
    body = bytes(response.body)
    if csrf_token:
        body = body.replace(csrf_token.encode(), masked(csrf_token).encode())
    if len(body) >= _FEWEST_BYTES and takes_gzip(request.headers):
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    response.body = body
    response.headers["Content-Length"] = str(len(body))
    return response
