"""Counting calls in memory, in the request's own thread. Knows no SQL and never waits.

Counters only ever grow. The flusher's thread takes copies, each one call of C and so atomic
under the interpreter lock, and subtracts what it has seen before; nothing is ever reset under
a request. Every thread that serves requests counts in a shard of its own, because two threads
adding to one counter would lose calls.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi_lens.histogram import bucket_index
from fastapi_lens.recording.cost import Costs

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

# Positions in Series.times; a list, because a copy of it is taken in one step.
_DURATION_NS, _FIRST_AT, _LAST_AT, _ROUND, _MAX_NS, _ROUND_BEFORE, _MAX_BEFORE_NS = range(7)


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What calls are counted by.

    Attributes:
        method: A known method, ``WEBSOCKET``, ``ANY`` of a mount, or `OTHER_METHOD`.
        path: The full path template.
        status: The HTTP status code; of a WebSocket 101, or the code it was refused with.
    """

    method: str
    path: str
    status: int


class Series:
    """The calls of one key in one thread; only that thread changes it."""

    __slots__ = ("lanes", "times")

    def __init__(self, first_at: float) -> None:
        """Start with no calls."""
        self.lanes: dict[int, int] = {}
        self.times: list[float] = [0, first_at, first_at, -1, 0, -1, 0]


@dataclass(frozen=True, slots=True)
class SeriesDelta:
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


@dataclass(slots=True)
class Shard:
    """The series of one thread, and what the flusher has seen of them.

    Attributes:
        cache: For the middleware: what it has resolved in this thread.
    """

    thread_id: int
    cache: dict[Any, Any] = field(default_factory=dict[Any, Any])
    series: dict[SeriesKey, Series] = field(default_factory=dict[SeriesKey, Series])
    seen: dict[SeriesKey, tuple[dict[int, int], float]] = field(
        default_factory=dict[SeriesKey, tuple[dict[int, int], float]]
    )


class Recorder:
    """Counts calls per method, path template and status code.

    Args:
        clock: Epoch seconds, for first and last calls.
        max_series: Series per thread; further keys share one overflow series per status.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, max_series: int = MAX_SERIES
    ) -> None:
        """Start with no calls."""
        self.clock = clock
        self._max_series = max_series
        self._round = 0
        self.costs = Costs()
        self.shards: dict[int, Shard] = {}
        self._retired: list[Shard] = []
        self._drains = threading.Lock()

    def series(self, method: str, path: str, status: int) -> Series:
        """The series of the calling thread to count such calls in, made when missing.

        A status that HTTP does not know counts as a server error: a column of the database
        could not hold it, and all that was counted beside it would wait for ever.
        """
        shard = self.shard()
        status = status if status in KNOWN_STATUSES else SERVER_ERROR
        key = SeriesKey(method if method in KNOWN_METHODS else OTHER_METHOD, path, status)
        found = shard.series.get(key)
        if found is None:
            if len(shard.series) >= self._max_series:
                key = SeriesKey("ANY", OVERFLOW, status)
            found = shard.series.setdefault(key, Series(self.clock()))
        return found

    def shard(self) -> Shard:
        """The shard of the calling thread, made when missing."""
        thread_id = threading.get_ident()
        found = self.shards.get(thread_id)
        if found is None:
            found = self.shards.setdefault(thread_id, Shard(thread_id))
        return found

    def add(self, series: Series, duration_ns: int) -> None:
        """Count one call that has just ended.

        Args:
            series: A series of the calling thread.
            duration_ns: Nanoseconds, not negative.
        """
        now = self.clock()
        index = bucket_index(duration_ns)
        times, lanes = series.times, series.lanes
        calls = lanes.get(index, 0)
        # From here on nothing is called: CPython changes threads at calls and at loops only, so
        # the flusher sees either none of what follows or all of it.
        lanes[index] = calls + 1
        times[_DURATION_NS] += duration_ns
        times[_LAST_AT] = now
        if times[_ROUND] != self._round:
            # The maximum before the flusher's latest round stays readable until the next.
            times[_MAX_BEFORE_NS] = times[_MAX_NS]
            times[_ROUND_BEFORE] = times[_ROUND]
            times[_MAX_NS] = duration_ns
            times[_ROUND] = self._round
        elif duration_ns > times[_MAX_NS]:
            times[_MAX_NS] = duration_ns

    def count(self, *, method: str, path: str, status: int, duration_ns: int) -> None:
        """Count one call of an endpoint that is known by its template."""
        self.add(self.series(method, path, status), duration_ns)

    def drain(self) -> list[SeriesDelta]:
        """What was counted since the last drain; each call comes out exactly once.

        Called by the flusher alone, from any thread.
        """
        with self._drains:
            self._round += 1
            shards = [*self.shards.values()]
            deltas = [delta for shard in self._retired for delta in self._drain_shard(shard)]
            self._retired = []
            for shard in shards:
                found = self._drain_shard(shard)
                deltas.extend(found)
                if not found:
                    self._retire(shard)
            return deltas

    def _retire(self, shard: Shard) -> None:
        """Forget the shard of a thread that has ended.

        It is drained once more at the next round: a new thread with the same id may have
        taken hold of it a moment before.
        """
        if shard.thread_id not in {thread.ident for thread in threading.enumerate()}:
            self.shards.pop(shard.thread_id, None)
            self._retired.append(shard)

    def _drain_shard(self, shard: Shard) -> list[SeriesDelta]:
        return [
            delta
            for key in list(shard.series)
            if (delta := self._drain_series(shard, key, shard.series[key])) is not None
        ]

    def _drain_series(self, shard: Shard, key: SeriesKey, series: Series) -> SeriesDelta | None:
        # The times last: they may be newer than the lanes, but never lack one of the calls.
        lanes, times = series.lanes.copy(), series.times.copy()
        seen_lanes, seen_ns = shard.seen.get(key, ({}, 0))
        if lanes == seen_lanes:
            return None
        shard.seen[key] = (lanes, times[_DURATION_NS])
        return SeriesDelta(
            key=key,
            lanes=_difference(lanes, seen_lanes),
            duration_ns=int(times[_DURATION_NS] - seen_ns),
            max_ns=int(self._max_of_round(times)),
            first_at=times[_FIRST_AT],
            last_at=times[_LAST_AT],
        )

    def _max_of_round(self, times: list[float]) -> float:
        """The longest call of the round that has just ended.

        A call may be counted between the start of the new round and our copy; the maximum of
        the round that we are asked for has then moved to `_MAX_BEFORE_NS`.
        """
        if times[_ROUND] == self._round and times[_ROUND_BEFORE] == self._round - 1:
            return max(times[_MAX_NS], times[_MAX_BEFORE_NS])
        return times[_MAX_NS]


def _difference(now: dict[int, int], before: dict[int, int]) -> dict[int, int]:
    return {
        index: count - before.get(index, 0)
        for index, count in now.items()
        if count != before.get(index, 0)
    }
