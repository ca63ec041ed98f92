"""What the read side answers with: frozen values, times in epoch seconds. No SQL, no HTML."""

from collections.abc import Iterable
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


def key_from_id(identity: int) -> str:
    """An id as pages link it."""
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
    """N seconds up to now or up to a moment, or everything that is kept.

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
        """From one moment (epoch seconds) to a later one."""
        return cls(end - start, end)

    def begin(self, now: float) -> int | None:
        """The second in which it begins, counted from the epoch; ``None`` for everything."""
        end = int(now) if self.end is None else self.end
        return None if self.seconds is None else max(0, end - self.seconds)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a window begins and ends once the rows that are kept have widened it.

    Attributes:
        start: Epoch seconds at the edge of a bucket; ``None`` for everything.
        end: Epoch seconds at the edge of a bucket, not counted itself; ``None`` for up to now.
    """

    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Usage:
    """Calls of one endpoint in a window, added up.

    Attributes:
        calls: All calls; `redirects` (3xx), `errors_4xx` and `errors_5xx` are among them.
        duration_us: Sum of the durations in microseconds.
        max_us: The longest duration in microseconds; 0 without calls.
        histogram: How long the calls took; None where that was not read.
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
        """A usage of its `COUNTERS` in their order, the maximum after them, and its histogram."""
        return cls(**dict(zip(_NUMBERS, numbers, strict=True)), histogram=histogram)

    @property
    def measured(self) -> Histogram:
        """How long the calls took.

        Raises:
            LookupError: That was not read.
        """
        if self.histogram is None:
            raise LookupError("how long the calls of this endpoint took was not read")
        return self.histogram

    @property
    def error_share(self) -> float:
        """4xx and 5xx as a share of the calls, from 0 to 1; 0 without calls."""
        return (self.errors_4xx + self.errors_5xx) / self.calls if self.calls else 0.0

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
            LookupError: It was not read how long the calls took.
        """
        found = self.measured.quantiles((0.5, 0.95, 0.99), max_ms=self.max_ms)
        return (found[0], found[1], found[2]) if found else (0.0, 0.0, 0.0)

    @staticmethod
    def total(usages: "list[Usage]") -> "Usage":
        """All of them together, with a histogram where all have one; no calls of an empty list."""
        if not usages:
            return Usage()
        *added, longest = zip(*map(attrgetter(*_NUMBERS), usages), strict=True)
        read = [usage.histogram for usage in usages if usage.histogram is not None]
        histogram = Histogram.merged(read) if len(read) == len(usages) else None
        return Usage.of([*map(sum, added), max(longest)], histogram)


_NUMBERS = (*COUNTERS, "max_us")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one path template, with what it did in a window.

    Attributes:
        id: 63 bits of SHA-256 of app, method and path.
        key: The id in 16 hexadecimal digits, as pages link it.
        kind: ``http``, ``websocket`` or ``mount`` (an application that the lens cannot see into).
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

    @property
    def key(self) -> str:
        """The id in 16 hexadecimal digits."""
        return key_from_id(self.id)

    def is_slow(self, *, limit_ms: float) -> bool:
        """Whether the p95 lies above a limit; a WebSocket is open for long, and never slow."""
        return self.kind != "websocket" and self.usage.percentiles_ms[1] > limit_ms


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a time series.

    Attributes:
        start: Epoch seconds at which the step begins, or the window inside of it.
        end: Epoch seconds at which it ends, or the window does; it may lie ahead.
        usage: The calls in it; no calls where nothing was recorded.
        divides: Whether finer rows of it are kept, so that it can be looked into.
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
        points: Oldest first; the last one of a window that ends now is still filling.
    """

    step_seconds: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """What an endpoint did in the period before a window, which is as long as the window is.

    Attributes:
        start: Epoch seconds at which it begins, to the precision of the rows that are kept.
        end: Epoch seconds at which it ends: where the window begins, to the same precision.
        seconds: Length of the window that it is compared with; its own may differ by a tenth.
    """

    start: int
    end: int
    seconds: int
    usage: Usage

    @property
    def calls(self) -> float:
        """As many calls as it would have had, were it exactly as long as the window."""
        return self.usage.calls * self.seconds / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class WeekHours:
    """When an endpoint is called: hours of the week, the first one Monday from 00:00 UTC.

    Attributes:
        start: Epoch seconds from which on hours were looked at.
        end: Epoch seconds of the present hour, which is not over and not in it.
        calls: Calls in each hour of the week, 168 numbers.
        hours: How often each of them was looked at, 168 numbers.
    """

    start: int
    end: int
    calls: tuple[int, ...]
    hours: tuple[int, ...]

    def mean(self, hour: int) -> float | None:
        """Calls in an hour of the week, on average; ``None`` when none was looked at yet."""
        return self.calls[hour] / self.hours[hour] if self.hours[hour] else None


@dataclass(frozen=True, slots=True)
class Detail:
    """One endpoint with everything that its page shows of its calls.

    Attributes:
        endpoint: With what it did in the window.
        codes: Status codes and how many calls had them, most frequent first.
        series: What it did over time.
        before: What it did in the period before; None where nobody can tell.
        week: When it is called, from all the hours that are kept.
    """

    endpoint: Endpoint
    codes: list[tuple[int, int]]
    series: Series
    before: Before | None
    week: WeekHours


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the numbers can be trusted, for the footer of every page.

    Attributes:
        complete_to: Epoch seconds up to which every live worker has written; ``None`` before
            the first flush.
        workers: Workers seen within the last minute.
        dropped: Calls that were counted as lost, ever.
        database_bytes: Size of the database; ``None`` where it cannot be told.
        core_share: Share of one core, from 0 to 1, that the lens used lately in each worker, on
            average; ``None`` before it was measured.
    """

    complete_to: float | None
    workers: int
    dropped: int
    database_bytes: int | None
    core_share: float | None


class WorkerState(StrEnum):
    """What is known of a worker."""

    RUNNING = "running"
    SILENT = "silent"
    ENDED = "ended"
    KILLED = "killed"


CLOCK_TOLERANCE_SECONDS = 5.0
"""So far a worker's clock may be from the database's before it is shown as wrong."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that records an app, or has.

    Attributes:
        release: The host's version; empty where none is set.
        started_at: Epoch seconds by the reader's clock, as is `seen_at`.
        seen_at: Epoch seconds at which it was last heard of.
        pending: Calls that waited in its memory then.
        dropped: Calls that it has lost.
        flush_ms: Milliseconds that its latest flush took; 0.0 before the first.
        interval_seconds: Seconds between two of its flushes; longer than set while what was flushed
            is not added up as fast.
        core_share: Share of one core, from 0 to 1, that the thread of its lens used lately;
            ``None`` before it was measured.
        clock_ahead_seconds: How far its clock is ahead of the database's, negative where it is
            behind; ``None`` where nobody can tell.
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
        """Whether its clock is so wrong that it shows."""
        return abs(self.clock_ahead_seconds or 0.0) >= CLOCK_TOLERANCE_SECONDS
