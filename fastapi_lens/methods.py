"""Names of HTTP methods, as endpoints are counted, stored and filtered by. Knows no requests."""

import hashlib
import re

MAX_METHOD_LENGTH = 64
"""Characters that the columns of methods hold. The longest registered name has 17."""

_LETTERS = r"A-Z0-9!#$%&'*+.^_`|~-"
"""Those of a token of RFC 9110, without small letters."""

_NAME = re.compile(f"[{_LETTERS}]{{1,{MAX_METHOD_LENGTH}}}")
_OTHERS = re.compile(f"[^{_LETTERS}]")
_DIGEST_LENGTH = 8


def is_method_name(text: str) -> bool:
    """Whether a text can be the method of an endpoint, as `method_name` gives it."""
    return _NAME.fullmatch(text) is not None


def method_name(declared: str) -> str:
    """The name by which a method that a route declares is counted.

    A token of HTTP of at most `MAX_METHOD_LENGTH` characters keeps its own, in capitals. Any
    other is cut to that, has an underscore for each character that no token has, and ends in a
    tilde and 8 digits of its SHA-256, so that different methods keep different names.
    """
    name = declared.upper()
    if is_method_name(name):
        return name
    digest = hashlib.sha256(declared.encode("utf-8", "surrogatepass")).hexdigest()
    kept = name[: MAX_METHOD_LENGTH - _DIGEST_LENGTH - 1]
    return f"{_OTHERS.sub('_', kept)}~{digest[:_DIGEST_LENGTH].upper()}"
