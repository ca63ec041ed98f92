"""Groups of endpoints with their totals: by tag, by path, by file. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.reporting.parts import PartKind, file_of, prefixes_by_path
from fastapi_lens.reporting.totals.usages import counted_usage, timed_usage
from fastapi_lens.settings.status import UNUSED, Status


# Without slots, because `cached_property` needs a `__dict__`.
@dataclass(frozen=True)
class Group:
    """Endpoints that have something in common.

    Attributes:
        name: The tag, the beginning of the paths, or the file; empty for endpoints without one.
        endpoints: One at least, with their histograms.
    """

    name: str
    endpoints: Sequence[Endpoint]

    @cached_property
    def usage(self) -> Usage:
        """The calls of all; without a histogram."""
        return counted_usage(self.endpoints)

    @cached_property
    def timed(self) -> Usage:
        """The calls whose durations count."""
        return timed_usage(self.endpoints)

    @cached_property
    def statuses(self) -> Mapping[Status, int]:
        """The number of endpoints of each status, also of those that none has."""
        counts = Counter(one.status for one in self.endpoints)
        return {status: counts[status] for status in Status}

    @property
    def unused(self) -> int:
        """The number of endpoints that nobody calls."""
        return sum(self.statuses[status] for status in UNUSED)

    @cached_property
    def last_called_at(self) -> float | None:
        """The latest call of all in epoch seconds; None if there never was one."""
        return max((one.last_called_at or 0.0 for one in self.endpoints), default=0.0) or None


def groups_of(endpoints: Collection[Endpoint], kind: PartKind, *, tag: str = "") -> list[Group]:
    """The groups of endpoints by name; one of those without a name is the last.

    An endpoint is in the groups of all its tags, and of all prefixes that it shares with others.

    Args:
        endpoints: With their histograms.
        kind: Part that they have in common.
        tag: The only tag whose group is returned; empty for all.
    """
    prefixes = prefixes_by_path(endpoints) if kind is PartKind.PREFIX else {}
    found: defaultdict[str, list[Endpoint]] = defaultdict(list)
    for one in endpoints:
        for name in _names(one, kind, prefixes):
            if not tag or kind is not PartKind.TAG or name == tag:
                found[name].append(one)
    return [Group(name, found[name]) for name in sorted(found, key=lambda name: (not name, name))]


def _names(
    endpoint: Endpoint, kind: PartKind, prefixes: Mapping[str, Sequence[str]]
) -> Collection[str]:
    if kind is PartKind.PREFIX:
        return prefixes[endpoint.path]
    if kind is PartKind.FILE:
        return (file_of(endpoint),)
    # The same tag may be there twice.
    return dict.fromkeys(filter(None, endpoint.tags)) or ("",)
