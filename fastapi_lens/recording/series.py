"""Counts of one method, path template and status code."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from fastapi_lens.histogram.histogram import add_durations

KNOWN_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
    | {"WEBSOCKET", "ANY"}
)


# A method that clients have invented must not create a series of its own.
OTHER_METHOD = "_OTHER"


KNOWN_STATUSES = range(100, 1_000)


SERVER_ERROR = 500


# No template can have this name, because each begins with a slash.
UNMAPPED = "<unmapped>"


OVERFLOW = "<overflow>"


class Agent:
    """A User-Agent header; one object stands for all equal headers, so that its hash is free.

    Attributes:
        header: The beginning of the header.
    """

    __slots__ = ("header",)

    def __init__(self, header: bytes) -> None:
        """Keep it."""
        self.header = header


class Beyond(Enum):
    """The caller of calls that are beyond the bounds."""

    BOUNDS = 0


OTHERS = Beyond.BOUNDS

CallerValue: TypeAlias = str | bytes | Agent | Beyond | None
"""A caller as its request names it: a text of the host's hook, the bytes of a key, a User-Agent,
`OTHERS`, or None without a name."""


def known_method(method: str) -> str:
    """The name under which a method that no route declares is counted."""
    return method if method in KNOWN_METHODS else OTHER_METHOD


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Key that calls are counted under.

    Attributes:
        method: A method of a route, ``WEBSOCKET``, ``ANY`` for a mount, or `OTHER_METHOD`.
        path: The full path template.
        status: The HTTP status code; of a WebSocket 101, or the code it was refused with.
    """

    method: str
    path: str
    status: int


class CallerCounts(dict[CallerValue, int]):
    """Calls by their callers. Its text has none of them, because some are secret keys."""

    def __repr__(self) -> str:
        """Their number."""
        return f"<calls of {len(self)} callers>"


class Series:
    """The calls of one key.

    Attributes:
        slow_ns: The request log looks at calls that take longer.
        recent: Durations in nanoseconds that are not folded yet.
        buckets: Folded calls per histogram bucket since the last drain; their sum and maximum are
            kept beside it.
        callers: Callers of calls that are not folded yet.
        named: Folded calls by their callers since the last drain.
        ahead: Calls whose callers were drained before they were counted themselves.
    """

    __slots__ = (
        "ahead",
        "buckets",
        "callers",
        "duration_ns",
        "first_at",
        "key",
        "last_at",
        "max_ns",
        "named",
        "recent",
        "slow_ns",
    )

    def __init__(self, key: SeriesKey, first_at: float, slow_ns: int) -> None:
        """Start with no calls."""
        self.key = key
        self.slow_ns = slow_ns
        self.first_at = self.last_at = first_at
        self.recent: list[int] = []
        self.callers: list[CallerValue] = []
        self.named = CallerCounts()
        self.ahead = 0
        self.clear()

    def clear(self) -> None:
        """Reset the folded counts."""
        self.buckets: dict[int, int] = {}
        self.duration_ns = self.max_ns = 0

    def fold(self) -> None:
        """Add the waiting durations to the sums; one thread at a time."""
        waiting = len(self.recent)
        if waiting:
            durations = self.recent[:waiting]
            del self.recent[:waiting]
            self.duration_ns += sum(durations)
            self.max_ns = max(self.max_ns, *durations)
            add_durations(self.buckets, durations)


class SeriesDelta(NamedTuple):
    """The calls of one key since the last drain.

    Attributes:
        buckets: Calls per histogram bucket.
        duration_ns: Sum of the durations.
        max_ns: The longest duration.
        first_at: Epoch seconds of the first call that this process ever counted for the key.
        last_at: Epoch seconds of the last call.
        callers: Calls by their callers, which may be one too many while a call is being counted.
        is_attributed: True if the caller of each of the calls is here or in an earlier delta.
    """

    key: SeriesKey
    buckets: dict[int, int]
    duration_ns: int
    max_ns: int
    first_at: float
    last_at: float
    callers: Mapping[CallerValue, int] = MappingProxyType({})
    is_attributed: bool = False
