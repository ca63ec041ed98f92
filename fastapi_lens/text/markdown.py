"""Escaping for Markdown as GitHub reads it, with HTML and tables. Pure."""

import re

from fastapi_lens.text.escaping import visible

_SPECIAL = frozenset("\\`*_{}[]<>()#!|~&")
_TICKS = re.compile("`+")
_REFERENCE = re.compile(r"@|\\#|(?<=\b[gG][hH])-(?=[0-9])|(?<=\b[wW]{3})\.|:(?=//)")
"""Where GitHub begins a mention, a reference to an issue, or a link that has no brackets."""

_NOTHING = "&#8203;"
"""A space without width. GitHub reads references after it has removed backslashes."""


def escaped(text: str) -> str:
    """A text of one line with Markdown's special characters escaped.

    It notifies nobody, refers to nothing and links nowhere.
    """
    return _REFERENCE.sub(rf"\g<0>{_NOTHING}", backslashed(text))


def backslashed(text: str) -> str:
    """The same for the content of a code element, in which GitHub reads no references."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def code(text: str) -> str:
    """A text in one line as code: between more backticks in a row than it has itself."""
    shown = visible(text)
    fence = "`" * (max(map(len, _TICKS.findall(shown)), default=0) + 1)
    # One space on each side is no part of the code; a backtick must not touch the fence.
    space = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{space}{shown}{space}{fence}"
