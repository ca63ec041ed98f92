"""Redaction of client addresses and of queries. Pure; the removed parts are never written."""

import hashlib
import re
from ipaddress import ip_network

from fastapi_lens.config.lens_config import Clients
from fastapi_lens.text.addresses import client_ip
from fastapi_lens.text.secret_names import decoded, is_only_name, says_secret

LONGEST_QUERY = 1_000
"""Characters."""

_LONGEST_KEY = 64
_LONGEST_BARE = 20
"""A text without an equals sign that is longer is more likely a secret than a name."""

_EQUALS = re.compile("=|%(?:25)*3d", re.IGNORECASE)
_PADDING = re.compile("(?:=|%(?:25)*3d){1,2}", re.IGNORECASE)
_BASE64 = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9+/]).{10,}")
"""Text that is more likely an encoded value than a name with an empty value."""

_ENDS_NAME = r"""\s"'\\?&;#=:,{}()/@"""
_INNER_NAME = re.compile(rf"""(?:^|(?<=[{_ENDS_NAME}]))([^{_ENDS_NAME}]+)["'\\]*\s*[=:]""")
"""A possible name inside a value that holds a URL with a query, JSON, or a list of pairs."""

_TAG = re.compile(r"<\s*([^\s<>/]+)")
"""A possible name in a value that holds XML."""

_SECRET_VALUE = re.compile(
    r"\beyJ[\w-]|\b(?i:bearer|basic)\s+\S|^\s*(?i:token|api-?key|digest|negotiate|ntlm)\s+\S"
    r"|//[^/?#\s]*@|^[^\s/?#@:]+:[^\s/?#@]+@"
    r"|\b(?:(?:[srp]k_(?:live|test)|gh[opsru]|github_pat|whsec)_|glpat-|xox[a-z]-)[\w-]{8}"
    r"|\bsk-(?:ant|or|proj|svcacct)-|\bnpm_\w{20}|\bpypi-AgE|\bA[KS]IA[0-9A-Z]{16}\b"
    r"|\bAIza[\w-]{30}|-----BEGIN\b"
)
"""Start of a JSON Web Token, content of an Authorization header, user info of a URL, and the start
of keys that services mark as such, to be found where nobody should have put them."""

_MASK_BITS = {4: 24, 6: 48}
_HASH_BYTES = 8
_CUT = "…"


def client_text(address: str, clients: Clients, salt: bytes) -> str:
    """The stored form of an address; empty for a text that is no address, such as a socket's name.

    Args:
        address: An IPv4 or IPv6 address.
        clients: The stored form: masked, hashed or nothing.
        salt: Random bytes, the key of the hash.
    """
    parsed = client_ip(address)
    if parsed is None:
        return ""
    if clients == "masked":
        return str(ip_network((parsed.packed, _MASK_BITS[parsed.version]), strict=False))
    if clients == "hashed":
        # A key of its own, because the salt has other uses.
        key = hashlib.sha256(b"fastapi_lens client\0" + salt).digest()
        return hashlib.blake2b(parsed.packed, key=key, digest_size=_HASH_BYTES).hexdigest()
    return ""


def query_text(query: bytes, *, values: bool) -> str:
    """A query in its sent form, with or without values; `LONGEST_QUERY` characters at most.

    Args:
        query: The raw query string.
        values: Keep values, except those of names that indicate a secret.
    """
    text = query.decode("latin-1")
    if text:
        kept = _harmless if values else _key
        # A semicolon is part of a value: few servers still take it for a separator.
        text = "&".join(map(kept, text[: 4 * LONGEST_QUERY].split("&")))
    return shortened(text, LONGEST_QUERY)


def shortened(text: str, longest: int) -> str:
    """A text cut to this number of characters, with an ellipsis at its end if it was cut."""
    return text if len(text) <= longest else text[: longest - 1] + _CUT


def _key(part: str) -> str:
    """The name of a part; an ellipsis if it looks like a secret without a name."""
    if _is_bare(part):
        return _bare(part)
    return _name(part[: _name_end(part)])


def _name(name: str) -> str:
    """A name of at most `_LONGEST_KEY` characters; an ellipsis if it contains a secret."""
    hidden = ";" in decoded(name) or _tells_secret(name)
    return _CUT if hidden else shortened(name, _LONGEST_KEY)


def _harmless(part: str) -> str:
    """A name with its value, which is replaced by an ellipsis if it is a secret."""
    if _is_bare(part):
        return _bare(part)
    end = _name_end(part)
    name, equals, value = part[:end], part[end : end + 1], part[end + 1 :]
    if equals != "=":
        # The equals sign is encoded: a server treats the whole part as a name.
        return part if not _tells_secret(part) else f"{_name(name)}%3D{_CUT}"
    if _name(name) == _CUT:
        return f"{_CUT}={_CUT}"
    if value and (says_secret(_as_text(name)) or _tells_secret(value)):
        return f"{name}={_CUT}"
    return part


def _is_bare(part: str) -> bool:
    """True if a part has no name: it has no equals sign, or only as the padding of base64."""
    found = _EQUALS.search(part)
    if found is None:
        return True
    if not _PADDING.fullmatch(part, found.start()):
        return False
    name, is_empty = part[: found.start()], part[found.start() :] == "="
    return not is_empty or len(name) > _LONGEST_BARE or bool(_BASE64.fullmatch(name))


def _bare(part: str) -> str:
    """A part without a name; hidden if it may be a secret, or contain one."""
    if len(part) > _LONGEST_BARE or _EQUALS.search(part) is not None or _tells_secret(part):
        return _CUT
    plain = decoded(_as_text(part))
    return part if not says_secret(plain) or is_only_name(plain) else _CUT


def _name_end(part: str) -> int:
    found = _EQUALS.search(part)
    return len(part) if found is None else found.start()


def _tells_secret(value: str) -> bool:
    """True if a value contains a secret, however often it is encoded."""
    plain = decoded(_as_text(value))
    return _SECRET_VALUE.search(plain) is not None or any(
        says_secret(name) for name in (*_INNER_NAME.findall(plain), *_TAG.findall(plain))
    )


def _as_text(part: str) -> str:
    """Decode the bytes beyond ASCII in a part, as the client most likely meant them."""
    return part.encode("latin-1").decode("utf-8", "replace")
