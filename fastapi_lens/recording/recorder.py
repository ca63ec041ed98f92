"""Counting calls in memory, in the request's own thread. Knows no SQL and never waits.

A call costs its request one `list.append`: one call of C, and so atomic under the interpreter
lock, whichever threads serve requests. Whoever folds takes the front of the list, one slice and
one deletion, so what is appended meanwhile stays behind for the next time; sums and histograms
are touched under a lock that a request never waits for.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fastapi_lens.histogram.histogram import add_durations
from fastapi_lens.recording.calls.call_cache import CallCache
from fastapi_lens.recording.calls.open_calls import OpenCalls
from fastapi_lens.recording.log.request_log import NEVER_SLOW, RequestLog

KNOWN_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
    | {"WEBSOCKET", "ANY"}
)
OTHER_METHOD = "_OTHER"
KNOWN_STATUSES = range(100, 1_000)
SERVER_ERROR = 500
UNMAPPED = "<unmapped>"
OVERFLOW = "<overflow>"
MAX_SERIES = 10_000
FOLD_AT = 32
"""Durations that wait in a series at most; the call that makes them so many folds them."""


def known_method(method: str) -> str:
    """The name under which a method that no route declares is counted."""
    return method if method in KNOWN_METHODS else OTHER_METHOD


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What calls are counted by.

    Attributes:
        method: One that a route declares, ``WEBSOCKET``, ``ANY`` for a mount, or `OTHER_METHOD`.
        path: The full path template.
        status: The HTTP status code; of a WebSocket 101, or the code it was refused with.
    """

    method: str
    path: str
    status: int


class Series:
    """The calls of one key.

    Attributes:
        slow_ns: A call that takes longer is worth a look of the request log.
        recent: Durations in nanoseconds that are not folded yet.
        lanes: Calls per histogram bucket since the last drain, of those that are folded; so are
            their sum and their maximum.
    """

    __slots__ = (
        "duration_ns",
        "first_at",
        "key",
        "lanes",
        "last_at",
        "max_ns",
        "recent",
        "slow_ns",
    )

    def __init__(self, key: SeriesKey, first_at: float, slow_ns: int) -> None:
        """Start with no calls."""
        self.key = key
        self.slow_ns = slow_ns
        self.first_at = self.last_at = first_at
        self.recent: list[int] = []
        self.clear()

    def clear(self) -> None:
        """Forget what is folded."""
        self.lanes: dict[int, int] = {}
        self.duration_ns = self.max_ns = 0

    def fold(self) -> None:
        """Add what waits to the sums; one thread at a time."""
        waiting = len(self.recent)
        if waiting:
            durations = self.recent[:waiting]
            del self.recent[:waiting]
            self.duration_ns += sum(durations)
            self.max_ns = max(self.max_ns, *durations)
            add_durations(self.lanes, durations)


class SeriesDelta(NamedTuple):
    """The calls of one key since the last drain.

    Attributes:
        lanes: Calls per histogram bucket.
        duration_ns: Sum of the durations.
        max_ns: The longest duration.
        first_at: Epoch seconds of the first call that this process ever counted for the key.
        last_at: Epoch seconds of the last call.
    """

    key: SeriesKey
    lanes: dict[int, int]
    duration_ns: int
    max_ns: int
    first_at: float
    last_at: float


class Recorder:
    """Counts calls per method, path template and status code.

    Args:
        clock: Epoch seconds, for first and last calls.
        max_series: Further keys share one overflow series per status.

    Attributes:
        cache: For the middleware: what it has resolved.
        log: What is kept of single calls.
        open_calls: Calls whose responses have begun and which are not counted yet.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, max_series: int = MAX_SERIES
    ) -> None:
        """Start with no calls."""
        self.clock = clock
        self.log = RequestLog(clock)
        self.open_calls = OpenCalls()
        self.cache = CallCache()
        self._max_series = max_series
        self._series: dict[SeriesKey, Series] = {}
        self._folding = threading.Lock()

    def series(self, method: str, path: str, status: int) -> Series:
        """The series to count such calls in, made when missing.

        A status that HTTP does not know counts as a server error: a column of the database
        could not hold it, and all that was counted beside it would wait for ever.

        Args:
            method: One that a route declares, or the result of `known_method`, since clients may
                send any number of others.
            path: The full path template.
            status: Status of the response.
        """
        status = status if status in KNOWN_STATUSES else SERVER_ERROR
        key = SeriesKey(method, path, status)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= self._max_series:
                key = SeriesKey("ANY", OVERFLOW, status)
            found = self._series.setdefault(key, Series(key, self.clock(), self.log.first_slow_ns))
        return found

    def add(self, series: Series, duration_ns: int) -> None:
        """Count one call that has just ended.

        Args:
            series: What `series` gave.
            duration_ns: Nanoseconds, not negative.
        """
        series.last_at = self.clock()
        recent = series.recent
        recent.append(duration_ns)
        # Who finds the lock taken leaves the work to the next call, or to the drain.
        if len(recent) >= FOLD_AT and self._folding.acquire(blocking=False):
            try:
                series.fold()
            finally:
                self._folding.release()

    def count(self, *, method: str, path: str, status: int, duration_ns: int) -> None:
        """Count one call of an endpoint that is known by its template."""
        self.add(self.series(known_method(method), path, status), duration_ns)

    def relax(self) -> None:
        """Let calls of every series be slow again that were not while it was slower."""
        for series in list(self._series.values()):
            first = self.log.first_slow_ns
            # Nothing is slow while the log keeps no slow ones.
            series.slow_ns = first or (0 if series.slow_ns == NEVER_SLOW else series.slow_ns // 2)

    @property
    def waiting_calls(self) -> int:
        """Calls that no drain has taken yet."""
        with self._folding:
            waiting = list(self._series.values())
            return sum(len(one.recent) + sum(one.lanes.values()) for one in waiting)

    def drain(self) -> list[SeriesDelta]:
        """What was counted since the last drain; each call comes out exactly once.

        Called by the flusher alone, from any thread.
        """
        return [
            delta
            for key in list(self._series)
            if (delta := self._drain_series(key, self._series[key])) is not None
        ]

    def _drain_series(self, key: SeriesKey, series: Series) -> SeriesDelta | None:
        with self._folding:
            series.fold()
            if not series.lanes:
                return None
            delta = SeriesDelta(
                key=key,
                lanes=series.lanes,
                duration_ns=series.duration_ns,
                max_ns=series.max_ns,
                first_at=series.first_at,
                last_at=series.last_at,
            )
            series.clear()
            return delta
