"""Counting calls in memory, in the request's own thread. Knows no SQL and never waits.

A call costs its request one `list.append`: one call of C, and so atomic under the interpreter
lock, whichever threads serve requests. Whoever folds takes the front of the list, one slice and
one deletion, so what is appended meanwhile stays behind for the next time; sums and histograms
are touched under a lock that a request never waits for.
"""

import threading
import time
from collections.abc import Callable

from fastapi_lens.recording.calls.call_cache import CallCache
from fastapi_lens.recording.calls.open_calls import OpenCalls
from fastapi_lens.recording.log.request_log import NEVER_SLOW, RequestLog
from fastapi_lens.recording.series import (
    KNOWN_STATUSES,
    OVERFLOW,
    SERVER_ERROR,
    Series,
    SeriesDelta,
    SeriesKey,
    known_method,
)

MAX_SERIES = 10_000
FOLD_THRESHOLD = 32
"""Durations that wait in a series at most; the call that makes them so many folds them."""


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
        if len(recent) >= FOLD_THRESHOLD and self._folding.acquire(blocking=False):
            try:
                series.fold()
            finally:
                self._folding.release()

    def count(self, *, method: str, path: str, status: int, duration_ns: int) -> None:
        """Count one call of an endpoint that is known by its template."""
        self.add(self.series(known_method(method), path, status), duration_ns)

    def decay_slow_threshold(self) -> None:
        """Let calls of every series be slow again that were not while it was slower."""
        for series in list(self._series.values()):
            first = self.log.first_slow_ns
            # Nothing is slow while the log keeps no slow ones.
            series.slow_ns = first or (0 if series.slow_ns == NEVER_SLOW else series.slow_ns // 2)

    def forget_matches(self) -> None:
        """Resolve each kind of call anew, because the settings have changed."""
        self.cache = CallCache()

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
