"""Keys of the admin: their scopes and their hashes.

Pure: no configuration, no HTTP, no storage.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, cast

from pydantic import SecretStr

from fastapi_lens.errors import ConfigError

SINGLE_KEY = "report_key"
"""The name of the one key of `LensConfig(report_key=…)`."""

MAX_NAME = 64
HASHED = "scrypt$"
"""Prefix of the text of a hashed key: ``scrypt$n$r$p$salt$hash``, the last two in hex."""

SETTING = "report_keys"
_COST = (2**14, 8, 1)
_MAX_MEMORY = 64 * 1024 * 1024
_MIN_N, _MIN_SALT, _DIGEST = 2**14, 16, 32
_UNSENDABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories of control characters, surrogates and line breaks."""

_HOW_TO_HASH = "make one with: python -m fastapi_lens hash-key"


class Scope(StrEnum):
    """Scope of a visitor of the admin."""

    READ = "read"
    """See pages and reports, and change nothing."""

    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """One of several keys.

    Attributes:
        key: The secret, or its hash by ``python -m fastapi_lens hash-key``.
        scope: ``read`` or ``admin``.

    Raises:
        ConfigError: The scope is neither.
    """

    key: str = field(repr=False)
    scope: Scope | Literal["read", "admin"] = Scope.ADMIN

    def __post_init__(self) -> None:
        """Convert the scope to its type."""
        if self.scope not in list(Scope):
            raise ConfigError(SETTING, f"has a scope that is neither {' nor '.join(Scope)}")
        object.__setattr__(self, "scope", Scope(self.scope))


@dataclass(frozen=True, slots=True)
class HashedKey:
    """The scrypt hash of a key."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "HashedKey":
        """Read ``scrypt$n$r$p$salt$hash``.

        Raises:
            ValueError: It is no such hash, or its cost is too low or too high.
        """
        name, n, r, p, salt, digest = text.split("$")
        found = cls(int(n), int(r), int(p), bytes.fromhex(salt), bytes.fromhex(digest))
        usable = (
            name + "$" == HASHED
            and found.n >= _MIN_N
            # scrypt takes powers of two only.
            and found.n & (found.n - 1) == 0
            and found.r > 0
            and found.p == 1
            # A huge cost would exhaust the memory at each sign-in.
            and 2 * 128 * found.n * found.r <= _MAX_MEMORY
            and len(found.salt) >= _MIN_SALT
            and len(found.digest) == _DIGEST
        )
        if not usable:
            raise ValueError("not a hash that hash-key has made")
        return found

    def matches(self, key: bytes) -> bool:
        """True if this is the hash of a key; takes some 50 ms."""
        return hmac.compare_digest(_scrypt(key, self.salt, (self.n, self.r, self.p)), self.digest)


def hash_key(key: str, salt: bytes) -> str:
    """The hash of a key as text; takes some 50 ms.

    Args:
        key: The secret.
        salt: 16 random bytes.
    """
    digest = _scrypt(normalised(key), salt, _COST)
    return HASHED + "$".join((*map(str, _COST), salt.hex(), digest.hex()))


def normalised(key: str | bytes) -> bytes:
    """UTF-8 of the composed form, so that a key matches regardless of the keyboard.

    Bytes come from a header, which some programs encode in Latin-1.
    """
    try:
        text = key.decode("utf-8") if isinstance(key, bytes) else key
    except UnicodeDecodeError:
        text = key.decode("latin-1") if isinstance(key, bytes) else key
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")


def problem_with(key: str) -> str:
    """The reason why a text cannot be sent as a key, with the fix; empty if it can."""
    if not key.strip():
        return "is empty; set a secret, or None to have no key"
    at_ends = {unicodedata.category(character) for character in (key[0], key[-1])}
    if len(key.strip()) < len(key) or "Cf" in at_ends:
        return (
            "begins or ends with white space or a line break, which no browser and no header "
            "sends along; remove it, for example with printf instead of echo where it is written"
        )
    if any(unicodedata.category(character) in _UNSENDABLE for character in key):
        return (
            "holds a line break, a control character or bytes that are not UTF-8, which no header "
            "can send; use letters, digits and punctuation"
        )
    return ""


def check_key(setting: str, key: str, *, of: str = "") -> None:
    """Refuse a key that cannot work.

    Args:
        setting: The setting that contains it.
        key: The secret, or a hash.
        of: Name of the key, if there are several.

    Raises:
        ConfigError: It is empty, cannot be sent, or begins like a hash and is none.
    """
    problem = "" if key.startswith(HASHED) else problem_with(key)
    if problem:
        raise ConfigError(setting, f"has a key for {of!r} that {problem}" if of else problem)
    if key.startswith(HASHED):
        try:
            HashedKey.parse(key)
        except ValueError:
            # Without its cause, which may repeat the hash.
            problem = f"holds a hashed key that cannot be read; {_HOW_TO_HASH}"
            raise ConfigError(setting, problem) from None


def named_keys(value: Any) -> dict[str, KeyConfig]:
    """Several keys by name.

    Args:
        value: A mapping of names to keys, each text, a `KeyConfig`, or a mapping with ``key`` and
            ``scope``.

    Raises:
        ConfigError: It is none, a name or a key is missing, or two names have the same key.
    """
    if not isinstance(value, Mapping):
        raise ConfigError(
            SETTING,
            'must be keys by name: {"alice": "…", "ci": {"key": "…", "scope": "read"}} '
            "(as JSON in the environment)",
        )
    keys: dict[str, KeyConfig] = {}
    for name, entry in cast("Mapping[str, Any]", value).items():
        _check_name(name)
        keys[name] = _key_of(name, entry)
    check_different(keys)
    return keys


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ConfigError(SETTING, f"has a name that is not readable text: {name!r}")
    if len(name) > MAX_NAME or name == SINGLE_KEY:
        problem = f"has a name that is too long ({MAX_NAME}) or taken: {name!r}"
        raise ConfigError(SETTING, problem)


def _key_of(name: str, entry: Any) -> KeyConfig:
    if isinstance(entry, Mapping):
        parts: dict[str, Any] = dict(cast("Mapping[str, Any]", entry))
        key, scope = parts.pop("key", None), parts.pop("scope", Scope.ADMIN)
        # A misspelt field is refused: without its scope, a key could do everything.
        entry = None if parts or not isinstance(key, str) else KeyConfig(key, scope)
    if isinstance(entry, SecretStr):
        entry = entry.get_secret_value()
    if isinstance(entry, str):
        entry = KeyConfig(entry)
    if not isinstance(entry, KeyConfig):
        raise ConfigError(SETTING, f"needs text or KeyConfig(key, scope=…) for {name!r}")
    check_key(SETTING, entry.key, of=name)
    return entry


def check_different(keys: Mapping[str, KeyConfig]) -> None:
    """Refuse the same key under two names.

    Raises:
        ConfigError: Two are the same.
    """
    names: dict[bytes, str] = {}
    for name, entry in keys.items():
        other = names.setdefault(normalised(entry.key), name)
        if other != name:
            raise ConfigError(SETTING, f"has the same key for {other!r} and {name!r}")


def _scrypt(key: bytes, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    # OpenSSL allows 32 MB by default, too little for twice the cost.
    return hashlib.scrypt(key, salt=salt, n=n, r=r, p=p, maxmem=2 * _MAX_MEMORY, dklen=_DIGEST)
