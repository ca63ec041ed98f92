"""The thread that carries counts from memory to the database. Never in a request's way.

What was drained waits as sums per endpoint, minute and status, is cut into numbered batches,
and each batch is written until it is known to be applied. A database that is down costs
memory for sums, not requests.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi_lens.errors import DamagedFileError, SchemaTooNewError, StorageError
from fastapi_lens.recording.booking import Booking
from fastapi_lens.recording.log_carrier import LogCarrier
from fastapi_lens.recording.pending import Pending, as_delta, as_use
from fastapi_lens.recording.recorder import Recorder, SeriesDelta
from fastapi_lens.recording.registration import Registration
from fastapi_lens.storage.batches import Batch, Delta, EndpointFacts, Heartbeat, Use, WorkerFacts
from fastapi_lens.storage.clocks import microseconds
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.open_calls import as_text
from fastapi_lens.storage.retention import Pruner, Retention
from fastapi_lens.storage.workers import beat
from fastapi_lens.storage.writer import Writer

if TYPE_CHECKING:
    from fastapi_lens.recording.open_calls import OpenEndpoint

logger = logging.getLogger("fastapi_lens")

MINUTE = 60
HOUR = 3_600
MAX_PENDING = 50_000
VISIT_SECONDS = 1.0
"""So long one visit of the deletion takes at most; half the time to the next flush, if less."""

HEARTBEAT_SECONDS = 15.0
LONGEST_BACK_OFF_SECONDS = 15.0
"""So soon after a database is back its numbers are, too; a failed try costs it next to nothing."""

QUIET_LOG_SECONDS = 60.0
PAUSE_SECONDS = 0.001
"""Between two batches, so that the thread of the event loop gets the interpreter."""

DELTAS_AT_ONCE = 16
BREATH_SECONDS = 0.0001
"""Between so many series that are collected, for the same reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushSettings:
    """How the flusher works.

    Attributes:
        interval: Seconds between two flushes.
        max_batch_size: Rows that one transaction changes at most.
        retention: How long what was written is kept; may change meanwhile.
    """

    interval: float
    max_batch_size: int
    retention: Retention = field(default_factory=Retention)


