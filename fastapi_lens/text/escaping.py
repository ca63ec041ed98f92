r"""Escaping of invisible characters, such as control characters and bidirectional overrides.

Pure. Characters that only change the display of others, or that show nothing, are escaped as in
Python: ``\x1b``, ``\u202e``. So no text can start a line of its own, control a terminal, or look
like a different text by such means. Letters of every script are kept, and so are the invisible
characters that they need: joiners inside scripts and emoji that use them, a variation selector
after a letter beyond ASCII, and the tags of a flag.
"""

import json
import re

_JOINED = (
    "\u0590-\u1cff\u2190-\u2bff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001f000-\U0001faff"
)
"""Characters that a joiner may stand between: scripts from Hebrew to Mongolian, and pictures."""

_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Fillers: letters and marks in Unicode's tables that show nothing.
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    "\ud800-\udfff\ufe00-\ufe0f"
)
"""All control and format characters except the nine visible signs of Arabic, Syriac and Kaithi;
line ends, lone surrogates, selectors, fillers."""

_WITH_SEQUENCES = re.compile(
    # Between two characters that are kept; the first may be a picture with its selector.
    f"(?:(?<=[{_JOINED}])(?<![{_UNSEEN}])|(?<=[{_JOINED}]\ufe0f)(?<![{_UNSEEN}]\ufe0f))"
    f"[\u200c\u200d](?=[{_JOINED}])(?![{_UNSEEN}])"
    f"|(?<![\x00-\x7f{_UNSEEN}])(?<!^)[{_SELECTORS}]|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    "|(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
    f"|([{_UNSEEN}])"
)


def visible(text: str) -> str:
    r"""A text in one line, with all invisible characters escaped: ``a\nb\u202e``."""
    # True for most texts, and ten times as fast.
    if text.isascii() and text.isprintable():
        return text
    return _WITH_SEQUENCES.sub(_written_out, text)


def visible_lines(text: str) -> str:
    """The same text, but with line ends and tabs kept."""
    if text.isascii() and text.isprintable():
        return text
    # A carriage return alone stays and is escaped: terminals would overwrite the line.
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in lines)


def visible_json(text: str) -> str:
    """Equivalent JSON, with invisible characters in its strings escaped as in JSON.

    Args:
        text: JSON without line ends or tabs between its values.
    """
    if text.isascii() and text.isprintable():
        return text
    return _WITH_SEQUENCES.sub(lambda found: _replaced(found, json.dumps(found[0])[1:-1]), text)


def _written_out(found: re.Match[str]) -> str:
    return _replaced(found, found[0].encode("unicode_escape").decode())


def _replaced(found: re.Match[str], written: str) -> str:
    """The replacement of a match; an allowed sequence is kept."""
    return found[0] if found[1] is None else written
