"""Types that recording passes to storage: counted calls in batches. No SQL, no I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import Tier

TIERS = (Tier.MINUTE, Tier.HOUR, Tier.DAY, Tier.WEEK)

BucketKey = tuple[int, int, int]
"""Tier in seconds, number of the bucket since the epoch, endpoint id."""

StatusKey = tuple[int, int, int]
"""Day since the epoch, endpoint id, status code."""


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """An endpoint as the app's routes describe it.

    Attributes:
        tags: Tags in the order of the route.
        seen_at_us: Time of its discovery, in microseconds since the epoch.
    """

    id: int
    app: str
    method: str
    path: str
    kind: str = "http"
    name: str = ""
    source: str = ""
    summary: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    seen_at_us: int = 0


class Delta(NamedTuple):
    """Sum of the calls of one endpoint with one status code in one minute.

    Attributes:
        minute: Minutes since the epoch.
        duration_us: Sum of the durations in microseconds.
        first_at_us: Microseconds since the epoch of the first of the calls, or earlier.
    """

    endpoint_id: int
    minute: int
    status: int
    calls: int
    duration_us: int
    max_us: int
    first_at_us: int
    last_at_us: int
    histogram: Histogram

    @classmethod
    def sum_of(cls, deltas: "Sequence[Delta]") -> "Delta":
        """The sum of at least one delta, all of the same endpoint, minute and status."""
        if len(deltas) == 1:
            return deltas[0]
        return deltas[0]._replace(
            calls=sum(delta.calls for delta in deltas),
            duration_us=sum(delta.duration_us for delta in deltas),
            max_us=max(delta.max_us for delta in deltas),
            first_at_us=min(delta.first_at_us for delta in deltas),
            last_at_us=max(delta.last_at_us for delta in deltas),
            histogram=Histogram.merged(delta.histogram for delta in deltas),
        )

    def at_minute(self, minute: int) -> "Delta":
        """The same calls, booked to another minute."""
        return self._replace(minute=minute)


class Use(NamedTuple):
    """An endpoint in use: responses to some of its calls have begun and have not ended.

    Attributes:
        connections: Number of open calls; at least 1.
        since_us: Time at which the oldest was opened, in microseconds since the epoch.
        until_us: Time of this observation, in microseconds since the epoch.
    """

    endpoint_id: int
    connections: int
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes of one transaction: calls, uses, or both.

    Attributes:
        seq: Number of the batch in its worker, 1 for the first.
        uses: Advance the last call of their endpoints, and count no call.
        open_calls: The worker's open calls, see `storage.writing.open_calls`; None if unchanged.
        ahead_us: A stored last call after this time, in microseconds since the epoch, came from a
            wrong clock and is overwritten.
        since_us: All counts of the worker before this time, in microseconds since the epoch, are
            in earlier batches.
    """

    seq: int
    deltas: tuple[Delta, ...] = ()
    uses: tuple[Use, ...] = ()
    open_calls: str | None = None
    ahead_us: int = (1 << 63) - 1
    since_us: int = 0

    @property
    def calls(self) -> int:
        """Its number of calls."""
        return sum(delta.calls for delta in self.deltas)


@dataclass(slots=True)
class BucketSum:
    """The increments of one bucket row."""

    calls: int = 0
    redirects: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    duration_us: int = 0
    max_us: int = 0
    histogram: Histogram = Histogram()

    def add(self, delta: Delta) -> None:
        """Add the calls of a delta, by the class of its status."""
        self.calls += delta.calls
        match delta.status // 100:
            case 3:
                self.redirects += delta.calls
            case 4:
                self.errors_4xx += delta.calls
            case 5:
                self.errors_5xx += delta.calls
            case _:
                pass
        self.duration_us += delta.duration_us
        self.max_us = max(self.max_us, delta.max_us)
        self.histogram += delta.histogram


def bucket_sums(deltas: Iterable[Delta]) -> dict[BucketKey, BucketSum]:
    """The increments of each row ``(tier, bucket, endpoint id)`` of all tiers."""
    sums: dict[BucketKey, BucketSum] = {}
    for delta in yield_gil(deltas):
        for seconds, minutes in _MINUTES.items():
            key = (seconds, delta.minute // minutes, delta.endpoint_id)
            found = sums.get(key)
            if found is None:
                found = sums[key] = BucketSum()
            found.add(delta)
    return sums


_MINUTES = {tier.value: tier // Tier.MINUTE for tier in TIERS}
"""Minutes of a bucket of each tier."""


def status_sums(deltas: Iterable[Delta]) -> dict[StatusKey, int]:
    """The increments of each row ``(day, endpoint id, status)``."""
    sums: dict[StatusKey, int] = {}
    for delta in deltas:
        key = (delta.minute * Tier.MINUTE // Tier.DAY, delta.endpoint_id, delta.status)
        sums[key] = sums.get(key, 0) + delta.calls
    return sums