class Flusher:
    """Writes one worker's counts.

    Args:
        recorder: Where the counts come from.
        database: Where they go to.
        worker: Who writes; its app is the app of all endpoints.
        settings: Intervals and sizes.
        discover: The endpoints that the app has now, called or not.

    Attributes:
        refused: Why nothing is recorded: a newer release has the database; None while it is ours.
        refresh: Called at each flush, in its thread: takes settings that have changed.
        in_use: Returns the endpoints with open calls, at each flush.
    """

    def __init__(
        self,
        recorder: Recorder,
        database: Database,
        worker: WorkerFacts,
        settings: FlushSettings,
        discover: Callable[[], Iterable[EndpointFacts]],
    ) -> None:
        """Start no thread yet."""
        self._recorder = recorder
        self._database = database
        self._worker = worker
        self._settings = settings
        self._writer = Writer(database, worker)
        self._log = LogCarrier(recorder, database, worker, max_rows=settings.max_batch_size)
        self._pending = Pending()
        self._in_flight: Batch | None = None
        self._applied = 0
        self._collected_at = recorder.clock()
        # Read through the recorder at each call, because its clock may be replaced.
        clock = lambda: self._recorder.clock()  # noqa: E731, PLW0108  See above.
        self._booking = Booking(clock)
        self._log.mended = self._booking.mended
        self._registration = Registration(
            database, self._writer, self._booking, clock, worker=worker, discover=discover
        )
        self._heartbeat_at = self._logged_at = float("-inf")
        self._work = threading.RLock()
        self._wake = threading.Event()
        # A worker that is to end ends a visit in the middle of its rest.
        rest = self._wake.wait
        self._pruner = Pruner(database, settings.retention, owner=worker.id, rest=rest)
        self._thread: threading.Thread | None = None
        self._spent_seconds = 0.0
        self.dropped = 0
        self._was_open = False
        self.refused: SchemaTooNewError | None = None
        self.refresh: Callable[[], None] = lambda: None
        self.in_use: Callable[[], Iterable[OpenEndpoint]] = lambda: ()
        self.interval = settings.interval

    def start(self) -> None:
        """Start the thread; nothing when it runs already."""
        with self._work:
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="fastapi-lens", daemon=True)
                self._thread.start()

    def stop(self, *, timeout_seconds: float = 5.0) -> bool:
        """End the thread and write what is pending.

        Returns:
            Whether everything is written.
        """
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_seconds)
            if thread.is_alive():
                return False  # It hangs in the database; the daemon thread ends with us.
        return self.flush(ending=True)

    def collect(self) -> None:
        """Take what was counted out of the recorder into the pending sums."""
        with self._work:
            self._collected_at = self._recorder.clock()
            self._booking.look(self._pending)
            for number, delta in enumerate(self._recorder.drain(), 1):
                self._pending.add(self._as_delta(delta))
                if number % DELTAS_AT_ONCE == 0:
                    time.sleep(BREATH_SECONDS)
            if len(self._pending) > MAX_PENDING:
                this_hour = int(self._collected_at // HOUR)
                self.lose(self._pending.shrink(MAX_PENDING, this_hour=this_hour))

    def flush(self, *, ending: bool = False) -> bool:
        """Collect and write everything pending, in the calling thread.

        Args:
            ending: This worker writes for the last time.

        Returns:
            Whether everything is written; what is not stays pending.
        """
        with self._work:
            self.collect()
            uses = self._uses()
            waiting = self._pending or uses or self._log or self._in_flight is not None
            if ending and not waiting and not self._heartbeated:
                return True  # It has counted nothing and never announced itself.
            if not self._booking.is_open:
                self._warn("writes nothing yet: the system clock shows a time before 2020; set it")
                return False
            try:
                self._write_pending(uses, ending=ending)
            except StorageError as error:
                self._registration.forget()
                self._was_open = True
                self.refused = error if isinstance(error, SchemaTooNewError) else None
                level = logging.ERROR if isinstance(error, DamagedFileError) else logging.WARNING
                self._warn(f"could not write; counts wait in memory: {error}", level)
                return False
            self.refused = None
            return True

    def prune(self) -> int:
        """Delete what is older than its retention, at once; returns the number of rows.

        Deletes nothing while the database does not confirm the time.

        Raises:
            StorageError: The database cannot be written.
        """
        now = self._registration.known_time.confirmed()
        return 0 if now is None else self._pruner.visit(now=now)

    def rediscover(self) -> None:
        """Look for new endpoints at the next flush, without waiting for their turn."""
        self._registration.rediscover()

    @property
    def pending_calls(self) -> int:
        """Calls that are counted and not yet known to be written; never waits for the thread."""
        batch = self._in_flight
        return self._pending.calls + sum(delta.calls for delta in (batch.deltas if batch else ()))

    @property
    def _heartbeated(self) -> bool:
        return self._heartbeat_at > float("-inf")

    def _run(self) -> None:
        failures = 0
        # The first flush makes the tables and the endpoints known without waiting.
        delay = 0.0
        while not self._wake.wait(delay):
            failures = 0 if self._turn() else failures + 1
            # What the thread did after a flush makes the next one no later.
            delay = self._delay(failures, spent=self._spent_seconds)

    def _turn(self) -> bool:
        """One round of the thread, which nothing may end."""
        self._spent_seconds = 0.0
        try:
            with self._work:
                written, begun = self.flush(), time.monotonic()
                if written:
                    self._prune_a_little()
                    self._spent_seconds = time.monotonic() - begun
        except Exception:
            logger.exception("fastapi_lens failed to flush; counts wait in memory")
            return False
        return written

    def _delay(self, failures: int, *, spent: float = 0.0) -> float:
        """Seconds to the next flush: at the interval, less what is `spent`, and at each minute."""
        if failures:
            longest = min(LONGEST_BACK_OFF_SECONDS, self.interval * 2 ** min(failures, 10))
            return random.uniform(longest / 2, longest)  # noqa: S311  Spreads load, no secret.
        to_minute = MINUTE - self._recorder.clock() % MINUTE
        return max(0.01, min(self.interval - spent, to_minute))

    def _prune_a_little(self) -> None:
        """Let the deletion go on, if there is any to do."""
        budget = min(VISIT_SECONDS, self.interval / 2)
        try:
            now = self._registration.known_time.confirmed()
            if now is not None:
                self._pruner.visit_when_due(now=now, budget_seconds=budget)
        except StorageError as error:
            self._warn(f"could not delete what is past its retention: {error}")

    def _write_pending(self, uses: Sequence[Use], *, ending: bool) -> None:
        begun, complete_to = time.monotonic(), self._collected_at
        wrote, self._was_open = False, self._was_open or bool(uses)
        self._registration.renew(applied=self._applied, log_applied=self._log.applied)
        # A worker that ends reports no open calls, even if some are still open.
        for batch in self._batches(uses, as_text(() if ending else uses)):
            self._writer.write(batch)
            self._applied, self._in_flight, wrote = batch.seq, None, True
            if not ending:
                time.sleep(PAUSE_SECONDS)
        self._was_open = bool(uses) and not ending
        now = self._recorder.clock()
        if wrote or ending or abs(now - self._heartbeat_at) >= HEARTBEAT_SECONDS:
            heartbeat = Heartbeat(
                now_us=microseconds(now),
                complete_to_us=microseconds(complete_to),
                dropped=self.dropped,
                pending=self.pending_calls,
                flush_us=microseconds(time.monotonic() - begun),
                cost_ns=self._recorder.costs.median_ns,
                ended=ending,
            )
            beat(self._database, self._worker, heartbeat, self._recorder.clock)
            self._heartbeat_at = now
        self._take_settings()
        # Last: what the database refuses of it holds up nothing else.
        self._log.carry(ending=ending)

    def _take_settings(self) -> None:
        """After the counts, which a database that cannot be read must not keep from it."""
        try:
            self.refresh()
        except StorageError as error:
            # The next write finds out what is wrong, and says so.
            logger.debug("fastapi_lens could not read its settings: %s", error)

    def _batches(self, uses: Sequence[Use], open_calls: str) -> Iterator[Batch]:
        """The batch in doubt, if any, and then new ones made from the pending sums and uses."""
        if self._in_flight is not None:
            yield self._in_flight
        news = open_calls if self._was_open else None
        # The worker's row is changed in each transaction, too.
        for part in self._pending.parts(uses, max_rows=self._settings.max_batch_size - 1):
            self._in_flight, news = self._batch(part, news), None
            yield self._in_flight
        if news is not None:
            self._in_flight = self._batch(((), ()), news)
            yield self._in_flight

    def _batch(
        self, part: tuple[tuple[Delta, ...], tuple[Use, ...]], open_calls: str | None
    ) -> Batch:
        deltas, uses = part
        ahead_us = self._booking.limit_us
        return Batch(self._applied + 1, deltas, uses, open_calls, ahead_us)

    def _as_delta(self, counted: SeriesDelta) -> Delta:
        counted = self._booking.counted(counted)
        key = counted.key
        return as_delta(counted, self._registration.id_of(key.method, key.path, counted.first_at))

    def _uses(self) -> list[Use]:
        """The endpoints with open calls."""
        opened, now = list(self.in_use()), self._recorder.clock()
        return [
            as_use(one, self._registration.id_of(one.method, one.path, now - one.seconds), now)
            for one in opened
        ]

    def lose(self, calls: int) -> None:
        """Count calls that will never be written."""
        if calls:
            self.dropped += calls
            self._warn(f"lost {calls} calls")

    def _warn(self, sentence: str, level: int = logging.WARNING) -> None:
        """Warn, at most once a minute."""
        now = time.monotonic()
        if now - self._logged_at >= QUIET_LOG_SECONDS:
            self._logged_at = now
            logger.log(level, "fastapi_lens %s", sentence)
