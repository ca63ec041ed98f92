"""Sessions: a signed cookie for a browser that has given a key, and those that ended early.

A session ends some time after it was last used, at the latest some time after signing in, and
at once everywhere when its browser, or all of its key, signs out. Knows no HTTP.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from itsdangerous import BadSignature, URLSafeSerializer

from fastapi_lens.errors import StorageError
from fastapi_lens.runtime import Lens
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.settings import (
    AuditEntry,
    Stored,
    add_audit_entry,
    read_section,
    write_section,
)

SECTION = "sessions"
"""Of the stored settings: ``{"generations": {key: text}, "ended": {id: until}}``."""

RENEWALS = 10
"""So often in its idle time is a session that is in use written down anew."""

MAX_ENDED = 200
"""Signed-out sessions that are remembered until they would have ended anyway."""

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes:
        key: The name of the key that it has given.
        id: Random, in the cookie.
        generation: Of the key's sessions when this one began.
        since: Epoch seconds of signing in.
        seen: Epoch seconds when the cookie was written.
    """

    key: str
    id: str
    generation: str
    since: float
    seen: float


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long sessions last.

    Attributes:
        idle_seconds: Without a request.
        max_seconds: At most, whatever is asked.
    """

    idle_seconds: float
    max_seconds: float

    def left(self, session: Session, now: float) -> float:
        """Seconds that a session has still to live; not above zero for one that has ended."""
        return min(session.seen + self.idle_seconds - now, session.since + self.max_seconds - now)

    def is_worn(self, session: Session, now: float) -> bool:
        """Whether it is time to write the cookie anew."""
        return now - session.seen >= self.idle_seconds / RENEWALS


class Signer:
    """Signs the sessions of one key.

    Args:
        key: Its name.
        secret: What nobody can know who does not know the key.
    """

    def __init__(self, key: str, secret: bytes) -> None:
        """Sign nothing yet."""
        self._key = key
        self._secret = secret
        self._serializer = URLSafeSerializer(
            secret,
            salt="lens-session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def cookie(self, session: Session) -> str:
        """The value of a session's cookie: the key's name in hex, and what is signed."""
        parts = [session.id, session.generation, session.since, session.seen]
        return f"{self._key.encode().hex()}.{self._serializer.dumps(parts)!s}"

    def read(self, signed: str) -> Session | None:
        """The session of a cookie, without the key's name; None for what nobody has signed."""
        try:
            identity, generation, since, seen = self._serializer.loads(signed)
        except BadSignature:
            return None
        return Session(self._key, identity, generation, since, seen)

    def csrf_token(self, session: Session) -> str:
        """What the session's forms carry."""
        token = hmac.new(self._secret, b"csrf" + session.id.encode(), hashlib.sha256)
        return token.hexdigest()[:32]


class Sessions:
    """Begins and ends sessions for all workers of an app: what one ends is over in each.

    Args:
        database: Where that is stored.
        app: The app's name.
        lifetime: How long a session could have gone on.
    """

    def __init__(self, database: Database, app: str, lifetime: Lifetime) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self.lifetime = lifetime

    def begin(self, key: str, entry: AuditEntry, now: float) -> Session:
        """A new session of a key, noted before it is given out.

        Raises:
            StorageError: The database cannot be read or written.
        """
        generation = _generation(self._read().values, key)
        add_audit_entry(self._database, self._app, entry)
        return Session(key, secrets.token_urlsafe(12), generation, now, now)

    def is_ended(self, session: Session) -> bool:
        """Whether a session was ended before its time.

        Raises:
            StorageError: The database cannot be read.
        """
        values = self._read().values
        if session.generation != _generation(values, session.key):
            return True
        return session.id in _part(values, "ended")

    def end(self, session: Session, entry: AuditEntry, now: float) -> None:
        """End one session, and note who did it.

        Raises:
            StorageError: The database cannot be written.
        """
        until = session.since + self.lifetime.max_seconds

        def step(values: Mapping[str, Any]) -> dict[str, Any]:
            ended = {**_part(values, "ended"), session.id: until}
            left = sorted((at, name) for name, at in ended.items() if at > now)
            return {**values, "ended": {name: at for at, name in left[-MAX_ENDED:]}}

        self._change(step, entry)

    def end_all(self, key: str, entry: AuditEntry) -> None:
        """End all sessions of a key, and note who did it.

        Raises:
            StorageError: The database cannot be written.
        """
        generation = secrets.token_urlsafe(6)

        def step(values: Mapping[str, Any]) -> dict[str, Any]:
            generations = {**_part(values, "generations"), key: generation}
            return {**values, "generations": generations}

        self._change(step, entry)

    def _change(
        self, step: Callable[[Mapping[str, Any]], dict[str, Any]], entry: AuditEntry
    ) -> None:
        for _ in range(_TRIES):
            stored = self._read()
            after = Stored(step(stored.values), stored.version)
            if write_section(self._database, self._app, SECTION, after, entry):
                return
        raise StorageError("the sessions were changed by others again and again")

    def _read(self) -> Stored:
        return read_section(self._database, self._app, SECTION)


def sessions_of(lens: Lens) -> Sessions:
    """The sessions of a lens's app."""
    lifetime = Lifetime(lens.config.session_idle_seconds, lens.config.session_max_age)
    return lens.attached(Sessions, lambda: Sessions(lens.database, lens.app_name, lifetime))


def _generation(values: Mapping[str, Any], key: str) -> str:
    return str(_part(values, "generations").get(key, ""))


def _part(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
