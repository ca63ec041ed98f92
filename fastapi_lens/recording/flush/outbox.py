"""Outbox: the batches of one worker on their way into the inbox. Knows no thread."""

import logging
from collections.abc import Callable, Sequence

from fastapi_lens.errors import RefusedError
from fastapi_lens.recording.flush.collector import Collector
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.writing.batches import Batch, Use
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.open_calls import as_text

logger = logging.getLogger("fastapi_lens")

MAX_TRIES = 3
"""Attempts for a batch that the database refuses; then its calls are dropped."""


class Outbox:
    """Numbers batches, and repeats each one until the database confirms it.

    Args:
        inbox: The destination of the batches.
        collector: The counts that wait.

    Attributes:
        applied: Number of the last batch that the database has confirmed.
    """

    def __init__(self, inbox: Inbox, collector: Collector) -> None:
        """Send nothing yet."""
        self._inbox = inbox
        self._collector = collector
        self._in_flight: Batch | None = None
        self.applied = self._tries = 0
        self._complete_us = microseconds(collector.collected_at)
        self._was_open = False

    def __bool__(self) -> bool:
        """True if a batch is not confirmed yet."""
        return self._in_flight is not None

    @property
    def calls(self) -> int:
        """Number of calls in a batch that is not confirmed yet; any thread may read it."""
        batch = self._in_flight
        return batch.calls if batch else 0

    def send(
        self,
        uses: Sequence[Use],
        complete_us: int,
        *,
        ending: bool,
        register: Callable[[], None],
    ) -> int | None:
        """Put everything that waits into the inbox.

        Args:
            uses: Endpoints with open calls.
            complete_us: Time up to which all calls are written afterwards, in microseconds.
            ending: The worker ends: it reports no open calls, even if some are still open.
            register: Registers the endpoints of a batch before it is put.

        Returns:
            Batches of earlier flushes of this worker that are still in the inbox; None if no batch
            was put.

        Raises:
            RefusedError: The database refuses the batch.
            StorageError: The database cannot be written.
        """
        is_open = bool(uses) and not ending
        waiting_after = [self._put(complete_us)]
        open_calls = as_text(() if ending else uses) if self._was_open or uses else None
        self._was_open = self._was_open or bool(uses)
        # Before the lock of the counts is taken, which no database may hold up.
        self._collector.prepare_callers()
        while self._next_callers():
            waiting_after.append(self._put(complete_us))
        while self._next_batch(uses, open_calls):
            # The other thread may have collected calls of new endpoints since they were renewed.
            register()
            waiting_after.append(self._put(complete_us))
            uses, open_calls = (), None
        self._was_open, self._complete_us = is_open, complete_us
        waiting = [count for count in waiting_after if count is not None]
        return waiting[-1] - len(waiting) if waiting else None

    def report_open_calls(self) -> None:
        """Report open calls with the next batch, even if there are none."""
        self._was_open = True

    def _next_batch(self, uses: Sequence[Use], open_calls: str | None) -> bool:
        """Make a batch of what waits; false if nothing waits."""
        self._in_flight = self._collector.batch(
            self.applied + 1, uses, open_calls, since_us=self._complete_us
        )
        return self._in_flight is not None

    def _next_callers(self) -> bool:
        """Make a batch of callers alone while they are too many for the batch of their calls."""
        self._in_flight = self._collector.callers_batch(
            self.applied + 1, since_us=self._complete_us
        )
        return self._in_flight is not None

    def _put(self, complete_us: int) -> int | None:
        """Put the batch that is in flight into the inbox.

        Args:
            complete_us: Time up to which all calls are written after the last batch.

        Returns:
            Batches of this worker that now wait there; None if none was in flight.
        """
        batch = self._in_flight
        if batch is None:
            return None
        pending = self._collector.calls
        complete_to = self._complete_us if pending else complete_us
        try:
            progress = Progress(complete_to, self._collector.dropped, pending)
            waiting = self._inbox.put(batch, progress)
        except RefusedError as error:
            self._tries += 1
            if self._tries >= MAX_TRIES:
                self._in_flight, self._tries = None, 0
                self._collector.drop(batch)
                # Always, although earlier attempts may have used up this minute's warning.
                logger.warning(
                    "fastapi_lens drops %d calls, which the database refuses: %s",
                    *(batch.calls, error),
                )
            raise
        self.applied, self._in_flight, self._tries = batch.seq, None, 0
        return waiting
