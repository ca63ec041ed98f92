"""Evidence from a URL. The key goes to the named host only, and no message shows it."""

import os
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.config.keys import SINGLE_KEY, problem_with
from fastapi_lens.text.origins import normalized_origin

KEY_VARIABLE = "LENS_KEY"
TIMEOUT_SECONDS = 20.0
"""For the connection, and for each part of the response."""

DEADLINE_SECONDS = 120.0
"""For the whole response."""

MAX_BYTES = 64 << 20
_CHUNK = 1 << 16
_KEY_HEADER = "X-lens-key"
"""As urllib spells it."""

_FIXES = {
    401: f"set {KEY_VARIABLE} to a key of the lens",
    403: f"set {KEY_VARIABLE} to a key of the lens",
    404: "name the whole address, which ends with /report/evidence",
    429: "wait some minutes; too many requests had a wrong key",
}


def web_address(text: str, option: str) -> str:
    """A URL of an option, checked.

    Raises:
        CommandError: It is not one of http or https, has a user name, or has a key in its query.
            The message does not show it.
    """
    origin = _origin(text) if text.isascii() and text.isprintable() and " " not in text else None
    if origin is None:
        raise CommandError(
            Exit.USAGE,
            f"{option} must be a URL like https://api.example.com/lens/report/evidence, "
            "percent-encoded and without a user name",
        )
    if SINGLE_KEY in parse_qs(urlsplit(text).query):
        raise CommandError(
            Exit.USAGE, f"{option} has a key in its query: put it into {KEY_VARIABLE} instead"
        )
    return text


def shown(url: str) -> str:
    """A URL without its query, which may have a signature."""
    return f"{_origin(url)}{urlsplit(url).path}"


def download(url: str, *, clock: Callable[[], float] = time.monotonic) -> bytes:
    """The body of a response; proxies are those of the environment.

    Args:
        url: As `web_address` returns it.
        clock: Seconds of a monotonic clock.

    Raises:
        CommandError: The key cannot be sent, the host cannot be reached, it refuses, or its
            response is too long or too slow.
    """
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310  It is checked.
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        if problem := problem_with(key):
            raise CommandError(Exit.USAGE, f"{KEY_VARIABLE} {problem}")
        # This kind of header stays behind when a redirect is followed.
        request.add_unredirected_header(_KEY_HEADER, key.encode().decode("latin-1"))
    deadline = clock() + DEADLINE_SECONDS
    body = bytearray()
    try:
        with _opener().open(request, timeout=TIMEOUT_SECONDS) as response:
            while part := response.read(_CHUNK):
                body += part
                if len(body) > MAX_BYTES or clock() > deadline:
                    limits = f"{MAX_BYTES >> 20} MB or {DEADLINE_SECONDS:g} s"
                    raise _unreachable(url, f"sends more than {limits}")
    except HTTPError as error:
        error.close()
        fix = _FIXES.get(error.code, "see the log of its server")
        raise _unreachable(url, f"answers with {error.code}: {fix}") from None
    except (OSError, HTTPException) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise _unreachable(url, f"cannot be reached: {reason}") from None
    return bytes(body)


def _unreachable(url: str, problem: str) -> CommandError:
    return CommandError(Exit.UNREACHABLE, f"{shown(url)} {problem}")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects on the web, and takes the key along within one origin."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request; refuses to leave https, and any other kind of URL."""
        origin = _origin(newurl)
        if origin is None or (req.type == "https" and not origin.startswith("https:")):
            raise _unreachable(req.full_url, "redirects to a URL that is not https")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        key = req.unredirected_hdrs.get(_KEY_HEADER)
        if following is not None and key is not None and origin == _origin(req.full_url):
            following.add_unredirected_header(_KEY_HEADER, key)
        return following


def _opener() -> OpenerDirector:
    """An opener of the web alone: urllib's own opens files, too."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _origin(url: str) -> str | None:
    """Scheme, host and port; None if it is no URL of the web, or has a user name."""
    try:
        parts = urlsplit(url)
    except ValueError:  # As for http://[.
        return None
    return normalized_origin(f"{parts.scheme}://{parts.netloc}")
