"""Escaping for Markdown as GitHub reads it, with HTML and tables. Pure."""

_SPECIAL = frozenset("\\`*_{}[]<>()#!|~&")


def escaped(text: str) -> str:
    """A text of one line with Markdown's special characters escaped."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)
