"""Who may look: the key, the signed session, this machine only; and whose forms are believed.

No pages and no routes: the router asks and answers.
"""

import hashlib
import hmac
import posixpath
import secrets
import unicodedata
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import HTTPConnection, Request

from fastapi_lens.config import LensConfig

SESSION_COOKIE = "lens_session"
KEY_HEADER = "x-lens-key"
MAX_NEXT_LENGTH = 2_048
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_TEST_CLIENT = ("testclient", "testserver")
_FORWARDING = frozenset({"forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "via"})
_LAST_CONTROL, _DELETE = 32, 127


class Refusal(Enum):
    """Why somebody may not look."""

    KEY = "a valid key is needed: send it as X-Lens-Key or as a Bearer token, or sign in"
    NOT_LOCAL = (
        "no report_key is set, so the lens answers only on its own machine: "
        "set LensConfig(report_key=...) or LENS_REPORT_KEY to open it to others"
    )
    FORGED = "this form was not sent from this site: reload the page and try again"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes:
        id: Random, in the cookie.
        csrf_token: Bound to the session; goes into its forms.
    """

    id: str
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody may look; `session` is None for a key header, local mode and an open lens."""

    session: Session | None


class Gate:
    """Decides for one lens. Making one takes some 50 ms (scrypt): once per process.

    Args:
        config: The settings.
        salt: Random bytes that all workers of the database share.
    """

    def __init__(self, config: LensConfig, salt: bytes) -> None:
        """Derive the key that signs sessions; a changed report_key ends all of them."""
        self._config = config
        self._secret = _session_secret(config.report_key, salt)
        self._serializer = URLSafeTimedSerializer(
            self._secret,
            salt="lens-session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def access(self, request: HTTPConnection) -> Access | Refusal:
        """Whether this request may see the admin and the reports."""
        if not self._config.key_required:
            if self._config.security_enabled is False or is_local(request):
                return Access(None)
            return Refusal.NOT_LOCAL
        presented = presented_key(request)
        if presented is not None:
            return Access(None) if self.is_key(presented) else Refusal.KEY
        session = self._session(request.cookies.get(SESSION_COOKIE))
        return Refusal.KEY if session is None else Access(session)

    def is_key(self, presented: str | bytes) -> bool:
        """Compare with the report key, in a time that tells nothing about it."""
        expected = self._config.report_key
        if expected is None:
            return False
        return hmac.compare_digest(
            hashlib.sha256(_normalised(presented)).digest(),
            hashlib.sha256(_normalised(expected)).digest(),
        )

    def new_cookie(self) -> str:
        """The value of a cookie that signs a browser in."""
        return self._serializer.dumps({"session": secrets.token_urlsafe(12)})

    def may_post(self, request: Request, token: str, session: Session | None) -> bool:
        """Whether an unsafe request is our own page's: same origin and, in a session, its token."""
        if not same_origin(request, self._config.trusted_origins):
            return False
        return session is None or hmac.compare_digest(session.csrf_token.encode(), token.encode())

    def _session(self, cookie: str | None) -> Session | None:
        if not cookie:
            return None
        try:
            payload = self._serializer.loads(cookie, max_age=self._config.session_max_age)
        except BadSignature:
            return None
        session_id = str(payload["session"])
        token = hmac.new(self._secret, b"csrf" + session_id.encode(), hashlib.sha256)
        return Session(session_id, token.hexdigest()[:32])


def _session_secret(report_key: str | None, salt: bytes) -> bytes:
    if report_key is None:
        return secrets.token_bytes(32)  # Nobody signs in.
    key = hashlib.scrypt(_normalised(report_key), salt=salt, n=2**14, r=8, p=1, dklen=32)
    return hmac.digest(key, b"fastapi-lens session 1", "sha256")


def presented_key(request: HTTPConnection) -> str | bytes | None:
    """The key of the X-Lens-Key or the Bearer header as bytes; None when there is neither."""
    header = request.headers.get(KEY_HEADER)
    if header is None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        header = rest.strip() if scheme.lower() == "bearer" else None
    return None if header is None else header.encode("latin-1")


def is_local(request: HTTPConnection) -> bool:
    """Whether the client is this machine itself, with no proxy in between.

    Client and Host must both be loopback names (Host keeps other sites' scripts out that
    rebind their name to 127.0.0.1), and no forwarding header may be there.
    """
    if any(name in _FORWARDING or name.startswith("x-forwarded-") for name in request.headers):
        return False
    client = request.client.host if request.client else ""
    host = urlsplit("//" + request.headers.get("host", "")).hostname or ""
    if (client, host) == _TEST_CLIENT:
        return True
    return _is_loopback(client) and (host in _LOCAL_NAMES or host.endswith(".localhost"))


def same_origin(request: HTTPConnection, trusted: tuple[str, ...]) -> bool:
    """Whether an unsafe request was sent by a page of this site or of a trusted one."""
    origin = request.headers.get("origin")
    if origin is not None and origin in trusted:
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def safe_next(target: str, base: str) -> str:
    """Where to go after signing in: a page of this admin, else its start page.

    Args:
        target: Path and query as a client asked for it; anything at all.
        base: The admin's own path, without a trailing slash.
    """
    start = base + "/"
    if len(target) > MAX_NEXT_LENGTH or "\\" in target or any(map(_is_control, target)):
        return start
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or "//" in parts.path or "%2e" in parts.path.lower():
        return start
    if parts.path != start and not posixpath.normpath(parts.path).startswith(start):
        return start
    return target if parts.path.startswith(start) else start


def _is_control(character: str) -> bool:
    return ord(character) <= _LAST_CONTROL or ord(character) == _DELETE


def _is_loopback(client: str) -> bool:
    try:
        return ip_address(client).is_loopback
    except ValueError:
        return False


def _normalised(key: str | bytes) -> bytes:
    """UTF-8 of the composed form, so that a key matches however a keyboard has typed it."""
    try:
        text = key.decode("utf-8") if isinstance(key, bytes) else key
    except UnicodeDecodeError:
        return b""  # No key is empty, so this is none.
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
