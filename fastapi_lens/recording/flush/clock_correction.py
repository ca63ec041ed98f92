"""Correction of the times under which counts are stored. Knows no thread and no table."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from fastapi_lens.recording.flush.clock_jumps import ClockJumps
from fastapi_lens.recording.flush.pending import Pending
from fastapi_lens.recording.series import SeriesDelta
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.endpoint_times import mend_left, mend_times


class ClockCorrection:
    """Corrects times that the worker's clock returned while it was wrong.

    Args:
        clock: Epoch seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Trust the clock until it is set."""
        self._clock = clock
        self._jumps = ClockJumps(clock)
        self._ahead_us = 0
        self.corrected = self._jumps.corrected

    @property
    def is_open(self) -> bool:
        """True if the clock is set, so that counts may be stored."""
        return self._jumps.is_set

    @property
    def limit_us(self) -> int:
        """The time, in microseconds since the epoch, after which times come from a wrong clock."""
        return microseconds(self._clock() + AHEAD_SECONDS)

    def look(self, pending: Pending) -> None:
        """Check if the clock was set; if so, rebook the pending counts."""
        if jump := self._jumps.look():
            pending.rebook(self.corrected)
            # Times from before the clock was set were never stored.
            self._ahead_us += min(0, microseconds(jump))

    def counted(self, counted: SeriesDelta) -> SeriesDelta:
        """The same calls at the corrected times."""
        last = self.corrected(counted.last_at)
        first = min(last, self.corrected(counted.first_at))
        if (first, last) == (counted.first_at, counted.last_at):
            return counted
        return counted._replace(first_at=first, last_at=last)

    def facts(self, facts: Iterable[EndpointFacts]) -> list[EndpointFacts]:
        """The same endpoints with corrected times; 0, which means never, stays."""
        return [
            replace(one, seen_at_us=microseconds(self.corrected(one.seen_at_us / 1_000_000)))
            if one.seen_at_us
            else one
            for one in facts
        ]

    def mend(self, database: Database, app: str, *, left: bool) -> None:
        """Correct what was stored while the clock was ahead, if it was.

        Args:
            database: The database to write to.
            app: Name of the app.
            left: Also correct wrong times that other workers have left behind.

        Raises:
            StorageError: The database cannot be written; the next call tries again.
        """
        if self._ahead_us:
            mend_times(database, app, after_us=self.limit_us, shift_us=self._ahead_us)
            self._ahead_us = 0
        if left:
            mend_left(database, app, now=self._clock())
