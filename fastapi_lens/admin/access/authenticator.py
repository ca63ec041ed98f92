"""Authentication by key, session, the host's hook or local machine; and the check of forms.

Knows no pages and no routes.
"""

import hashlib
import hmac
import posixpath
import re
import threading
from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar

from starlette.requests import HTTPConnection, Request

from fastapi_lens.admin.access.authorize_hook import Denied, Hook
from fastapi_lens.admin.access.cookies import Cookie, SessionCookie
from fastapi_lens.admin.access.credentials import bearer_token, is_web_token, key_header
from fastapi_lens.admin.access.cross_site import is_own_form
from fastapi_lens.admin.access.csrf import is_masked
from fastapi_lens.admin.access.key_store import KeyStore
from fastapi_lens.admin.access.networks import queued_networks
from fastapi_lens.admin.access.sessions import Session, Sessions, Signer
from fastapi_lens.admin.access.throttle import Throttle
from fastapi_lens.admin.access.verified_keys import VerifiedKeyCache
from fastapi_lens.admin.audit import SIGN_IN, Author
from fastapi_lens.admin.http.fair_queue import BusyError
from fastapi_lens.admin.http.requests import address_of, names_key, parts_of
from fastapi_lens.admin.http.thread_pools import in_key_thread, in_reader_thread
from fastapi_lens.config.authorize import Access
from fastapi_lens.config.keys import Scope
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.text.addresses import client_ip

MAX_NEXT_LENGTH = 2_048
LOCAL = "this machine"
ANYBODY = "anybody"
"""Names in the audit log of visitors without a key."""

BEARER = "bearer "
"""Kind of keys that are sent as Bearer tokens."""

TOO_MANY = "too many wrong keys came from your address"
BUSY = "too many keys are being checked at once"
BUSY_SECONDS = 2
_LOCAL_HOST = re.compile(
    r"((?:[\w-]+\.)*localhost|127\.0\.0\.1|\[::1\]|testserver)(?::\d*)?", re.ASCII | re.IGNORECASE
)
_TEST_CLIENT = ("testclient", "testserver")
_FORWARDING = re.compile(
    r"(x-)?forwarded(-.*)?|x-(original|envoy|appengine|azure|amzn?|arr|vercel|proxyuser|nf)-.*|via|"
    r"(.*-)?(client|real|connecting|user|remote|cluster|originating)-?ip(v6)?|cf-.*|tailscale-.*|"
    r"x-(host|scheme|url-scheme|script-name|rewrite-url|varnish)|cdn-loop|surrogate-capability|"
    r"(x-)?(remote|akamai|fly|ssl|tls|mtls)-.*|front-end-https|"
    r"x-(nginx|traefik|haproxy|auth-request|webauth|authentik|pomerium)-.*"
)
"""Headers that only proxies add, with hyphens. A proxy that adds none looks like a local client."""

_HTTP_VERSIONS = ("1.1", "2", "2.0", "3", "3.0")
"""Versions that browsers use. HTTP/1.0 (granian: 1) is the default of nginx before 1.29.7."""

_LAST_CONTROL, _DELETE = 32, 127


class Refusal(Enum):
    """Reason for refusing access."""

    KEY = "a valid key is needed: send it as X-Lens-Key or as a Bearer token, or sign in"
    NOT_LOCAL = (
        "no report_key is set, so the lens answers only on its own machine: "
        "set LensConfig(report_key=...) or LENS_REPORT_KEY to open it to others"
    )
    READ_ONLY = "this key is read-only: changes need a key with the scope admin"
    CROSS_SITE = (
        "another site asked for this: open the page itself, "
        "or name that site in LensConfig(trusted_origins=...)"
    )
    FORGED = "this form was not sent from this site: reload the page and try again"


@dataclass(frozen=True, slots=True)
class Entry:
    """Granted access.

    Attributes:
        scope: Scope of the visitor.
        actor: Name of the visitor in the audit log.
        session: None for a key header, a hook, local mode and an open lens.
        csrf_token: Token that forms must send; empty if the origin check is enough.
    """

    scope: Scope
    actor: str
    session: Session | None = None
    csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A client that has to wait for some seconds.

    Attributes:
        reason: The reason.
        may_sign_in: True if only a Bearer token has to wait, which may be meant for another system.
    """

    seconds: int
    reason: str = TOO_MANY
    may_sign_in: bool = False
    status: ClassVar[int] = 429

    @property
    def sentence(self) -> str:
        """Message for the client."""
        return f"{self.reason}: try again in {self.seconds} s"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response."""
        return {"Retry-After": str(self.seconds)}


