"""All keys of one lens, and the lookup of presented keys. Knows no HTTP and no sessions."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from fastapi_lens.config.keys import HASHED, HashedKey, KeyConfig, Scope, normalised


class KeyStore:
    """Finds the name of a key.

    Args:
        keys: The keys by name.
    """

    def __init__(self, keys: Mapping[str, KeyConfig]) -> None:
        """Read the hashes."""
        self._pepper = secrets.token_bytes(32)
        self._scopes = {name: Scope(entry.scope) for name, entry in keys.items()}
        self._hashed = {
            name: HashedKey.parse(entry.key)
            for name, entry in keys.items()
            if entry.key.startswith(HASHED)
        }
        # The mark of a hashed key is known after its first use, which saves further scrypt calls.
        self._marks = {
            name: self._mark(normalised(entry.key))
            for name, entry in keys.items()
            if name not in self._hashed
        }
        self._secrets = {name: normalised(entry.key) for name, entry in keys.items()}

    def name_of(self, presented: str | bytes) -> str | None:
        """The name of a presented key, in constant time over all keys; None for a wrong one.

        Takes some 50 ms for each hashed key that was not used in this process yet.
        """
        key = normalised(presented)
        mark, found = self._mark(key), None
        for name, known in list(self._marks.items()):
            if hmac.compare_digest(mark, known):
                found = name
        # An empty key matches no hash, and would cost 50 ms for each of them.
        if found is None and key:
            for name, hashed in self._hashed.items():
                if name not in self._marks and hashed.matches(key):
                    found = name
                    self._marks[name] = mark
        return found

    def scope_of(self, name: str) -> Scope | None:
        """The scope of a key; None if there is no key of this name."""
        return self._scopes.get(name)

    def session_secret(self, name: str, salt: bytes) -> bytes:
        """The secret that signs the sessions of a key; a changed key ends them. Takes some 50 ms.

        Args:
            name: Name of one of these keys.
            salt: Random bytes that all workers of the database share.
        """
        # Slow on purpose: a stolen cookie allows its holder to guess the key offline.
        key = hashlib.scrypt(self._secrets[name], salt=salt, n=2**14, r=8, p=1, dklen=32)
        # The number changes with the content of the cookie, so that older cookies become invalid.
        return hmac.digest(key, b"fastapi-lens session 4" + name.encode(), "sha256")

    def _mark(self, key: bytes) -> bytes:
        return hmac.digest(self._pepper, key, "sha256")
