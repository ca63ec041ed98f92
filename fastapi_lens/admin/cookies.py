"""The cookie of a session: its name, its path, and all values that a browser has sent.

Knows no sessions: what a value says is somebody else's.
"""

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_lens.runtime import Lens

PREFIX = "lens_session_"
SECURE, HOST = "__Secure-", "__Host-"
"""What only a page under https can set: a cookie, and one for this very host and all paths."""

MAX_VALUES = 20
"""Cookies of one name that are looked at; other sites of the same domain may set any number."""

_WRITTEN_ONE_WAY = re.compile(r"(?:/[A-Za-z0-9._~-]+(?=/|$))*")


@dataclass(frozen=True, slots=True)
class Cookie:
    """What a browser is to keep, and for how many seconds."""

    value: str
    seconds: int


class SessionCookie:
    """The cookie of one app.

    Its name is the app's own in this database, because browsers send the cookies of a host to all
    of its ports.

    Args:
        salt: Random bytes that all workers of the database share.
        app: The app's name.
    """

    def __init__(self, salt: bytes, app: str) -> None:
        """Make the name."""
        mark = hmac.new(salt, b"cookie\0" + app.encode(), "sha256").hexdigest()
        self._name = PREFIX + mark[:8]

    def values(self, request: HTTPConnection) -> list[str]:
        """The values that a browser has sent, each once, in its order: longer paths first."""
        found = dict.fromkeys(
            value
            for wanted in self._names(request)
            for name, value in _pairs(request)
            if name == wanted
        )
        return list(found)[:MAX_VALUES]

    def set(self, response: Response, request: HTTPConnection, base: str, cookie: Cookie) -> None:
        """Let the browser keep a session.

        Args:
            response: That the browser gets.
            request: Of the browser.
            base: The admin's path as the client sees it, without a trailing slash.
            cookie: To keep.
        """
        path = path_of(base)
        response.set_cookie(
            self._name_for(request, path),
            cookie.value,
            max_age=cookie.seconds,
            path=path,
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response, request: HTTPConnection, base: str) -> None:
        """Let the browser forget its session, and nothing else; see `set`."""
        path = path_of(base)
        response.delete_cookie(
            self._name_for(request, path),
            path=path,
            # A browser takes no cookie of such a name without it, not even to forget one.
            secure=_is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _name_for(self, request: HTTPConnection, path: str) -> str:
        if not _is_secure(request):
            return self._name
        return (HOST if path == "/" else SECURE) + self._name

    def _names(self, request: HTTPConnection) -> list[str]:
        """Those that count, the best protected first.

        The plain one is none of them under https: anybody between the browser and a site of the
        same domain that is asked without encryption could set it.
        """
        names = [HOST + self._name, SECURE + self._name]
        return names if _is_secure(request) else [*names, self._name]


def session_cookie_of(lens: Lens) -> SessionCookie:
    """The cookie of a lens's app.

    Raises:
        StorageError: The database cannot be read.
    """
    return lens.attached(SessionCookie, lambda: SessionCookie(lens.session_salt(), lens.app_name))


def path_of(base: str) -> str:
    """The path of a cookie that is sent to every page below a base.

    Browsers compare it with the address as that was written. So it ends before the first part that
    can be written in two ways, as ``é`` and ``%C3%A9`` or ``;`` and ``%3B``; and nothing in it ends
    the attribute.
    """
    found = _WRITTEN_ONE_WAY.match(base)
    return (found[0] if found else "") or "/"


def _is_secure(request: HTTPConnection) -> bool:
    return request.url.scheme == "https"


def _pairs(request: HTTPConnection) -> Iterator[tuple[str, str]]:
    """All cookies of a request; Starlette keeps only the last of a name."""
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            yield name.strip(), value.strip().strip('"')
