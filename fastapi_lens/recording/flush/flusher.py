"""The threads that carry counts from memory to the database. Never in a request's way.

What was collected waits as sums per endpoint, minute and status. One flush puts them into the inbox
as a numbered batch, again and again until it is known to be there; one worker empties the inbox. A
database that is down costs memory for sums, not requests. A second thread collects at the end of
each minute, so that counts keep their minute while the first one waits for the database.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fastapi_lens.errors import (
    DamagedFileError,
    RefusedError,
    SchemaTooNewError,
    StorageError,
)
from fastapi_lens.recording.calls.open_calls import OpenEndpoint
from fastapi_lens.recording.flush.clock_correction import ClockCorrection
from fastapi_lens.recording.flush.core_share import CoreShare
from fastapi_lens.recording.flush.draining import SELDOM_SECONDS, Draining
from fastapi_lens.recording.flush.log_carrier import LogCarrier
from fastapi_lens.recording.flush.pending import Pending, as_delta, as_use
from fastapi_lens.recording.flush.registration import Registration
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.series import SeriesDelta
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.worker import Heartbeat, Progress, WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Pruner, Retention
from fastapi_lens.storage.writing.batches import Batch, Delta, EndpointFacts, Use
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.open_calls import as_text
from fastapi_lens.storage.writing.registrar import Registrar

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
MAX_SUMS = 1_000
"""Of one batch; a flush of more takes several."""

MAX_TRIES = 3
"""Of a batch that the database refuses; then its calls are given up."""

LONGEST_INTERVAL_SECONDS = 60.0
"""So far the interval stretches while the inbox is not emptied as fast as it is filled."""

MANY_WAITING = 3
"""Batches of one worker that wait in the inbox while it is not; more where the interval is so short
that as many come during two rests of the drain."""

BEFORE_MINUTE_SECONDS = 0.02
"""So long before the end of a minute its calls are collected: all calls that come out together are
booked to the minute of the last one."""

DELTAS_AT_ONCE = 32
BREATH_SECONDS = 0.0001
"""Pause after so many collected series, so that the event loop's thread gets the interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushSettings:
    """How the flusher works.

    Attributes:
        interval: Seconds between two flushes.
        max_batch_size: Rows of the request log that one transaction writes at most.
        retention: How long what was written is kept; may change meanwhile.
    """

    interval: float
    max_batch_size: int
    retention: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushHooks:
    """Called at each flush, in its thread.

    Attributes:
        refresh_settings: Takes settings that have changed.
        open_endpoints: Returns the endpoints with open calls.
    """

    refresh_settings: Callable[[], None] = lambda: None
    open_endpoints: Callable[[], Iterable[OpenEndpoint]] = tuple


NO_HOOKS = FlushHooks()