class Authenticator:
    """Authenticates requests of one lens.

    Args:
        config: The settings.
        salt: Random bytes that all workers of the database share.
        throttle: Limits wrong keys.
        sessions: Begins and ends sessions.
        app: The app's name: a session opens no other app of the database.

    Attributes:
        cookie: The cookie of its sessions.
    """

    def __init__(
        self, config: LensConfig, salt: bytes, throttle: Throttle, sessions: Sessions, app: str
    ) -> None:
        """Take the keys; the secret that signs sessions is derived at a key's first use."""
        self._config = config
        self._salt = salt
        self._app = app
        self._throttle = throttle
        self._sessions = sessions
        self._keys = KeyStore(config.keys)
        # Only a host whose own key looks like a web token can mean such a token for the lens.
        self._takes_web_tokens = any(is_web_token(one.key.encode()) for one in config.keys.values())
        self.cookie = SessionCookie(salt, app)
        self._verified = VerifiedKeyCache()
        self._hook = None if config.authorize is None else Hook(config.authorize)
        self._signers: dict[str, Signer] = {}
        self._making = threading.Lock()

    @property
    def takes_keys(self) -> bool:
        """True if there are keys to sign in with."""
        return self._config.key_required

    async def access(self, request: HTTPConnection, now: float) -> Entry | Refusal | Wait | Denied:
        """Decide if a request may see the admin and the reports."""
        if self._hook is not None:
            found = await self._hook.ask(request)
            return found if isinstance(found, Denied) else self._by_hook(found)
        if not self._config.key_required:
            if self._config.security_enabled is False:
                return Entry(Scope.ADMIN, ANYBODY)
            return Entry(Scope.ADMIN, LOCAL) if is_local(request) else Refusal.NOT_LOCAL
        key = key_header(request)
        if key:
            return await self._by_header(request, key, now)
        entry = await self._by_session(request, now)
        # Proxies and gateways add their own tokens to a browser's requests.
        token = b"" if isinstance(entry, Entry) else bearer_token(request)
        if not token or (is_web_token(token) and not self._takes_web_tokens):
            return entry
        answer = await self._by_header(request, token, now, kind=BEARER)
        return replace(answer, may_sign_in=True) if isinstance(answer, Wait) else answer

    async def holder(
        self, request: HTTPConnection, presented: str | bytes, now: float, kind: str = ""
    ) -> str | Wait | None:
        """The name of a key; None for a wrong key, and a wait after too many wrong keys.

        Args:
            request: The request that contains the key.
            presented: The key.
            now: Epoch seconds.
            kind: The way in which it was sent; wrong keys of each kind are counted separately.
        """
        if not presented or not self.takes_keys:
            return None  # No key was sent or exists, so this is no wrong key.
        address = address_of(request)

        def attempt() -> str | int | None:
            return self._throttle.attempt(
                address, lambda: self._keys.name_of(presented), now=now, kind=kind
            )

        try:
            found = await in_key_thread(attempt, queued_networks(address))
        except BusyError:
            return Wait(BUSY_SECONDS, BUSY)
        return Wait(found) if isinstance(found, int) else found

    async def sign_in(self, request: HTTPConnection, name: str, now: float) -> Cookie:
        """Begin a session.

        Args:
            request: The browser's request.
            name: Name of the key that it sent.
            now: Epoch seconds.

        Raises:
            StorageError: It cannot be audited, so it is not begun.
        """
        entry = Author(name, address_of(request), now).did(SIGN_IN)
        session = await in_reader_thread(lambda: self._sessions.begin(name, entry, now))
        return await self._cookie(session, now)

    async def renewed_cookie(self, entry: Entry, now: float) -> Cookie | None:
        """The new cookie of a session in use if it is due, otherwise None."""
        session = entry.session
        if session is None or not self._sessions.lifetime.needs_renewal(session, now):
            return None
        return await self._cookie(replace(session, seen=now), now)

    async def _cookie(self, session: Session, now: float) -> Cookie:
        signer = await self._signer(session.key)
        return Cookie(signer.cookie(session), int(self._sessions.lifetime.left(session, now)))

    def may_post(self, request: Request, token: str, entry: Entry) -> bool:
        """True if an unsafe request comes from our own page: same origin, and its token if any."""
        if not is_own_form(request, self._config.trusted_origins):
            return False
        known = entry.csrf_token
        return not known or is_masked(token, known)

    async def _by_header(
        self, request: HTTPConnection, presented: bytes, now: float, kind: str = ""
    ) -> Entry | Refusal | Wait:
        address = address_of(request)
        # First, because a comparison waits its turn behind the guesses of everybody else.
        name = self._verified.name_of(address, presented, now)
        if name is None:
            found = await self.holder(request, presented, now, kind)
            if isinstance(found, Wait):
                return found
            if found is None:
                return Refusal.KEY
            name = found
            self._verified.note(address, presented, name, now)
        return Entry(self._scope(name), name)

    async def _by_session(self, request: HTTPConnection, now: float) -> Entry | Refusal:
        """Access by the first valid cookie; other sites of the domain may have set more."""
        for value in self.cookie.values(request):
            entry = await self._by_cookie(value, now)
            if isinstance(entry, Entry):
                return entry
        return Refusal.KEY

    async def _by_cookie(self, cookie: str, now: float) -> Entry | Refusal:
        head, _, signed = cookie.partition(".")
        try:
            name = bytes.fromhex(head).decode()
        except ValueError:
            return Refusal.KEY
        # Before the signer, which takes 50 ms to derive and exists for known keys only.
        if self._keys.scope_of(name) is None:
            return Refusal.KEY
        signer = await self._signer(name)
        session = signer.read(signed)
        if session is None or self._sessions.lifetime.left(session, now) <= 0:
            return Refusal.KEY
        # Last, because it asks the database: no forged cookie gets this far.
        if await in_reader_thread(lambda: self._sessions.is_ended(session)):
            return Refusal.KEY
        return Entry(self._scope(name), name, session, signer.csrf_token(session))

    def _by_hook(self, person: Access) -> Entry:
        """Access by the hook. There is no session, so the CSRF token is derived from the person."""
        whose = f"{self._app}\0{person.name}".encode()
        token = hmac.new(self._salt, b"csrf\0" + whose, hashlib.sha256).hexdigest()[:32]
        return Entry(person.scope, person.name, csrf_token=token)

    def _scope(self, name: str) -> Scope:
        return self._keys.scope_of(name) or Scope.READ

    async def _signer(self, name: str) -> Signer:
        signer = self._signers.get(name)
        if signer is None:
            signer = await in_reader_thread(lambda: self._made_signer(name))
        return signer

    def _made_signer(self, name: str) -> Signer:
        """Create a signer once: it takes some 50 ms, which any client could cause repeatedly."""
        with self._making:
            if name not in self._signers:
                secret = self._keys.session_secret(name, self._salt)
                secret = hmac.digest(secret, self._app.encode(), "sha256")
                self._signers[name] = Signer(name, secret)
        return self._signers[name]


