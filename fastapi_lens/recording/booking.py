"""The times under which a worker's counts are stored. Knows no thread and no table."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from fastapi_lens.recording.pending import Pending
from fastapi_lens.recording.recorder import SeriesDelta
from fastapi_lens.recording.timeline import Timeline
from fastapi_lens.storage.batches import EndpointFacts
from fastapi_lens.storage.clocks import AHEAD_SECONDS
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.endpoint_times import mend_left, mend_times


class Booking:
    """Puts times right that the worker's clock has told while it was wrong.

    Args:
        clock: Epoch seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Trust the clock until it is set."""
        self._clock = clock
        self._timeline = Timeline(clock)
        self._ahead_us = 0
        self.mended = self._timeline.mended

    @property
    def is_open(self) -> bool:
        """Whether the clock is set, so that anything may be stored."""
        return self._timeline.is_set

    @property
    def limit_us(self) -> int:
        """Times after it, in microseconds since the epoch, were told by a clock that was wrong."""
        return _microseconds(self._clock() + AHEAD_SECONDS)

    def look(self, pending: Pending) -> None:
        """Look whether the clock was set, and move what waits if it was."""
        if jump := self._timeline.look():
            pending.rebook(self.mended)
            # What was told before the clock was set was never stored.
            self._ahead_us += min(0, _microseconds(jump))

    def counted(self, counted: SeriesDelta) -> SeriesDelta:
        """The same calls at the right times."""
        last = self.mended(counted.last_at)
        return replace(counted, first_at=min(last, self.mended(counted.first_at)), last_at=last)

    def facts(self, facts: Iterable[EndpointFacts]) -> list[EndpointFacts]:
        """The same endpoints, seen at the right times; 0, which is never, stays."""
        return [
            replace(one, seen_at_us=_microseconds(self.mended(one.seen_at_us / 1_000_000)))
            if one.seen_at_us
            else one
            for one in facts
        ]

    def mend(self, database: Database, app: str, *, left: bool) -> None:
        """Set right what was stored while the clock was ahead; nothing when it was not.

        Args:
            database: Where it was.
            app: Whose endpoints.
            left: Also what other workers have left so.

        Raises:
            StorageError: The database cannot be written; the next call tries again.
        """
        if self._ahead_us:
            mend_times(database, app, after_us=self.limit_us, shift_us=self._ahead_us)
            self._ahead_us = 0
        if left:
            mend_left(database, app, now=self._clock())


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