class Flusher:
    """Writes one worker's counts.

    Args:
        recorder: Where the counts come from.
        database: Where they go to.
        worker: Who writes; its app is the app of all endpoints.
        settings: Intervals and sizes.
        discover: The endpoints that the app has now, called or not.
        hooks: Called at each flush.

    Attributes:
        refused: Why nothing is recorded: a newer release has the database; None while it is ours.
    """

    def __init__(
        self,
        recorder: Recorder,
        database: Database,
        worker: WorkerFacts,
        settings: FlushSettings,
        discover: Callable[[], Iterable[EndpointFacts]],
        hooks: FlushHooks = NO_HOOKS,
    ) -> None:
        """Start no thread yet."""
        self._hooks = hooks
        self._recorder = recorder
        self._database = database
        self._worker = worker
        self._settings = settings
        self._inbox = Inbox(database, worker)
        self._pending = Pending()
        self._in_flight: Batch | None = None
        self._applied = self._tries = 0
        self._collected_at = recorder.clock()
        self._complete_us = microseconds(self._collected_at)
        self._longer_interval = 0.0
        # Read through the recorder at each call, because its clock may be replaced.
        clock = lambda: self._recorder.clock()  # noqa: E731, PLW0108  See above.
        self._correction = ClockCorrection(clock)
        self._log = LogCarrier(
            recorder,
            database,
            worker,
            max_rows=settings.max_batch_size,
            corrected=self._correction.corrected,
        )
        self._registration = Registration(
            database,
            Registrar(database, worker),
            self._correction,
            clock,
            worker=worker,
            discover=discover,
        )
        shared_clock = self._registration.known_time.shared
        self._draining = Draining(database, owner=worker.id, clock=shared_clock)
        self._heartbeat_at = self._logged_at = float("-inf")
        self._work, self._counting = threading.RLock(), threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._pruner = Pruner(database, settings.retention, owner=worker.id, rest=self._rest)
        self._threads: list[threading.Thread] = []
        self._flush_at = self._drain_at = 0.0
        self._core_share = CoreShare()
        self.dropped = 0
        self._was_open = False
        self.refused: SchemaTooNewError | None = None
        self.interval = settings.interval

    def start(self) -> None:
        """Start the threads; nothing when they run already.

        Raises:
            RuntimeError: The system gives no more threads; none of them runs then.
        """
        with self._starting:
            if self._threads:
                return
            # One for each start: threads that hung in the database at the last stop still end.
            wake = threading.Event()
            loops = {"fastapi-lens": self._run, "fastapi-lens-minutes": self._collect_minutes}
            threads = [
                threading.Thread(target=loop, args=(wake,), name=name, daemon=True)
                for name, loop in loops.items()
            ]
            try:
                for each in threads:
                    each.start()
            except RuntimeError:
                wake.set()
                raise
            self._wake, self._threads = wake, threads

    def stop(self, *, timeout_seconds: float = 5.0) -> bool:
        """End the threads and write what is pending.

        Returns:
            Whether everything is written.
        """
        with self._starting:
            self._wake.set()
            threads, self._threads = self._threads, []
        end = time.monotonic() + timeout_seconds
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
                if thread.is_alive():
                    return False  # It hangs in the database; the daemon thread ends with us.
        return self.flush(ending=True)

    def collect(self) -> None:
        """Take what was counted out of the recorder into the pending sums, at once."""
        with self._counting:
            self._collected_at = self._recorder.clock()
            self._correction.look(self._pending)
            for number, delta in enumerate(self._recorder.drain(), 1):
                self._pending.add(self._as_delta(delta))
                if number % DELTAS_AT_ONCE == 0:
                    time.sleep(BREATH_SECONDS)
            if len(self._pending) > MAX_PENDING:
                this_hour = int(self._collected_at // HOUR)
                self._lose(self._pending.shrink(MAX_PENDING, this_hour=this_hour))

    def flush(self, *, ending: bool = False) -> bool:
        """Collect and write everything pending, in the calling thread.

        Args:
            ending: This worker writes for the last time.

        Returns:
            Whether everything is written; what is not stays pending.
        """
        with self._work:
            self.collect()
            complete_us, uses = microseconds(self._collected_at), self._uses()
            waiting = self._pending or uses or self._log or self._in_flight is not None
            if ending and not waiting and not self._heartbeated:
                return True  # It has counted nothing and never announced itself.
            if not self._correction.is_open:
                self._warn("writes nothing yet: the system clock shows a time before 2020; set it")
                return False
            try:
                self._write_pending(uses, complete_us, ending=ending)
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
        return self._pending.calls + (batch.calls if batch else 0)

    def shorten_interval(self, seconds: float) -> None:
        """Flush every so many seconds at least, also where the interval was longer."""
        self.interval = min(seconds, self.interval)

    @property
    def _heartbeated(self) -> bool:
        return self._heartbeat_at > float("-inf")

    def _run(self, wake: threading.Event) -> None:
        self._core_share.begin()
        failures = 0
        # The first flush makes the tables and the endpoints known without waiting.
        self._flush_at = self._drain_at = time.monotonic()
        while not wake.wait(max(0.0, min(self._flush_at, self._drain_at) - time.monotonic())):
            begun = time.monotonic()
            if begun >= self._flush_at:
                failures = 0 if self._turn() else failures + 1
                # What the thread did after a flush makes the next one no later.
                self._flush_at = max(begun + self._delay(failures), time.monotonic())
            elif not self._tried(self._drain):
                self._drain_at = self._flush_at

    def _collect_minutes(self, wake: threading.Event) -> None:
        while not wake.wait(self._to_minute()):
            self._core_share.add(lambda: self._tried(self.collect))

    def _to_minute(self) -> float:
        """Seconds until the calls of this minute are collected."""
        return MINUTE - (self._recorder.clock() + BEFORE_MINUTE_SECONDS) % MINUTE

    def _turn(self) -> bool:
        """One flush and what follows it."""
        return self._tried(self._flush_and_prune)

    def _flush_and_prune(self) -> bool:
        with self._work:
            written = self.flush()
            if written:
                self._prune_a_little()
            return written

    def _tried(self, work: Callable[[], bool | None]) -> bool:
        """Do something that no error may end the thread; whether it was done."""
        try:
            return work() is not False
        except Exception:
            logger.exception("fastapi_lens failed to flush; counts wait in memory")
            return False

    def _drain(self) -> bool:
        with self._work:
            try:
                self._drain_at = time.monotonic() + self._draining.turn()
            except StorageError as error:
                self._warn(f"could not add up what was written, and tries again: {error}")
                return False
            return True

    def _delay(self, failures: int) -> float:
        """Seconds from one flush to the next."""
        if not failures:
            return max(self.interval, self._longer_interval)
        longest = min(LONGEST_BACK_OFF_SECONDS, self.interval * 2 ** min(failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311  Spreads load, no secret.

    def _rest(self, seconds: float) -> bool:
        """Wait; true if the worker is to end, which ends a visit of the deletion, too."""
        return self._wake.wait(seconds)

    def _prune_a_little(self) -> None:
        """Let the deletion go on, if there is any to do."""
        budget = min(VISIT_SECONDS, self.interval / 2)
        try:
            now = self._registration.known_time.confirmed()
            if now is not None:
                self._pruner.visit_when_due(now=now, budget_seconds=budget)
        except StorageError as error:
            self._warn(f"could not delete what is past its retention: {error}")

    def _write_pending(self, uses: Sequence[Use], complete_us: int, *, ending: bool) -> None:
        begun, interval = time.monotonic(), self._delay(0)
        self._registration.renew(applied=self._applied, log_applied=self._log.applied)
        self._put_all(uses, complete_us, ending=ending)
        self._complete_us, took = complete_us, time.monotonic() - begun
        self._let_drain(ending=ending)
        self._registration.mend()
        now = self._recorder.clock()
        is_due = abs(now - self._heartbeat_at) >= HEARTBEAT_SECONDS
        if is_due or ending or self._delay(0) != interval:
            heartbeat = Heartbeat(
                now_us=microseconds(now),
                complete_to_us=complete_us,
                dropped=self.dropped,
                pending=self.pending_calls,
                flush_us=microseconds(took),
                core_ppm=self._core_share.ppm(),
                interval_ms=round(self._delay(0) * 1_000),
                ended=ending,
            )
            beat(self._database, self._worker, heartbeat, self._recorder.clock)
            # One that starts again says so with its first flush.
            self._heartbeat_at = float("-inf") if ending else now
        self._take_settings()
        # Last: what the database refuses of it holds up nothing else.
        self._log.carry(ending=ending)

    def _put_all(self, uses: Sequence[Use], complete_us: int, *, ending: bool) -> None:
        """Put all that waits into the inbox."""
        is_open = bool(uses) and not ending
        told = [self._put(complete_us)]
        # A worker that ends reports no open calls, even if some are still open.
        open_calls = as_text(() if ending else uses) if self._was_open or uses else None
        self._was_open = self._was_open or bool(uses)
        while self._next_batch(uses, open_calls):
            # The other thread may have collected calls of new endpoints since they were renewed.
            self._registration.register(applied=self._applied, log_applied=self._log.applied)
            told.append(self._put(complete_us))
            uses, open_calls = (), None
        self._was_open = is_open
        waiting = [one for one in told if one is not None]
        if waiting:
            self._stretch(waiting[-1] - len(waiting))

    def _next_batch(self, uses: Sequence[Use], open_calls: str | None) -> bool:
        """Make a batch of what waits, unless that is nothing."""
        with self._counting:
            deltas = self._pending.take(MAX_SUMS)
            uses = (*uses, *self._correction.recalled())
            if not deltas and not uses and open_calls is None:
                return False
            self._in_flight = Batch(
                self._applied + 1,
                deltas,
                uses,
                open_calls,
                self._correction.limit_us,
                self._complete_us,
            )
            return True

    def _put(self, complete_us: int) -> int | None:
        """Put the batch that is in flight into the inbox.

        Args:
            complete_us: Up to when all calls are written if it is the last one.

        Returns:
            How many batches of this worker wait there now; None when none was in flight.
        """
        batch = self._in_flight
        if batch is None:
            return None
        pending = self._pending.calls
        complete_to = self._complete_us if pending else complete_us
        try:
            waiting = self._inbox.put(batch, Progress(complete_to, self.dropped, pending))
        except RefusedError as error:
            self._tries += 1
            if self._tries >= MAX_TRIES:
                self._in_flight, self._tries = None, 0
                self.dropped += batch.calls
                # Said in any case: the tries before have used up the warning of this minute.
                logger.warning(
                    "fastapi_lens gives up %d calls, which the database refuses: %s",
                    *(batch.calls, error),
                )
            raise
        self._applied, self._in_flight, self._tries = batch.seq, None, 0
        return waiting

    def _stretch(self, left: int) -> None:
        """Flush less often while the inbox is not emptied as fast as it is filled.

        Args:
            left: Batches of earlier flushes of this worker in the inbox.
        """
        now = self._delay(0)
        if left >= max(MANY_WAITING, 2 * SELDOM_SECONDS / self.interval):
            self._longer_interval = min(2 * now, max(self.interval, LONGEST_INTERVAL_SECONDS))
        elif left <= 0:
            self._longer_interval = now / 2

    def _let_drain(self, *, ending: bool) -> None:
        if not ending:
            self._drain()
            return
        try:
            self._draining.end()
        except StorageError as error:
            self._warn(f"leaves what it has written to be added up by the next worker: {error}")

    def _take_settings(self) -> None:
        """After the counts, which a database that cannot be read must not keep from it."""
        try:
            self._hooks.refresh_settings()
        except StorageError as error:
            # The next write finds out what is wrong, and says so.
            logger.debug("fastapi_lens could not read its settings: %s", error)

    def _as_delta(self, counted: SeriesDelta) -> Delta:
        counted = self._correction.counted(counted)
        key = counted.key
        identity = self._registration.id_of(key.method, key.path, counted.first_at)
        self._correction.note(identity, counted)
        return as_delta(counted, identity)

    def _uses(self) -> list[Use]:
        """The endpoints with open calls."""
        opened, now = list(self._hooks.open_endpoints()), self._correction.now()
        return [
            as_use(one, self._registration.id_of(one.method, one.path, now - one.seconds), now)
            for one in opened
        ]

    def _lose(self, calls: int) -> None:
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
