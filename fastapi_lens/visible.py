r"""What cannot be seen, made visible: control characters, overrides of the direction of writing.

Pure. What changes nothing but how other letters are read, or leaves nothing to be seen, is
written as Python writes it: ``\x1b``, ``\u202e``. So no text begins a line of its own, speaks to
a terminal, or looks like another one by such means. Letters of every script stay, and so does
what belongs to one: joiners inside of scripts and emoji that need them, a variation selector
behind a letter beyond ASCII, and the tags of a flag.
"""

import json
import re

_JOINED = (
    "\u0590-\u1cff\u2190-\u2bff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001f000-\U0001faff"
)
"""Scripts from Hebrew to Mongolian, and pictures: what a joiner may stand between."""

_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Fillers: letters and marks by Unicode's tables that are not drawn.
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    "\ud800-\udfff\ufe00-\ufe0f"
)
"""All control and format characters but the nine signs of Arabic, Syriac and Kaithi that are
drawn, line ends, halves of a pair, selectors, fillers."""

_WITH_SEQUENCES = re.compile(
    # Between two that stay themselves, of which the first may be a picture with its selector.
    f"(?:(?<=[{_JOINED}])(?<![{_UNSEEN}])|(?<=[{_JOINED}]\ufe0f)(?<![{_UNSEEN}]\ufe0f))"
    f"[\u200c\u200d](?=[{_JOINED}])(?![{_UNSEEN}])"
    f"|(?<![\x00-\x7f{_UNSEEN}])(?<!^)[{_SELECTORS}]|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    "|(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
    f"|([{_UNSEEN}])"
)


def visible(text: str) -> str:
    r"""A text in one line, with everything that cannot be seen written out: ``a\nb\u202e``."""
    # Most texts, and ten times as quick.
    if text.isascii() and text.isprintable():
        return text
    return _WITH_SEQUENCES.sub(_written_out, text)


def visible_lines(text: str) -> str:
    """The same of a text whose line ends and tabs are wanted."""
    if text.isascii() and text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in lines)


def visible_json(text: str) -> str:
    """JSON that means the same, with what cannot be seen in its strings as JSON writes it out.

    Args:
        text: JSON without line ends or tabs between its values.
    """
    if text.isascii() and text.isprintable():
        return text
    return _WITH_SEQUENCES.sub(lambda found: _replaced(found, json.dumps(found[0])[1:-1]), text)


def _written_out(found: re.Match[str]) -> str:
    return _replaced(found, found[0].encode("unicode_escape").decode())


def _replaced(found: re.Match[str], written: str) -> str:
    """What is written in the place of a match; a sequence that is kept stays."""
    return found[0] if found[1] is None else written
