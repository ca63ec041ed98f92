"""Requested paths without the values of parameters whose names indicate a secret. Pure.

A template does not show how far a parameter's value reaches: ``{token:path}`` may contain slashes,
and so may the path below a mount. So the longest possible range is hidden: from the first end of
the text before the first such parameter to the last start of the text after the last one.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from fastapi_lens.text.secret_names import says_secret

HIDDEN = "…"
"""Replacement of hidden text."""

_PARAMETER = re.compile(r"\{([^{}:]*)(?::[^{}]*)?\}")


class _Cut(NamedTuple):
    """A template, split around its secrets.

    Attributes:
        head: The texts between the parameters before the first secret, in order.
        middle: The text to show from the first to the last secret.
        tail: The texts between the parameters after the last secret.
        whole: The text to show for a path that does not match the template.
    """

    head: tuple[str, ...]
    middle: str
    tail: tuple[str, ...]
    whole: str


def masked_path(path: str, template: str) -> str:
    """A path with each secret replaced by an ellipsis.

    Args:
        path: The requested path; a prefix before the template, such as a root path, is kept.
        template: The template of its endpoint: ``/users/{user_id}/keys/{api_key}``.
    """
    cut = _cut(template)
    if cut is None:
        return path
    begin, end = _after(cut.head, path), _before(cut.tail, path)
    # A parameter has at least one character.
    if begin is None or end is None or begin >= end:
        return cut.whole
    return f"{path[:begin]}{cut.middle}{path[end:]}"


# Every logged request asks for its template, and templates are few.
@lru_cache(maxsize=4_096)
def _cut(template: str) -> _Cut | None:
    """Split a template around its secrets; None if it has none."""
    # Texts and names alternate; the first and the last are texts.
    parts = _PARAMETER.split(template)
    secrets = [at for at in range(1, len(parts), 2) if says_secret(parts[at])]
    if not secrets:
        return None
    first, last = secrets[0], secrets[-1]
    return _Cut(
        head=tuple(parts[:first:2]),
        middle=HIDDEN.join(("", *parts[first + 1 : last : 2], "")),
        tail=tuple(parts[last + 1 :: 2]),
        whole=HIDDEN.join(parts[::2]),
    )


def _after(texts: tuple[str, ...], path: str) -> int | None:
    """End of the last text, with each text matched as far to the left as possible."""
    at = path.find(texts[0])
    if at < 0:
        return None
    at += len(texts[0])
    for text in texts[1:]:
        at = path.find(text, at + 1)
        if at < 0:
            return None
        at += len(text)
    return at


def _before(texts: tuple[str, ...], path: str) -> int | None:
    """Start of the first text, with each text matched as far to the right as possible."""
    if not path.endswith(texts[-1]):
        return None
    at = len(path) - len(texts[-1])
    for text in reversed(texts[:-1]):
        at = path.rfind(text, 0, max(0, at - 1))
        if at < 0:
            return None
    return at
