"""Names of HTTP methods, by which endpoints are counted and filtered. Knows no requests."""

import hashlib
import re

MAX_METHOD_LENGTH = 64
"""Length of the method columns in characters. The longest registered name has 17."""

_LETTERS = r"A-Z0-9!#$%&'*+.^_`|~-"
"""Characters of an RFC 9110 token, without lowercase letters."""

_NAME = re.compile(f"[{_LETTERS}]{{1,{MAX_METHOD_LENGTH}}}")
_OTHERS = re.compile(f"[^{_LETTERS}]")
_DIGEST_LENGTH = 8


def is_method_name(text: str) -> bool:
    """True if a text can be an endpoint's method, as `method_name` returns it."""
    return _NAME.fullmatch(text) is not None


def method_name(declared: str) -> str:
    """The name under which a method that a route declares is counted.

    An HTTP token of at most `MAX_METHOD_LENGTH` characters keeps its name, in capitals. Any other
    method is cut to that length, gets an underscore for each character that a token cannot contain,
    and ends in a tilde and 8 digits of its SHA-256, so that different methods keep different names.
    """
    name = declared.upper()
    if is_method_name(name):
        return name
    # A declared method may contain anything, even lone surrogates.
    digest = hashlib.sha256(declared.encode("utf-8", "surrogatepass")).hexdigest()
    kept = name[: MAX_METHOD_LENGTH - _DIGEST_LENGTH - 1]
    return f"{_OTHERS.sub('_', kept)}~{digest[:_DIGEST_LENGTH].upper()}"
