"""Sums of counted calls that wait to be written. Knows no thread, no clock and no database."""

from collections.abc import Callable

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.recording.calls.open_calls import OpenEndpoint
from fastapi_lens.recording.series import SeriesDelta
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.writing.batches import Delta, Use

MINUTE = 60
HOUR_MINUTES = 60

_Key = tuple[int, int, int]
"""Endpoint id, minute since the epoch, status code."""


class Pending:
    """The sums of one worker, one for each endpoint, minute and status.

    Their number grows with time and with endpoints, never with calls.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._sums: dict[_Key, Delta] = {}

    def __len__(self) -> int:
        """Number of sums."""
        return len(self._sums)

    @property
    def calls(self) -> int:
        """Number of calls in all sums; any thread may read it."""
        # A copy, because other threads change the sums meanwhile.
        return sum(delta.calls for delta in list(self._sums.values()))

    def add(self, delta: Delta) -> None:
        """Add calls to those of the same endpoint, minute and status."""
        key = (delta.endpoint_id, delta.minute, delta.status)
        found = self._sums.get(key)
        self._sums[key] = delta if found is None else Delta.sum_of((found, delta))

    def rebook(self, corrected: Callable[[float], float]) -> None:
        """Move every sum to its correct minute.

        Args:
            corrected: Returns the correct epoch seconds for a time of the clock.
        """
        waiting, self._sums = self._sums, {}
        for delta in waiting.values():
            last = corrected(delta.last_at_us / 1_000_000)
            # The two may come from different settings of the clock.
            first = min(last, corrected(delta.first_at_us / 1_000_000))
            # By the distance, because merged sums stand in the first minute of their hour.
            minute = delta.minute + int(last // MINUTE) - delta.last_at_us // (MINUTE * 1_000_000)
            self.add(
                delta._replace(
                    minute=minute,
                    first_at_us=microseconds(first),
                    last_at_us=microseconds(last),
                )
            )

    def take(self, most: int) -> tuple[Delta, ...]:
        """Take out at most this many sums, ordered by endpoint."""
        return tuple(self._sums.pop(key) for key in sorted(self._sums)[:most])

    def shrink(self, limit: int, *, this_hour: int) -> list[Delta]:
        """Bound the memory: merge minutes into hours, past hours first, then drop the oldest hours.

        Args:
            limit: Most sums that may stay.
            this_hour: Hours since the epoch; the minutes of this hour are merged last.

        Returns:
            The dropped sums.
        """
        self._merge_minutes(spared_hour=this_hour)
        if len(self._sums) > limit:
            self._merge_minutes(spared_hour=None)
        oldest_first = sorted(self._sums, key=lambda key: key[1])
        return [self._sums.pop(key) for key in oldest_first[:-limit]]

    def _merge_minutes(self, *, spared_hour: int | None) -> None:
        waiting, self._sums = self._sums, {}
        for delta in waiting.values():
            hour = delta.minute // HOUR_MINUTES
            self.add(delta if hour == spared_hour else delta.at_minute(hour * HOUR_MINUTES))


def as_delta(counted: SeriesDelta, endpoint_id: int) -> Delta:
    """The counts of a series as one delta, in the minute of its last call."""
    return Delta(
        endpoint_id=endpoint_id,
        minute=int(counted.last_at // MINUTE),
        status=counted.key.status,
        calls=sum(counted.buckets.values()),
        duration_us=counted.duration_ns // 1_000,
        max_us=counted.max_ns // 1_000,
        first_at_us=microseconds(counted.first_at),
        last_at_us=microseconds(counted.last_at),
        histogram=Histogram.from_counts(counted.buckets),
    )


def as_use(opened: OpenEndpoint, endpoint_id: int, now: float) -> Use:
    """The open calls of an endpoint at a time, in epoch seconds, as a use of it."""
    return Use(
        endpoint_id,
        opened.connections,
        since_us=microseconds(now - opened.seconds),
        until_us=microseconds(now),
    )
