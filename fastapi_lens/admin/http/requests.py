"""Sanitized requests, and the security headers of every response.

Knows no pages and no access.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import SplitResult, quote_from_bytes, unquote_plus, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from fastapi_lens.text.quoted_paths import quoted_path
from fastapi_lens.text.secret_names import decoded

KEY_PARAMETER = "report_key"
"""Query parameter with a key, for addresses of earlier releases."""

_KEY = "fastapi_lens.key"
# Without `#`, which would end the query wherever it is used as an address again.
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
_EVERYWHERE: Mapping[str, str] = MappingProxyType(
    {
        # Static files set their own value.
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        # No other site may embed a response, even if local clients need no key.
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


def sanitize_request(request: Request) -> Request:
    """The request with a query of printable characters, and without a key.

    Servers pass on any bytes of the request line, which mean the same when percent-encoded. Only
    `presented_key` can read the key afterwards: it is no longer in the scope for a server's access
    log, and not in any address that is built from the query.
    """
    query: bytes = request.scope.get("query_string", b"")
    others: list[bytes] = []
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if unquote_plus(name.decode("latin-1")) == KEY_PARAMETER:
            request.scope.setdefault(_KEY, unquote_plus(value.decode("utf-8", "replace")))
        else:
            others.append(pair)
    request.scope["query_string"] = quote_from_bytes(b"&".join(others), safe=_PRINTABLE).encode()
    return request


def presented_key(request: Request) -> str | None:
    """The key in the original address of a sanitized request; None without one."""
    return request.scope.get(_KEY)


def names_key(query: str) -> bool:
    """True if a query, however often it is encoded, would be taken for one with a key."""
    # Older servers and libraries also take a semicolon for a separator.
    names = (part.partition("=")[0] for part in re.split("[&;]", decoded(query)))
    return KEY_PARAMETER in names


def add_security_headers(response: Response) -> Response:
    """The response with the security headers that it does not set itself."""
    for name, value in _EVERYWHERE.items():
        response.headers.setdefault(name, value)
    return response


def parts_of(address: str) -> SplitResult:
    """The parts of an external address; empty ones if it cannot be parsed."""
    try:
        return urlsplit(address)
    except ValueError:  # An open bracket, or letters that look like a slash or a colon.
        return urlsplit("")


def address_of(request: HTTPConnection) -> str:
    """The client's address from the server; empty if the server gives none."""
    return request.client.host if request.client else ""


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """True if a client accepts gzip."""
    for one in headers.get("accept-encoding", "").split(","):
        name, _, weight = one.partition(";")
        if name.strip().lower() == "gzip":
            # A weight of zero refuses an encoding (RFC 9110).
            return weight.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return False


def wants_json(request: Request, local: str) -> bool:
    """True if the client is a program, which gets errors as JSON.

    Args:
        request: A request to a path below the admin.
        local: That path.
    """
    accepted = request.headers.get("accept", "")
    is_report = local == "/report" or local.startswith("/report/")
    return is_report or ("json" in accepted and "html" not in accepted)


def base_of(request: Request, local: str) -> str:
    """The admin's path as the client sees it: the request's path without the page's part.

    Correct under every prefix, mount and root path, because it is the path that the client used.

    Args:
        request: A request to a page of the admin.
        local: The page's path below the prefix.
    """
    path = client_path(request)
    for _ in range(local.count("/")):
        path = path.rpartition("/")[0]
    return path


def client_path(request: Request) -> str:
    """The path that the client requested; never one that names another host."""
    path, root = request.scope["path"], request.scope.get("root_path", "").rstrip("/")
    if not path.startswith(root + "/"):
        path = root + path  # A proxy has stripped the root path.
    # Two slashes at the beginning would name a host.
    return "/" + quoted_path(path).lstrip("/")


def wants_fragment(request: Request) -> bool:
    """True if only a fragment is requested; a restored history entry needs the whole page."""
    return request.headers.get("hx-request-type") == "partial"
