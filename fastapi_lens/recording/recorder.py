"""Counts of calls in memory, added in the request's own thread. Knows no SQL and never waits.

A call costs its request one `list.append`: one C call, and so atomic under the interpreter lock,
whichever threads serve requests. Folding takes the front of the list with one slice and one
deletion, so that durations appended meanwhile stay for the next time. Sums and histograms are
changed under a lock that a request never waits for.
"""

import threading
import time
from collections.abc import Callable

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.recording.callers import FOLD_CALLERS_THRESHOLD, Callers
from fastapi_lens.recording.calls.call_cache import CallCache
from fastapi_lens.recording.calls.open_calls import OpenCalls
from fastapi_lens.recording.log.request_log import NEVER_SLOW, UNKNOWN, RequestLog, Unknown
from fastapi_lens.recording.log.unrouted_calls import UnroutedCalls
from fastapi_lens.recording.series import (
    KNOWN_STATUSES,
    OVERFLOW,
    SERVER_ERROR,
    CallerValue,
    Series,
    SeriesDelta,
    SeriesKey,
    known_method,
)

MAX_SERIES = 10_000
FOLD_THRESHOLD = 32
"""Number of waiting durations at which a call folds them into the sums."""


class Recorder:
    """Counts calls per method, path template and status code.

    Args:
        clock: Epoch seconds, for first and last calls.
        max_series: Limit beyond which further keys share one overflow series per status.

    Attributes:
        cache: For the middleware: resolved calls.
        log: The request log.
        unrouted: Calls that no route matched.
        callers: Names of the callers of calls.
        open_calls: Calls whose responses have begun and which are not counted yet.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, max_series: int = MAX_SERIES
    ) -> None:
        """Start with no calls."""
        self.clock = clock
        self.log = RequestLog(clock)
        self.unrouted = UnroutedCalls(clock)
        self.callers = Callers()
        self.open_calls = OpenCalls()
        self.cache = CallCache()
        self._max_series = max_series
        self._series: dict[SeriesKey, Series] = {}
        self._folding = threading.Lock()

    def apply(self, config: LensConfig) -> None:
        """Use these settings from now on."""
        self.log.apply(config)
        self.callers.apply(config)

    def series(self, method: str, path: str, status: int) -> Series:
        """The series of such calls, created if it does not exist.

        A status outside HTTP's range counts as a server error: a column of the database could not
        hold it, and the other counts of its batch would never be written.

        Args:
            method: A method that a route declares, or the result of `known_method`, because clients
                may send any number of others.
            path: The full path template.
            status: Status of the response.
        """
        status = status if status in KNOWN_STATUSES else SERVER_ERROR
        key = SeriesKey(method, path, status)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= self._max_series:
                key = SeriesKey("ANY", OVERFLOW, status)
            # Atomic, because two threads may need the same series at the same time.
            found = self._series.setdefault(key, Series(key, self.clock(), self.log.first_slow_ns))
        return found

    def add(self, series: Series, duration_ns: int) -> None:
        """Count one call that has just ended.

        Args:
            series: The result of `series`.
            duration_ns: Nanoseconds, not negative.
        """
        series.last_at = self.clock()
        recent = series.recent
        recent.append(duration_ns)
        # If the lock is taken, the next call or the drain does the work.
        if len(recent) >= FOLD_THRESHOLD and self._folding.acquire(blocking=False):
            try:
                series.fold()
                if len(series.callers) >= FOLD_CALLERS_THRESHOLD:
                    self.callers.fold(series)
            finally:
                self._folding.release()

    def count(
        self,
        *,
        method: str,
        path: str,
        status: int,
        duration_ns: int,
        caller: CallerValue | Unknown = UNKNOWN,
    ) -> None:
        """Count one call of an endpoint that is known by its template.

        Args:
            method: As clients send it.
            path: The template.
            status: Status of the response.
            duration_ns: Nanoseconds, not negative.
            caller: By default it is not recorded.
        """
        series = self.series(known_method(method), path, status)
        if caller is not UNKNOWN:
            series.callers.append(caller)
        self.add(series, duration_ns)

    def decay_slow_threshold(self) -> None:
        """Halve the slow threshold of every series, so that calls count as slow again."""
        for series in list(self._series.values()):
            first = self.log.first_slow_ns
            # No call is slow while the log keeps no slow calls.
            series.slow_ns = first or (0 if series.slow_ns == NEVER_SLOW else series.slow_ns // 2)

    def forget_matches(self) -> None:
        """Resolve each kind of call anew, because the settings have changed."""
        self.cache = CallCache()

    @property
    def waiting_calls(self) -> int:
        """Calls that no drain has taken yet."""
        with self._folding:
            waiting = list(self._series.values())
            return sum(len(each.recent) + sum(each.buckets.values()) for each in waiting)

    def drain(self) -> list[SeriesDelta]:
        """The counts since the last drain; each call is returned exactly once.

        Only the flusher calls this, from any thread.
        """
        return [
            delta
            # A copy, because requests add series meanwhile.
            for key in list(self._series)
            if (delta := self._drain_series(key, self._series[key])) is not None
        ]

    def _drain_series(self, key: SeriesKey, series: Series) -> SeriesDelta | None:
        with self._folding:
            series.fold()
            # After the durations: each of them was added after its caller.
            self.callers.fold(series)
            if not series.buckets:
                return None
            calls = sum(series.buckets.values())
            named, is_attributed = self.callers.take(series, calls)
            delta = SeriesDelta(
                key=key,
                buckets=series.buckets,
                duration_ns=series.duration_ns,
                max_ns=series.max_ns,
                first_at=series.first_at,
                last_at=series.last_at,
                callers=named,
                is_attributed=is_attributed,
            )
            series.clear()
            return delta
