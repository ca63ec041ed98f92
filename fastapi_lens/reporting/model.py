"""Results of the read side: frozen values, times in epoch seconds. No SQL, no HTML."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import Self

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.settings.status import SECONDS_PER_DAY, Status
from fastapi_lens.storage.schema.counters import COUNTERS

KEY_DIGITS = 16
ID_BITS = 63

FEWEST_CALLS = 100
"""Calls that two periods must have for their comparison to mean something."""


def key_from_id(identity: int) -> str:
    """The key of an id, which pages use in links."""
    return f"{identity:0{KEY_DIGITS}x}"


def id_from_key(key: str) -> int:
    """The id that a key stands for; -1, which no row has, for a text that is no key."""
    try:
        identity = int(key, 16)
    except ValueError:
        return -1
    return identity if identity < 1 << ID_BITS and key_from_id(identity) == key else -1


@dataclass(frozen=True, slots=True)
class Window:
    """A period of some seconds up to now or up to a time, or everything that is kept.

    Attributes:
        seconds: Length of the window; ``None`` for everything.
        end: Epoch seconds at which it ends; ``None`` for now.
    """

    seconds: int | None = None
    end: int | None = None

    @classmethod
    def of_days(cls, days: float | None) -> "Window":
        """The last N days; ``None`` for everything."""
        return cls(None if days is None else round(days * SECONDS_PER_DAY))

    @classmethod
    def between(cls, start: int, end: int) -> "Window":
        """From one time (epoch seconds) to a later one."""
        return cls(end - start, end)

    def begin(self, now: float) -> int | None:
        """Its start in epoch seconds; ``None`` for everything."""
        end = int(now) if self.end is None else self.end
        return None if self.seconds is None else max(0, end - self.seconds)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Start and end of a window, widened to the edges of the rows that are kept.

    Attributes:
        start: Epoch seconds at the edge of a bucket; ``None`` for everything.
        end: Epoch seconds at the edge of a bucket, not counted itself; ``None`` for up to now.
    """

    start: int | None = None
    end: int | None = None


# Without slots, because `cached_property` needs a `__dict__`.
@dataclass(frozen=True)
class Usage:
    """Sums of the calls of one endpoint in a window.

    Attributes:
        calls: All calls; `redirects` (3xx), `errors_4xx` and `errors_5xx` are among them.
        duration_us: Sum of the durations in microseconds.
        max_us: The longest duration in microseconds; 0 without calls.
        histogram: Durations of the calls; None if they were not read.
    """

    calls: int = 0
    redirects: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    duration_us: int = 0
    max_us: int = 0
    histogram: Histogram | None = Histogram()

    @classmethod
    def of(cls, numbers: Iterable[int], histogram: Histogram | None) -> Self:
        """A usage from its `COUNTERS` in their order, the maximum after them, and its histogram."""
        return cls(**dict(zip(_NUMBERS, numbers, strict=True)), histogram=histogram)

    @property
    def measured(self) -> Histogram:
        """The durations of the calls.

        Raises:
            LookupError: The histogram was not read.
        """
        if self.histogram is None:
            raise LookupError("the histogram of this endpoint was not read")
        return self.histogram

    @property
    def error_share(self) -> float:
        """4xx and 5xx as a share of the calls, from 0 to 1; 0 without calls."""
        return (self.errors_4xx + self.errors_5xx) / self.calls if self.calls else 0.0

    @property
    def share_4xx(self) -> float:
        """4xx as a share of the calls, from 0 to 1; 0 without calls."""
        return self.errors_4xx / self.calls if self.calls else 0.0

    @property
    def share_5xx(self) -> float:
        """5xx as a share of the calls, from 0 to 1; 0 without calls."""
        return self.errors_5xx / self.calls if self.calls else 0.0

    @property
    def avg_ms(self) -> float:
        """Mean duration in milliseconds; 0 without calls."""
        return self.duration_us / self.calls / 1000 if self.calls else 0.0

    @property
    def max_ms(self) -> float:
        """Longest duration in milliseconds; 0 without calls."""
        return self.max_us / 1000

    @cached_property
    def percentiles_ms(self) -> tuple[float, float, float]:
        """p50, p95 and p99 in milliseconds, nearest rank; zeros without calls.

        Raises:
            LookupError: The histogram was not read.
        """
        found = self.measured.quantiles((0.5, 0.95, 0.99), max_ms=self.max_ms)
        return (found[0], found[1], found[2]) if found else (0.0, 0.0, 0.0)

    @staticmethod
    def total(usages: "list[Usage]") -> "Usage":
        """The sum of usages, with a histogram if all have one; no calls for an empty list."""
        if not usages:
            return Usage()
        *added, longest = zip(*map(attrgetter(*_NUMBERS), usages), strict=True)
        read = [usage.histogram for usage in usages if usage.histogram is not None]
        histogram = Histogram.merged(read) if len(read) == len(usages) else None
        return Usage.of([*map(sum, added), max(longest)], histogram)


