"""Paths as they were requested, without the values of parameters whose names say secret. Pure.

A template does not tell how far its parameters reach (``{token:path}`` has slashes, and what the
template of a mount stands for may, too), so what is hidden is as long as it can be: from where the
text before the first such parameter ends for the first time, to where the text after the last one
begins for the last time.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from fastapi_lens.secret_names import says_secret

HIDDEN = "…"
"""Stands where something is left out."""

_PARAMETER = re.compile(r"\{([^{}:]*)(?::[^{}]*)?\}")


class _Cut(NamedTuple):
    """A template around its secrets.

    Attributes:
        head: The texts between the parameters before the first secret, in their order.
        middle: What is shown of the first to the last secret.
        tail: The texts between the parameters after the last secret.
        whole: What is shown of a path that does not go with the template.
    """

    head: tuple[str, ...]
    middle: str
    tail: tuple[str, ...]
    whole: str


def masked_path(path: str, template: str) -> str:
    """A path with an ellipsis in the place of each secret.

    Args:
        path: As it was requested; what lies before the template, such as a root path, stays.
        template: That of its endpoint: ``/users/{user_id}/keys/{api_key}``.
    """
    cut = _cut(template)
    if cut is None:
        return path
    begin, end = _after(cut.head, path), _before(cut.tail, path)
    # A parameter has one letter at least.
    if begin is None or end is None or begin >= end:
        return cut.whole
    return f"{path[:begin]}{cut.middle}{path[end:]}"


@lru_cache(maxsize=4_096)
def _cut(template: str) -> _Cut | None:
    """How to look for a template's secrets; None where it has none."""
    # Texts and names by turns; the first and the last are texts.
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
    """Where the last of some texts ends, each of them as far to the left as it can be."""
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
    """Where the first of some texts begins, each of them as far to the right as it can be."""
    if not path.endswith(texts[-1]):
        return None
    at = len(path) - len(texts[-1])
    for text in reversed(texts[:-1]):
        at = path.rfind(text, 0, max(0, at - 1))
        if at < 0:
            return None
    return at
