"""Evidence from a URL. The key goes to the named host only, and no message shows it."""

import os
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.parse import parse_qs, urljoin, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
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
MOST_REDIRECTS = 5
_CHUNK = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEY_HEADER = "X-Lens-Key"

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
    if _origin(text) is None:
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

    Redirects are followed, but only those within the origin get the key.

    Args:
        url: As `web_address` returns it.
        clock: Seconds of a monotonic clock.

    Raises:
        CommandError: The key cannot be sent, the host cannot be reached, it refuses, or its
            response is too long or too slow.
    """
    deadline = clock() + DEADLINE_SECONDS
    headers = {"Accept": "application/json", **_key_header()}
    place = url
    for _ in range(MOST_REDIRECTS + 1):
        try:
            request = Request(place, headers=headers)  # noqa: S310  It is one of http or https.
            with _opener().open(request, timeout=TIMEOUT_SECONDS) as response:
                return _body(response, url, lambda: clock() > deadline)
        except HTTPError as error:
            # The error is the response itself, whose connection is still open.
            error.close()
            if error.code not in _REDIRECTS:
                fix = _FIXES.get(error.code, "see the log of its server")
                raise _unreachable(url, f"answers with {error.code}: {fix}") from None
            following = next_address(place, error.headers.get("Location", ""))
        except (OSError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
            raise _unreachable(url, f"cannot be reached: {reason}") from None
        if following is None:
            raise _unreachable(url, "redirects to an address that is not used: name it yourself")
        if _origin(following) != _origin(place):
            headers.pop(_KEY_HEADER, None)
        place = following
    raise _unreachable(url, f"redirects more than {MOST_REDIRECTS} times")


def next_address(place: str, location: str) -> str | None:
    """The address that a redirect leads to.

    Args:
        place: The address that redirects.
        location: Its ``Location`` header.

    Returns:
        ``None`` if it leaves https, or is no web address.
    """
    try:
        following = urljoin(place, location)
    except ValueError:  # As for //[.
        return None
    origin = _origin(following)
    if origin is None or (place.startswith("https:") and not origin.startswith("https:")):
        return None
    return following


def _key_header() -> dict[str, str]:
    """The header with the key, if the environment has one.

    Raises:
        CommandError: No header can carry it.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if problem := key and problem_with(key):
        raise CommandError(Exit.USAGE, f"{KEY_VARIABLE} {problem}")
    # http.client encodes headers as Latin-1, so the bytes of UTF-8 are sent.
    return {_KEY_HEADER: key.encode().decode("latin-1")} if key else {}


def _body(response: HTTPResponse, url: str, is_late: Callable[[], bool]) -> bytes:
    body = bytearray()
    # Not `read`, which waits for a whole chunk however slowly it comes.
    while part := response.read1(_CHUNK):
        body += part
        if len(body) > MAX_BYTES or is_late():
            limits = f"{MAX_BYTES >> 20} MB, or longer than {DEADLINE_SECONDS:g} s"
            raise _unreachable(url, f"sends more than {limits}")
    return bytes(body)


def _unreachable(url: str, problem: str) -> CommandError:
    return CommandError(Exit.UNREACHABLE, f"{shown(url)} {problem}")


def _opener() -> OpenerDirector:
    """An opener of the web alone that follows no redirects; urllib's own opens files, too."""
    opener = OpenerDirector()
    opener.add_handler(ProxyHandler())
    opener.add_handler(HTTPHandler())
    opener.add_handler(HTTPSHandler())
    opener.add_handler(HTTPDefaultErrorHandler())
    opener.add_handler(HTTPErrorProcessor())
    return opener


def _origin(url: str) -> str | None:
    """Scheme, host and port; None if it is no URL of the web, or names a user."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:  # As for http://[.
        return None
    return normalized_origin(f"{parts.scheme}://{parts.netloc}")
