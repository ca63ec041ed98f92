"""Texts as every database takes them. Pure."""


def storable(text: str) -> str:
    """What every database takes: PostgreSQL has no null character, and no driver half a pair."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
