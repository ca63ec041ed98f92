"""Texts that a database accepts. Pure."""

import re
import sys

_ESCAPE = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


def storable(text: str) -> str:
    """The text without null characters (PostgreSQL) and without lone surrogates (all drivers)."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def encodable(text: str, codec: str) -> str:
    r"""The text with escapes, such as ``\u2192``, for what an encoding does not have.

    Args:
        text: Any text.
        codec: The encoding of the database, as Python names it.
    """
    return text.encode(codec, "backslashreplace").decode(codec)


def unescaped(text: str) -> str:
    """The text that `encodable` was given, unless that had such escapes itself."""
    return _ESCAPE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    # Foreign text may escape numbers that are no characters.
    return chr(min(int(found[found.lastindex or 0], 16), sys.maxunicode))
