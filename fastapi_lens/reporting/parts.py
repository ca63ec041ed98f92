"""Parts of an application: endpoints with one tag, below one path, or in one file. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import takewhile

from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.text.sources import file_and_line

DEPTH = 3
"""Segments of the longest prefix that is found."""

FEWEST = 2
"""Endpoints that a prefix must have in common."""


class PartKind(StrEnum):
    """The kinds of parts; the value is that in the address."""

    TAG = "tag"
    PREFIX = "prefix"
    FILE = "file"


def is_below(path: str, prefix: str) -> bool:
    """True if a path is the prefix or continues it after a slash; each is below an empty one."""
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def file_of(endpoint: Endpoint) -> str:
    """The file of its handler; empty if it is unknown."""
    return file_and_line(endpoint.source)[0]


def is_in_part(endpoint: Endpoint, *, tag: str = "", prefix: str = "", file: str = "") -> bool:
    """True if an endpoint has the tag, is below the prefix and is in the file; empty is any."""
    return (
        (not tag or tag in endpoint.tags)
        and is_below(endpoint.path, prefix)
        and (not file or file_of(endpoint) == file)
    )


def has_part(endpoint: Endpoint, kind: PartKind) -> bool:
    """True if an endpoint has a tag, or a known file; each has a path."""
    if kind is PartKind.PREFIX:
        return True
    return any(endpoint.tags) if kind is PartKind.TAG else bool(file_of(endpoint))


def shared_prefixes(endpoints: Collection[Endpoint]) -> list[str]:
    """The beginnings of paths that some endpoints share, but not all, in order.

    None has a parameter. Of two with the same endpoints, such as ``/api`` and ``/api/v1``, it is
    the longer one.
    """
    counts = Counter(prefix for one in endpoints for prefix in _beginnings(one.path))
    # The longer one of two has no other endpoints, so an equal number means the same ones.
    longer = {(prefix.rpartition("/")[0], count) for prefix, count in counts.items()}
    return sorted(
        prefix
        for prefix, count in counts.items()
        if FEWEST <= count < len(endpoints) and (prefix, count) not in longer
    )


def prefixes_by_path(endpoints: Collection[Endpoint]) -> dict[str, list[str]]:
    """The prefixes of each path, one at least: those that it shares, or one of its own."""
    beginnings = {one.path: list(_segments(one.path)) for one in endpoints}
    shared, common = set(shared_prefixes(endpoints)), _common(beginnings.values())
    alone = (every for every in beginnings.values() if shared.isdisjoint(every))
    # The shortest one that not all paths have; the path itself if they have all of it.
    names = shared.union(every[min(common, len(every) - 1)] for every in alone)
    return {path: [one for one in every if one in names] for path, every in beginnings.items()}


def _common(paths: Iterable[Sequence[str]]) -> int:
    """The number of beginnings that all paths have."""
    columns = zip(*paths, strict=False)
    return len([*takewhile(lambda column: len(set(column)) == 1, columns)])


def _segments(path: str) -> Iterator[str]:
    """All beginnings of a path, the path itself the last one."""
    first, *rest = path.split("/")
    prefix = first
    if first or not rest:
        yield prefix
    for segment in rest:
        prefix += f"/{segment}"
        yield prefix


def _beginnings(path: str) -> Iterator[str]:
    """The first segments of a path, as far as they have no parameter: ``/v2``, ``/v2/orders``."""
    prefix = ""
    for segment in path.split("/")[1 : DEPTH + 1]:
        if not segment or "{" in segment:
            return
        prefix += f"/{segment}"
        yield prefix
