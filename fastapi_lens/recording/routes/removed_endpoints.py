"""Lookup of the removed endpoint that a path belonged to. Pure: no requests, no SQL.

Templates are stored without the converters of their parameters. So a parameter takes one segment of
a path, that is, some text without a slash. One that may have had the converter ``path`` takes all
that follows: the last one of a mount, or one at the end whose name ends in ``path``.
"""

import re
from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fastapi_lens.recording.routes.route_tree import ANY, WEBSOCKET
from fastapi_lens.storage.records.removed_endpoints import RemovedEndpoint

MOST_SEGMENTS = 64
"""Most segments of a template; no call is found to belong to a longer one."""

_MOUNT = "mount"
_PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")
_REST = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*_)?path\}")
_WHOLE = ("", "")


class RemovedEndpoints:
    """The removed endpoints of one app, by path and method.

    Of several templates that fit a path, the most specific one is found: segment by segment from
    the left, a fixed text comes before a text with a parameter in it, then comes a parameter alone,
    and last one that takes all that follows. Of one template, the requested method comes before
    ``ANY``. Of templates that differ only in the names of parameters, the first one counts.

    Args:
        endpoints: The endpoints; the first ones take precedence.
    """

    def __init__(self, endpoints: Iterable[RemovedEndpoint]) -> None:
        """Build the tree of segments."""
        self._root = _Node()
        self._deepest = 0
        for endpoint in endpoints:
            segments = endpoint.path.split("/")
            # The search goes one call deeper with each segment.
            if len(segments) <= MOST_SEGMENTS:
                self._deepest = max(self._deepest, len(segments))
                self._add(endpoint, segments)

    def find(self, method: str, path: str) -> int | None:
        """The id of the removed endpoint that a call would have reached; None without one.

        Args:
            method: The requested method, or ``WEBSOCKET``.
            path: The requested path below the application's root path.
        """
        found = self._find(method, path)
        if found is None and path != "/" and method != WEBSOCKET:
            # Routers redirect requests to the other slash.
            found = self._find(method, path[:-1] if path.endswith("/") else f"{path}/")
        return found

    def _find(self, method: str, path: str) -> int | None:
        # No more parts than templates have, because a hostile path may have thousands of slashes.
        return self._root.find(method, path.split("/", self._deepest), 0)

    def _add(self, endpoint: RemovedEndpoint, segments: Sequence[str]) -> None:
        is_rest = (
            segments[-1].startswith("{")
            if endpoint.kind == _MOUNT
            else _REST.fullmatch(segments[-1]) is not None
        )
        node = self._root
        for segment in segments[:-1] if is_rest else segments:
            node = node.child(segment)
        ids = node.rest if is_rest else node.ends
        ids.setdefault(endpoint.method, endpoint.id)


@dataclass(slots=True)
class _Node:
    """The templates with the same segments so far.

    Attributes:
        fixed: Nodes by the next segment, if that is a fixed text.
        mixed: Nodes by the texts around the parameters of the next segment, longest texts first.
        ends: Ids, by method, of the templates that end here.
        rest: Ids, by method, of the templates whose last parameter takes all that follows.
    """

    fixed: "dict[str, _Node]" = field(default_factory=dict[str, "_Node"])
    mixed: "list[tuple[tuple[str, ...], _Node]]" = field(
        default_factory=list[tuple[tuple[str, ...], "_Node"]]
    )
    ends: dict[str, int] = field(default_factory=dict[str, int])
    rest: dict[str, int] = field(default_factory=dict[str, int])

    def child(self, segment: str) -> "_Node":
        """The node of a segment of a template, created if it does not exist."""
        # Texts and names alternate; the first and the last are texts.
        texts = tuple(_PARAMETER.split(segment)[::2])
        if len(texts) == 1:
            return self.fixed.setdefault(segment, _Node())
        # A list, because a segment is compared with each of them anyway.
        for known, node in self.mixed:
            if known == texts:
                return node
        node = _Node()
        insort(self.mixed, (texts, node), key=lambda entry: -sum(map(len, entry[0])))
        return node

    def find(self, method: str, segments: Sequence[str], at: int) -> int | None:
        """The id of the best template that fits the segments from a position on."""
        if at == len(segments):
            return _of_method(self.ends, method)
        for child in self._children(segments[at]):
            found = child.find(method, segments, at + 1)
            if found is not None:
                return found
        # Last, because a whole rest is the least specific fit.
        return _of_method(self.rest, method)

    def _children(self, segment: str) -> "Iterator[_Node]":
        fixed = self.fixed.get(segment)
        if fixed is not None:
            yield fixed
        for texts, node in self.mixed:
            if _fits(texts, segment):
                yield node


def _of_method(ids: dict[str, int], method: str) -> int | None:
    found = ids.get(method)
    return ids.get(ANY) if found is None else found


def _fits(texts: tuple[str, ...], segment: str) -> bool:
    """True if a segment has these texts in order, with a character or more between each two.

    No regular expression, because several parameters in one segment would make it slow for
    hostile paths.
    """
    if texts == _WHOLE:
        return segment != ""
    first, *middle, last = texts
    if not segment.startswith(first) or not segment.endswith(last):
        return False
    at = len(first)
    for text in middle:
        at = segment.find(text, at + 1)
        if at < 0:
            return False
        at += len(text)
    return at < len(segment) - len(last)
