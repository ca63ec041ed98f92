"""Texts that a database accepts. Pure."""


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
