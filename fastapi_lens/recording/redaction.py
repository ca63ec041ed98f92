"""What is kept of a client's address and of a query. Pure; the rest of either is never written."""

import hashlib
import re
from ipaddress import ip_network
from urllib.parse import unquote_plus

from fastapi_lens.addresses import client_ip
from fastapi_lens.log_settings import Clients

LONGEST_QUERY = 1_000
"""Characters."""

_LONGEST_KEY = 64
_LONGEST_BARE = 32
"""What stands alone and is longer is rather a secret than a key."""

SECRET_WORDS = frozenset(
    (
        *("apikey", "auth", "authorization", "bearer", "code", "cookie", "credential"),
        *("credentials", "csrf", "jwt", "key", "nonce", "otp", "passphrase", "passwd", "password"),
        *("pin", "pwd", "secret", "session", "sid", "sig", "signature", "ticket", "token"),
    )
)
"""Words of names whose values are never kept: ``report_key``, ``access-token``, ``userToken``."""

_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_MASK_BITS = {4: 24, 6: 48}
_HASH_BYTES = 8
_CUT = "…"


def client_text(address: str, clients: Clients, salt: bytes) -> str:
    """What is kept of an address; empty for what is none, like the name of a socket.

    Args:
        address: An IPv4 or IPv6 address.
        clients: How much of it.
        salt: Random bytes, the key of the hash.
    """
    parsed = client_ip(address)
    if parsed is None:
        return ""
    if clients is Clients.MASKED:
        return str(ip_network((parsed.packed, _MASK_BITS[parsed.version]), strict=False))
    if clients is Clients.HASHED:
        key = hashlib.sha256(b"fastapi_lens client\0" + salt).digest()
        return hashlib.blake2b(parsed.packed, key=key, digest_size=_HASH_BYTES).hexdigest()
    return ""


def query_text(query: bytes, *, values: bool) -> str:
    """A query as it was sent, with or without its values; `LONGEST_QUERY` characters at most.

    Args:
        query: As the server gives it.
        values: Whether to keep values; that of a name which says that it is a secret never is.
    """
    text = query.decode("latin-1")
    if text:
        kept = _harmless if values else _key
        text = "&".join(map(kept, text[: 4 * LONGEST_QUERY].split("&")))
    return shortened(text, LONGEST_QUERY)


def shortened(text: str, longest: int) -> str:
    """A text of so many characters at most, with an ellipsis where something is missing."""
    return text if len(text) <= longest else text[: longest - 1] + _CUT


def _key(part: str) -> str:
    key, has_value, _ = part.partition("=")
    if not has_value:
        return key if len(key) <= _LONGEST_BARE else _CUT
    return shortened(key, _LONGEST_KEY)


def _harmless(part: str) -> str:
    """A name with its value, or with an ellipsis in its place where it is a secret."""
    name, has_value, value = part.partition("=")
    words = {word.lower() for word in _WORD.findall(unquote_plus(name))}
    return f"{name}={_CUT}" if has_value and value and words & SECRET_WORDS else part