_NUMBERS = (*COUNTERS, "max_us")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one path template, with its usage in a window.

    Attributes:
        id: 63 bits of SHA-256 of app, method and path.
        key: The id in 16 hexadecimal digits, which pages use in links.
        kind: ``http``, ``websocket`` or ``mount`` (an application whose routes are unknown).
        name: Qualified name of the handler, ``app.routers.users.get_user``; may be empty.
        source: File and line of the handler, ``app/routers/users.py:41``; may be empty.
        summary: First line of the handler's docstring; may be empty.
        first_called_at: Epoch seconds; ``None`` when it was never called.
        last_called_at: Epoch seconds; with an open call, the time of a worker's last report of it.
        total_calls: All calls that have ended, including those that retention has deleted; also 0
            while the first call is still open, or if its worker was killed during it.
        usage: The calls in the window.
        open_connections: Calls whose responses have begun and have not ended.
        open_since: Epoch seconds at which the oldest of them was opened; ``None`` without any.
        before: The calls in the period before; ``None`` if they are not known or were not read.
    """

    id: int
    method: str
    path: str
    kind: str
    name: str
    source: str
    summary: str
    tags: tuple[str, ...]
    deprecated: bool
    first_seen_at: float
    first_called_at: float | None
    last_called_at: float | None
    total_calls: int
    status: Status
    usage: Usage
    open_connections: int = 0
    open_since: float | None = None
    before: "Before | None" = None

    @property
    def key(self) -> str:
        """The id in 16 hexadecimal digits."""
        return key_from_id(self.id)

    @property
    def is_timed(self) -> bool:
        """False if its durations say nothing: a WebSocket lasts as long as it is open."""
        return self.kind != "websocket"

    @property
    def is_comparable(self) -> bool:
        """True if the window and the period before have enough calls for a comparison."""
        found = self.before
        return found is not None and min(found.usage.calls, self.usage.calls) >= FEWEST_CALLS

    @property
    def is_timed_comparable(self) -> bool:
        """The same of durations."""
        return self.is_comparable and self.is_timed

    @property
    def calls_ratio(self) -> float:
        """Calls in the window per call in the period before; 0 without any there."""
        found = self.before
        return self.usage.calls / found.calls if found is not None and found.calls else 0.0

    @property
    def p95_ratio(self) -> float:
        """The p95 of the window as a multiple of that of the period before; 0 without calls there.

        Raises:
            LookupError: One of the histograms was not read.
        """
        was = 0.0 if self.before is None else self.before.usage.percentiles_ms[1]
        return self.usage.percentiles_ms[1] / was if was else 0.0

    def is_slow(self, *, limit_ms: float) -> bool:
        """True if the p95 exceeds a limit; a WebSocket is never slow."""
        return self.is_timed and self.usage.percentiles_ms[1] > limit_ms


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a time series.

    Attributes:
        start: Start in epoch seconds, of the step or of the window inside it.
        end: End in epoch seconds, of the step or of the window; it may lie in the future.
        usage: Its calls; no calls if nothing was recorded.
        divides: True if finer rows of it are kept, so that it can be zoomed into.
    """

    start: int
    end: int
    usage: Usage
    divides: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Calls of one endpoint over time, without gaps.

    Attributes:
        step_seconds: Length of each step.
        points: Oldest first; the last step of a window that ends now is not over.
    """

    step_seconds: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """Calls of an endpoint in the period before a window, which is as long as the window.

    Attributes:
        start: Start in epoch seconds, to the precision of the rows that are kept.
        end: End in epoch seconds, which is the start of the window, to the same precision.
        seconds: Length of the window that it is compared with; its own may differ by a tenth.
    """

    start: int
    end: int
    seconds: int
    usage: Usage

    @property
    def calls(self) -> float:
        """Calls, scaled to the exact length of the window."""
        return self.usage.calls * self.seconds / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class AppBefore:
    """Calls of all endpoints in the period before a window.

    Attributes:
        start: Start in epoch seconds, to the precision of the rows that are kept.
        end: End in epoch seconds, which is the start of the window, to the same precision.
        seconds: Length of the window that it is compared with; its own may differ by a tenth.
        usages: Calls by endpoint, without histograms; endpoints without calls are missing.
    """

    start: int
    end: int
    seconds: int
    usages: Mapping[int, Usage]

    def of(self, endpoints: "Iterable[Endpoint]") -> Before:
        """The calls of some endpoints together; the histogram if all have been read."""
        found = [self.usages[one.id] for one in endpoints if one.id in self.usages]
        return Before(self.start, self.end, self.seconds, Usage.total(found))

    def of_one(self, endpoint: "Endpoint") -> Before | None:
        """The calls of one endpoint; None if it did not exist when the period began."""
        if endpoint.first_seen_at > self.start:
            return None
        return Before(self.start, self.end, self.seconds, self.usages.get(endpoint.id, Usage()))


@dataclass(frozen=True, slots=True)
class WeekHours:
    """Calls of an endpoint by hour of the week, beginning on Monday at 00:00 UTC.

    Attributes:
        start: Start of the observation in epoch seconds.
        end: Start of the present hour, which is not over and not included.
        calls: Calls in each hour of the week, 168 numbers.
        hours: Number of observations of each hour of the week, 168 numbers.
    """

    start: int
    end: int
    calls: tuple[int, ...]
    hours: tuple[int, ...]

    def mean(self, hour: int) -> float | None:
        """Average calls in an hour of the week; ``None`` if that hour was not observed yet."""
        return self.calls[hour] / self.hours[hour] if self.hours[hour] else None


@dataclass(frozen=True, slots=True)
class Detail:
    """One endpoint with everything that its page shows about its calls.

    Attributes:
        endpoint: The endpoint with its usage in the window.
        codes: Status codes with their calls, most frequent first.
        series: Its calls over time.
        before: Its calls in the period before; None if they are not known.
        week: Its calls by hour of the week, from all hours that are kept.
    """

    endpoint: Endpoint
    codes: list[tuple[int, int]]
    series: Series
    before: Before | None
    week: WeekHours


@dataclass(frozen=True, slots=True)
class Health:
    """Health of the recording, for the footer of every page.

    Attributes:
        complete_to: Epoch seconds up to which every live worker has written; ``None`` before
            the first flush.
        workers: Workers seen within the last minute.
        dropped: Calls dropped since recording began.
        database_bytes: Size of the database; ``None`` if unknown.
        core_share: Average recent share of one core, from 0 to 1, that the lens uses in a worker;
            ``None`` before it was measured.
    """

    complete_to: float | None
    workers: int
    dropped: int
    database_bytes: int | None
    core_share: float | None


class WorkerState(StrEnum):
    """State of a worker."""

    RUNNING = "running"
    SILENT = "silent"
    ENDED = "ended"
    KILLED = "killed"


CLOCK_TOLERANCE_SECONDS = 5.0
"""Difference between a worker's clock and the database's beyond which it is shown as wrong."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that records an app, or has recorded it.

    Attributes:
        release: The host application's version; empty if not set.
        started_at: Epoch seconds by the reader's clock, as is `seen_at`.
        seen_at: Epoch seconds of its last heartbeat.
        pending: Calls that waited in its memory then.
        dropped: Calls that it has dropped.
        flush_ms: Milliseconds that its latest flush took; 0.0 before the first.
        interval_seconds: Seconds between two of its flushes; longer than configured while the inbox
            is emptied more slowly than it is filled.
        core_share: Recent share of one core, from 0 to 1, that the thread of its lens uses;
            ``None`` before it was measured.
        clock_ahead_seconds: Lead of its clock over the database's, negative if it is
            behind; ``None`` if unknown.
    """

    host: str
    pid: int
    release: str
    state: WorkerState
    started_at: float
    seen_at: float
    pending: int
    dropped: int
    flush_ms: float
    interval_seconds: float
    core_share: float | None
    clock_ahead_seconds: float | None

    @property
    def clock_is_off(self) -> bool:
        """True if its clock is off by more than the tolerance."""
        return abs(self.clock_ahead_seconds or 0.0) >= CLOCK_TOLERANCE_SECONDS
