"""Sessions: a signed cookie for a browser that sent a key, and the sessions that ended early.

A session ends after some time without a request, at the latest some time after signing in, and in
all workers at once when its browser, or all browsers of its key, sign out. Knows no HTTP.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer

from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry, add_audit_entry
from fastapi_lens.storage.records.ended_sessions import (
    LogOut,
    end_session,
    end_sessions_of,
    read_ended,
)

RENEWALS = 10
"""Number of renewals of a session in use during its idle time."""

CLOCKS_APART_SECONDS = 86_400
"""Extra time for which a logout is kept after the session expires: workers' clocks may differ."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes:
        key: Name of the key that it sent.
        id: Random id, stored in the cookie.
        generation: Generation of the key's sessions when this one began.
        since: Epoch seconds of signing in.
        seen: Epoch seconds when the cookie was written.
        until: Latest end in epoch seconds, even if the configuration changes.
    """

    key: str
    id: str
    generation: str
    since: float
    seen: float
    until: float


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Lifetime of sessions.

    Attributes:
        idle_seconds: Longest time without a request.
        max_seconds: Longest time in all.
    """

    idle_seconds: float
    max_seconds: float

    def left(self, session: Session, now: float) -> float:
        """Remaining seconds of a session; zero or less for one that has ended."""
        idle_end = session.seen + self.idle_seconds
        return min(idle_end, session.since + self.max_seconds, session.until) - now

    def needs_renewal(self, session: Session, now: float) -> bool:
        """True if it is time to write the cookie again."""
        return now - session.seen >= self.idle_seconds / RENEWALS


class Signer:
    """Signs the sessions of one key.

    Args:
        key: Its name.
        secret: A secret that cannot be derived without the key.
    """

    def __init__(self, key: str, secret: bytes) -> None:
        """Sign nothing yet."""
        self._key = key
        self._secret = secret
        self._serializer = URLSafeSerializer(
            secret,
            salt="lens-session",
            # Instead of itsdangerous' default, which is SHA-1.
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def cookie(self, session: Session) -> str:
        """The value of a session's cookie: the key's name in hex, and the signed session."""
        parts = [session.id, session.generation, session.since, session.seen, session.until]
        return f"{self._key.encode().hex()}.{self._serializer.dumps(parts)!s}"

    def read(self, signed: str) -> Session | None:
        """The session of a cookie, without the key's name; None if the signature is invalid."""
        try:
            # The signature proves that this format wrote it: the secret changes with the format.
            identity, generation, since, seen, until = self._serializer.loads(signed)
        except BadSignature:
            return None
        return Session(self._key, identity, generation, since, seen, until)

    def csrf_token(self, session: Session) -> str:
        """The CSRF token of the session's forms."""
        token = hmac.new(self._secret, b"csrf" + session.id.encode(), hashlib.sha256)
        return token.hexdigest()[:32]


class Sessions:
    """Begins and ends sessions for all workers of an app.

    Args:
        database: The database that stores ended sessions.
        app: The app's name.
        lifetime: Longest lifetime of a session.
    """

    def __init__(self, database: Database, app: str, lifetime: Lifetime) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self.lifetime = lifetime

    def begin(self, key: str, entry: AuditEntry, now: float) -> Session:
        """A new session of a key, audited before it is returned.

        Raises:
            StorageError: The database cannot be read or written.
        """
        # Read first: if all sessions of the key end in the meantime, this one ends as well.
        generation = read_ended(self._database, self._app, key).generation
        add_audit_entry(self._database, self._app, entry)
        until = now + self.lifetime.max_seconds
        return Session(key, secrets.token_urlsafe(12), generation, now, now, until)

    def is_ended(self, session: Session) -> bool:
        """True if a session was ended before it expired.

        Raises:
            StorageError: The database cannot be read.
        """
        ended = read_ended(self._database, self._app, session.key, session.id)
        return ended.is_ended or ended.generation != session.generation

    def end(self, session: Session, entry: AuditEntry, now: float) -> None:
        """End one session, and audit it.

        Raises:
            StorageError: The database cannot be written.
        """
        gone = LogOut(self._app, session.key, session.id, microseconds(session.until))
        forget_before_us = microseconds(now - CLOCKS_APART_SECONDS)
        end_session(self._database, gone, entry, forget_before_us=forget_before_us)

    def end_all(self, key: str, entry: AuditEntry) -> None:
        """End all sessions of a key, and audit it.

        Raises:
            StorageError: The database cannot be written.
        """
        end_sessions_of(self._database, self._app, key, entry)


def sessions_of(lens: Lens) -> Sessions:
    """The sessions of a lens's app."""
    lifetime = Lifetime(lens.config.session_idle_seconds, lens.config.session_max_age)
    return lens.get_or_create(Sessions, lambda: Sessions(lens.database, lens.app_name, lifetime))
