"""Pages as one client gets them: with a CSRF token of its own, compressed. Makes no page."""

import gzip

from starlette.requests import Request
from starlette.responses import Response

from fastapi_lens.admin.access.csrf import masked
from fastapi_lens.admin.http.requests import takes_gzip

HTML = "text/html"
_GZIP_LEVEL = 6
_FEWEST_BYTES = 500
"""What is shorter gets hardly any shorter."""


def sent(response: Response, request: Request, csrf_token: str = "") -> Response:
    """Mask the CSRF token of an HTML response and compress it; leave any other as it is.

    Args:
        response: Changed in place.
        request: What it answers.
        csrf_token: As the templates have written it; empty where there is none.
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
