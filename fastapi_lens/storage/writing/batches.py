"""Types that recording passes to storage: counted calls in batches. No SQL, no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import CallerKind, Tier
from fastapi_lens.verdict.history import REFUSED

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
        overrides: Its valid overrides in code as JSON, see `verdict.overrides.as_text`; None if it
            has none.
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
    overrides: str | None = None


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


class CallerFacts(NamedTuple):
    """A caller, as its requests name it.

    Attributes:
        id: See `identities.caller_id`.
        name: As `CallerRow` has it; of a key its keyed hash, never the key.
        key_id: Of a key, the id of the hash's key, see `caller_key.key_id`. If that is not the
            present one any more, the calls are counted under `OTHERS_ID`; 0 is not compared.
    """

    id: int
    kind: CallerKind
    name: str
    key_id: int = 0


class CallerCalls(NamedTuple):
    """The calls of one endpoint by one caller on one day, since the batch before.

    Attributes:
        caller_id: `OTHERS_ID` for callers beyond the bounds.
        day: Days since the epoch, UTC.
        calls: All of them; 0 for calls that are still open.
        refused: Those with a status of `verdict.history.REFUSED`.
        errors_5xx: Those with a status of 500 or above.
        first_at_us: Time of the first call that was not refused, or up to a minute earlier, in
            microseconds since the epoch; 0 if all were refused.
        last_at_us: Time of the last such call, or up to a minute later; 0 if all were refused.
    """

    endpoint_id: int
    caller_id: int
    day: int
    calls: int
    refused: int
    errors_5xx: int
    first_at_us: int
    last_at_us: int


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
        release_id: The release of the worker, see `identities.release_id`; 0 if it is unknown.
        is_attributed: True if the callers of all its calls and uses are in `callers`, or in those
            of an earlier batch.
        callers: The calls by endpoint, caller and day.
        names: The callers in `callers`, but `OTHERS_ID`.
    """

    seq: int
    deltas: tuple[Delta, ...] = ()
    uses: tuple[Use, ...] = ()
    open_calls: str | None = None
    # The largest BIGINT: by default no stored time counts as wrong.
    ahead_us: int = (1 << 63) - 1
    since_us: int = 0
    release_id: int = 0
    is_attributed: bool = False
    callers: tuple[CallerCalls, ...] = ()
    names: tuple[CallerFacts, ...] = ()

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
        # Successes are the rest of all calls, so they have no counter.
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


@dataclass(slots=True)
class EndpointChange:
    """The change of one endpoint's row.

    Attributes:
        calls: Calls to add.
        first_at_us: Time of the first call, in microseconds since the epoch.
        last_at_us: Time of the last call.
        used_at_us: Time of the last call that was no refusal; 0 if there is none.
        first_release: The release that recorded the first call; 0 if it is unknown.
        last_release: The same of the last call.
        is_attributed: True if some of the calls were attributed to callers.
        unattributed_at_us: Time of the last of those that were not; 0 if there is none.
    """

    calls: int
    first_at_us: int
    last_at_us: int
    used_at_us: int
    first_release: int
    last_release: int
    is_attributed: bool = False
    unattributed_at_us: int = 0

    def add(self, other: "EndpointChange") -> None:
        """Add another change of the same endpoint."""
        self.calls += other.calls
        if other.first_at_us < self.first_at_us:
            self.first_at_us, self.first_release = other.first_at_us, other.first_release
        if other.last_at_us > self.last_at_us:
            self.last_at_us, self.last_release = other.last_at_us, other.last_release
        self.used_at_us = max(self.used_at_us, other.used_at_us)
        self.is_attributed |= other.is_attributed
        self.unattributed_at_us = max(self.unattributed_at_us, other.unattributed_at_us)


def endpoint_changes(batches: Iterable[Batch]) -> dict[int, EndpointChange]:
    """The changes of each endpoint, by id."""
    changes: dict[int, EndpointChange] = {}
    for batch in batches:
        releases = batch.release_id, batch.release_id
        for endpoint, calls, first, last, used in _spans(batch):
            unattributed = 0 if batch.is_attributed else last
            change = EndpointChange(
                calls, first, last, used, *releases, batch.is_attributed, unattributed
            )
            found = changes.setdefault(endpoint, change)
            if found is not change:
                found.add(change)
    return changes


def _spans(batch: Batch) -> Iterator[tuple[int, int, int, int, int]]:
    """Endpoint, calls, first call, last call and last use of each part of a batch."""
    for one in batch.deltas:
        # Whoever gets nothing but refusals loses nothing when the endpoint goes.
        used = 0 if one.status in REFUSED else one.last_at_us
        yield one.endpoint_id, one.calls, one.first_at_us, one.last_at_us, used
    for use in batch.uses:
        # Open calls count only when they end. Whatever their status, the endpoint is in use.
        yield use.endpoint_id, 0, use.since_us, use.until_us, use.until_us


def bucket_sums(deltas: Iterable[Delta]) -> dict[BucketKey, BucketSum]:
    """The increments of each row ``(tier, bucket, endpoint id)`` of all tiers."""
    sums: dict[BucketKey, BucketSum] = {}
    for delta in yield_gil(deltas):
        # Each tier is summed up anew, because the finer rows are deleted first.
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