def is_local(request: HTTPConnection) -> bool:
    """True if the client is this machine itself, with no proxy in between.

    Client and Host must both be loopback names (Host keeps other sites' scripts out that
    rebind their name to 127.0.0.1), and neither a forwarding header nor HTTP/1.0 may be there.
    """
    if request.scope.get("http_version") not in _HTTP_VERSIONS:
        return False
    # Some proxies and gateways write them as variables are named in CGI.
    if any(_FORWARDING.fullmatch(name.replace("_", "-")) for name in request.headers):
        return False
    client = address_of(request)
    # No browser sends two different Host headers.
    found = _LOCAL_HOST.fullmatch(",".join({*request.headers.getlist("host")}))
    if found is None or found[1] == "testserver":
        # Starlette's TestClient has these names; no client of a network has them.
        return found is not None and (client, found[1]) == _TEST_CLIENT
    return _is_loopback(client)


def safe_next(target: str, base: str) -> str:
    """The address after signing in: a page of this admin, otherwise its start page.

    An address with a key is not allowed: it would sign the visitor in as the author of the link.

    Args:
        target: Path and query from the client; any text.
        base: The admin's own path, without a trailing slash.
    """
    start = base + "/"
    # Browsers read a backslash as a slash, and drop tabs and line breaks inside an address.
    if len(target) > MAX_NEXT_LENGTH or "\\" in target or any(map(_is_control, target)):
        return start
    parts = parts_of(target)
    if names_key(parts.query):
        return start
    # Browsers resolve `%2e` like a dot, and two slashes at the beginning name another host.
    if parts.scheme or parts.netloc or "//" in parts.path or "%2e" in parts.path.lower():
        return start
    # normpath drops the slash at the end, so the start page itself would not begin with `start`.
    if parts.path != start and not posixpath.normpath(parts.path).startswith(start):
        return start
    return target if parts.path.startswith(start) else start


def _is_control(character: str) -> bool:
    return ord(character) <= _LAST_CONTROL or ord(character) == _DELETE


def _is_loopback(client: str) -> bool:
    ip = client_ip(client)
    return ip is not None and ip.is_loopback
