"""Escaping for Markdown as GitHub reads it, with HTML and tables. Pure."""

import re

from fastapi_lens.text.escaping import visible

_SPECIAL = frozenset("\\`*_{}[]<>()#!|~&")
_TICKS = re.compile("`+")


def escaped(text: str) -> str:
    """A text of one line with Markdown's special characters escaped."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def code(text: str) -> str:
    """A text in one line as code: between more backticks in a row than it has itself."""
    shown = visible(text)
    fence = "`" * (max(map(len, _TICKS.findall(shown)), default=0) + 1)
    # One space on each side is no part of the code; a backtick must not touch the fence.
    space = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{space}{shown}{space}{fence}"
