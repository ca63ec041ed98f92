"""Paths of URLs as clients send them. Pure."""

from urllib.parse import quote

_SAFE = "/:@!$&'()*+,;=~"
"""Characters that a path may have unquoted beside letters and digits, see RFC 3986."""


def quoted_path(path: str) -> str:
    """A path with everything quoted that has to be, and nothing else."""
    return quote(path, safe=_SAFE)
