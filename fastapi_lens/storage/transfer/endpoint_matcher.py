"""The endpoint of a requested path, found by the templates alone. Knows no routes and no SQL."""

import re
from collections.abc import Iterable
from functools import lru_cache

_KNOWN_PATHS = 10_000
_PARAMETER = re.compile(r"(\{[^{}]*\})")


class EndpointMatcher:
    """Finds the endpoint of a recorded path.

    Args:
        endpoints: Id, method and template of each.
    """

    def __init__(self, endpoints: Iterable[tuple[int, str, str]]) -> None:
        """Compile the templates."""
        self._exact: dict[tuple[str, str], int] = {}
        self._templates: dict[str, list[tuple[tuple[bool, int], re.Pattern[str], int]]] = {}
        for key, method, path in endpoints:
            self._exact[method, path] = key
            if "{" in path:
                found = (_rank(path), _pattern(path), key)
                self._templates.setdefault(method, []).append(found)
        # Each new path is compared with all templates, and paths repeat.
        self.find = lru_cache(maxsize=_KNOWN_PATHS)(self._find)

    def _find(self, method: str, path: str) -> int | None:
        """The endpoint with this template, or the one whose template fits best.

        None if no template fits, or two fit equally well.
        """
        # The recorded path may be the template itself.
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        templates = self._templates.get(method, ())
        fits = sorted(
            ((rank, key) for rank, pattern, key in templates if pattern.fullmatch(path)),
            reverse=True,
        )
        # A wrong guess would make an endpoint look used, so there is none.
        if not fits or (fits[1:] and fits[0][0] == fits[1][0]):
            return None
        return fits[0][1]


def _rank(template: str) -> tuple[bool, int]:
    """The precision of a template: without a parameter for whole paths, with the longest text."""
    return ":path}" not in template, len(_PARAMETER.sub("", template))


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(template)
    texts = (
        re.escape(part) if number % 2 == 0 else ".*" if part.endswith(":path}") else "[^/]+"
        for number, part in enumerate(parts)
    )
    # A decoded path may contain line breaks.
    return re.compile("".join(texts), re.DOTALL)
