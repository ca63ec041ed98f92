"""Texts that every database accepts. Pure."""


def storable(text: str) -> str:
    """The text without null characters (PostgreSQL) and without lone surrogates (all drivers)."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
