"""Cookies of the admin: their attributes and path, and the session cookie's name and values.

Knows no sessions and no preferences: other modules interpret the values.
"""

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_lens.runtime.lens import Lens

PREFIX = "lens_session_"
SECURE, HOST = "__Secure-", "__Host-"
"""Name prefixes that browsers accept only from https pages; the second also fixes host and path."""

MAX_VALUES = 20
"""Maximum of cookies of one name to read; other sites of the domain may set any number."""

_WRITTEN_ONE_WAY = re.compile(r"(?:/[A-Za-z0-9._~-]+(?=/|\Z))*")


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie's value and its lifetime in seconds; browsers delete one that has no time left."""

    value: str
    seconds: int


class SessionCookie:
    """The session cookie of one app.

    Its name is unique to the app in this database, because browsers send the cookies of a host to
    all of its ports.

    Args:
        salt: Random bytes that all workers of the database share.
        app: The app's name.
    """

    def __init__(self, salt: bytes, app: str) -> None:
        """Derive the name."""
        mark = hmac.new(salt, b"cookie\0" + app.encode(), "sha256").hexdigest()
        self._name = PREFIX + mark[:8]

    def values(self, request: HTTPConnection) -> list[str]:
        """The distinct values that a browser has sent, in its order: longer paths first."""
        found = dict.fromkeys(
            value
            for wanted in self._names(request)
            for name, value in _pairs(request)
            if name == wanted
        )
        return list(found)[:MAX_VALUES]

    def set(self, response: Response, request: HTTPConnection, base: str, cookie: Cookie) -> None:
        """Set the session cookie.

        Args:
            response: The response to the browser.
            request: The request of the browser.
            base: The admin's path as the client sees it, without a trailing slash.
            cookie: The cookie to set.
        """
        set_cookie(response, request, base, self._name_for(request, path_of(base)), cookie)

    def forget(self, response: Response, request: HTTPConnection, base: str) -> None:
        """Delete the session cookie, and no other; see `set`."""
        path = path_of(base)
        response.delete_cookie(
            self._name_for(request, path),
            path=path,
            # Browsers ignore a cookie with such a prefix without it, even to delete one.
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _name_for(self, request: HTTPConnection, path: str) -> str:
        if not _is_secure(request):
            return self._name
        return (HOST if path == "/" else SECURE) + self._name

    def _names(self, request: HTTPConnection) -> list[str]:
        """The accepted cookie names, best protected first.

        The plain name is not accepted under https: an attacker on the network could set it through
        any unencrypted site of the same domain.
        """
        names = [HOST + self._name, SECURE + self._name]
        return names if _is_secure(request) else [*names, self._name]


def session_cookie_of(lens: Lens) -> SessionCookie:
    """The session cookie of a lens's app.

    Raises:
        StorageError: The database cannot be read.
    """
    return lens.get_or_create(
        SessionCookie, lambda: SessionCookie(lens.session_salt(), lens.app_name)
    )


def set_cookie(
    response: Response, request: HTTPConnection, base: str, name: str, cookie: Cookie
) -> None:
    """Set a cookie for the pages of the admin, which no script can read.

    Args:
        response: The response to the browser.
        request: The request of the browser.
        base: The admin's path as the client sees it, without a trailing slash.
        name: The name of the cookie.
        cookie: The cookie to set.
    """
    response.set_cookie(
        name,
        cookie.value,
        max_age=cookie.seconds,
        path=path_of(base),
        secure=_is_secure(request),
        httponly=True,
        # Not strict: whoever follows a link from a mail or a chat would look signed out.
        samesite="lax",
    )


def path_of(base: str) -> str:
    """The path of a cookie that browsers send to every page below a base.

    Browsers compare it with the URL as it was written. So it ends before the first part that can be
    written in two ways, such as ``é`` and ``%C3%A9`` or ``;`` and ``%3B``. It contains nothing that
    would end the attribute.
    """
    found = _WRITTEN_ONE_WAY.match(base)
    return (found[0] if found else "") or "/"


def _is_secure(request: HTTPConnection) -> bool:
    return request.url.scheme == "https"


def _pairs(request: HTTPConnection) -> Iterator[tuple[str, str]]:
    """All cookies of a request; Starlette keeps only the last one of a name."""
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            yield name.strip(), value.strip().strip('"')
