"""Globs on path templates, by whole segments. Pure; knows no settings and no requests."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

ANY_DEPTH = "**"
ANY_SEGMENT = "*"


def matches(pattern: str, path: str) -> bool:
    """True if a glob covers a whole path template.

    ``*`` stands for exactly one segment, ``**`` for any number of them (none included), all
    else for itself: ``/health`` never covers ``/healthcare``. A trailing slash counts.

    Args:
        pattern: For example ``/internal/**`` or ``/v1/*/ping``.
        path: A path template such as ``/v1/users/{user_id}``.
    """
    return _match(_segments(pattern), _segments(path))


def matches_any(patterns: Iterable[str], path: str) -> bool:
    """True if at least one of the globs covers the path template; false for no globs."""
    return any(matches(pattern, path) for pattern in patterns)


@lru_cache(maxsize=4096)
def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _match(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Wildcard matching without backtracking into exponential time.

    The greedy algorithm for a single kind of star: only the last ``**`` is ever reconsidered,
    so the time is at most ``len(pattern) * len(path)``.
    """
    at = position = 0
    star = retry = -1
    while position < len(path):
        if at < len(pattern) and pattern[at] == ANY_DEPTH:
            star, retry = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in (ANY_SEGMENT, path[position]):
            at += 1
            position += 1
        elif star >= 0:
            retry += 1
            at, position = star + 1, retry
        else:
            return False
    return all(segment == ANY_DEPTH for segment in pattern[at:])
