"""Callers as the ledger names them. Reads the hash key; a key itself is never kept.

Only the flusher's thread hashes, once for each caller of a batch.
"""

import hashlib

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.recording.series import Agent, Beyond, CallerValue
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.records.caller_key import caller_key, key_id
from fastapi_lens.storage.schema.identities import caller_id
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.writing.batches import CallerFacts
from fastapi_lens.text.noise import is_noise
from fastapi_lens.text.user_agents import family

HASH_BYTES = 8
OTHER_CALLERS = CallerFacts(OTHERS_ID, CallerKind.OTHERS, "")
"""All callers beyond the bounds."""

MAX_KNOWN = 8_192
"""Most callers that are named without looking again."""


class CallerNames:
    """Names the callers of one app.

    Args:
        database: The database that has the hash key.
        app: Name of the app.
    """

    def __init__(self, database: Database, app: str) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._hash_key, self._key_id = b"", 0
        self._noise: tuple[str, ...] = ()
        self._keeps_agents = self._has_keys = False
        self._known: dict[CallerValue, CallerFacts] = {}

    def apply(self, config: LensConfig) -> None:
        """Use these settings from now on; any thread may call this."""
        self._noise = tuple(config.noise)
        self._keeps_agents = config.caller_source == "agent"
        self._has_keys = config.caller_source in ("key", "agent")
        # A new one, because another thread may be adding to it.
        self._known = {}

    def prepare(self) -> None:
        """Read the hash key if keys of callers are recorded.

        Before each flush: an admin who forgets all callers has replaced it, and what is hashed with
        the old one is counted under others.

        Raises:
            StorageError: The database cannot be read.
        """
        if self._has_keys:
            self._read_key()

    def plain(self, caller: CallerValue) -> CallerFacts | bytes:
        """The caller without its key hashed: a key is returned as it is. Reads no database."""
        if isinstance(caller, bytes):
            return caller
        known = self._known
        found = known.get(caller)
        if found is None:
            if len(known) >= MAX_KNOWN:
                known.clear()
            found = known[caller] = self._named(caller)
        return found

    def hashed(self, caller: CallerFacts | bytes) -> CallerFacts:
        """The caller with its key hashed.

        Args:
            caller: The result of `plain`.

        Raises:
            StorageError: The hash key, which `prepare` has not read, cannot be read.
        """
        if isinstance(caller, CallerFacts):
            return caller
        if not self._hash_key:
            self._read_key()
        digest = hashlib.blake2b(caller, digest_size=HASH_BYTES, key=self._hash_key)
        named = self._facts(CallerKind.KEY, digest.hexdigest())
        return named._replace(key_id=self._key_id)

    def _named(self, caller: str | Agent | Beyond | None) -> CallerFacts:
        match caller:
            case Beyond():
                return OTHER_CALLERS
            case str():
                kind, name = CallerKind.HOOK, _printable(caller)
            case Agent():
                kind, name = CallerKind.AGENT, self._agent_name(caller.header)
            case _:
                kind, name = CallerKind.NONE, ""
        return self._facts(kind if name else CallerKind.NONE, name)

    def _agent_name(self, header: bytes) -> str:
        name = family(header)
        return name if self._keeps_agents or is_noise(name, self._noise) else ""

    def _read_key(self) -> None:
        self._hash_key = caller_key(self._database, self._app)
        # Once, and not for each caller: it is a hash itself.
        self._key_id = key_id(self._hash_key)

    def _facts(self, kind: CallerKind, name: str) -> CallerFacts:
        return CallerFacts(caller_id(self._app, kind, name), kind, name)


def _printable(name: str) -> str:
    """A name that can be stored and shown in one line; may be empty."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return storable(printable).strip()
