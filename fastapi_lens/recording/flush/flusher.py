"""The threads that write counts from memory to the database. No request ever waits for them.

A flush has the `Collector` collect what was counted, and the `Outbox` put it into the inbox; one
worker empties the inbox. While the database is down, sums take memory, and requests notice nothing.
A second thread collects at the end of each minute, so that counts keep their minute while the first
one waits for the database.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.errors import (
    DamagedFileError,
    ForeignFileError,
    SchemaTooNewError,
    StorageError,
)
from fastapi_lens.recording.calls.open_calls import OpenEndpoint
from fastapi_lens.recording.flush.clock_correction import ClockCorrection
from fastapi_lens.recording.flush.collector import Collector
from fastapi_lens.recording.flush.core_share import CoreShare
from fastapi_lens.recording.flush.draining import SELDOM_SECONDS, Draining
from fastapi_lens.recording.flush.log_carrier import LogCarrier
from fastapi_lens.recording.flush.observation import Observation
from fastapi_lens.recording.flush.outbox import Outbox
from fastapi_lens.recording.flush.registration import Endpoints, Registration
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.idle import idle_minutes
from fastapi_lens.storage.coordination.observed import ReleaseMarks, mark_minutes
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Pruner, Retention
from fastapi_lens.storage.writing.batches import EndpointFacts, Use
from fastapi_lens.storage.writing.evidence import ALL_COUNTED, Uncounted
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.registrar import Registrar

logger = logging.getLogger("fastapi_lens")

MINUTE = 60
VISIT_SECONDS = 1.0
"""Longest time that one flush spends on deletions; at most half the flush interval."""

# Readers wait for two, see `reporting.observation.UNWRITTEN_SECONDS`.
HEARTBEAT_SECONDS = 15.0
LONGEST_BACK_OFF_SECONDS = 15.0
"""Longest pause after failures. Short, because a failed attempt costs a database next to nothing,
and counts appear soon after it is back."""

QUIET_LOG_SECONDS = 60.0
LONGEST_INTERVAL_SECONDS = 60.0
"""Longest interval while the inbox is emptied more slowly than it is filled."""

MANY_WAITING = 3
"""Number of waiting batches of one worker from which on its interval grows; more if the interval is
so short that as many are added during two rests of the drain."""

BEFORE_MINUTE_SECONDS = 0.02
"""Seconds before the end of a minute at which its calls are collected: calls that are collected
together count in the minute of the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushSettings:
    """Intervals and limits of the flusher.

    Attributes:
        interval: Seconds between two flushes.
        max_batch_size: Most rows of the request log that one transaction writes.
        retention: Retention of the written data; may change while it runs.
        idle_is_silent: True if a call while no worker lives would start one, so that this time
            counts as observed.
    """

    interval: float
    max_batch_size: int
    retention: Retention = field(default_factory=Retention)
    idle_is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushHooks:
    """Functions that are called at each flush, in its thread.

    Attributes:
        refresh_settings: Applies changed settings.
        open_endpoints: Returns the endpoints with open calls.
        uncounted: The endpoints whose responses are not all counted.
    """

    refresh_settings: Callable[[], None] = lambda: None
    open_endpoints: Callable[[], Iterable[OpenEndpoint]] = tuple
    uncounted: Callable[[], Uncounted] = lambda: ALL_COUNTED


NO_HOOKS = FlushHooks()


class Flusher:
    """Writes one worker's counts.

    Args:
        recorder: The source of the counts.
        database: Their destination.
        worker: The worker; its app is the app of all endpoints.
        settings: Intervals and sizes.
        discover: Returns the endpoints that the app has now, called or not.
        hooks: Functions that are called at each flush.

    Attributes:
        refused: The error while nothing is written because a newer release has migrated the
            database, or because the file is another package's; otherwise None.
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
        self._marks = ReleaseMarks(database, worker)
        self._longer_interval = 0.0
        # Read through the recorder at each call, because its clock may be replaced.
        clock = lambda: self._recorder.clock()  # noqa: E731, PLW0108  See above.
        self._correction = ClockCorrection(clock)
        self._observation = Observation(self._correction.unbroken_since)
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
            endpoints=Endpoints(discover, hooks.uncounted),
        )
        self._collector = Collector(
            recorder,
            self._registration,
            self._correction,
            self._observation,
            self._log.caller_names,
        )
        self._outbox = Outbox(Inbox(database, worker), self._collector)
        shared_clock = self._registration.known_time.shared
        self._draining = Draining(database, owner=worker.id, clock=shared_clock)
        self._heartbeat_at = self._logged_at = float("-inf")
        self._work, self._starting = threading.RLock(), threading.Lock()
        self._wake = threading.Event()
        self._pruner = Pruner(database, settings.retention, owner=worker.id, rest=self._rest)
        self._threads: list[threading.Thread] = []
        self._flush_at = self._drain_at = 0.0
        self._core_share = CoreShare()
        self._marks_idle = settings.idle_is_silent
        self.refused: SchemaTooNewError | ForeignFileError | None = None
        self.interval = settings.interval

    def start(self) -> None:
        """Start the threads, unless they already run.

        Raises:
            RuntimeError: The system allows no more threads; none of them runs then.
        """
        with self._starting:
            if self._threads:
                return
            # Between a stop and this start nothing was watched.
            self._observation.restart(self._recorder.clock())
            # One event per start, so that threads which hung at the last stop still end.
            wake = threading.Event()
            loops = {"fastapi-lens": self._run, "fastapi-lens-minutes": self._collect_minutes}
            threads = [
                # Daemons, because a hanging database must not keep the process from ending.
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
            True if everything is written.
        """
        with self._starting:
            self._wake.set()
            threads, self._threads = self._threads, []
        end = time.monotonic() + timeout_seconds
        for thread in threads:
            # A thread that joins itself raises a RuntimeError.
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
                if thread.is_alive():
                    return (
                        False  # It waits for the database; the daemon thread ends with the process.
                    )
        return self.flush(ending=True)

    def collect(self) -> None:
        """Move the counts from the recorder to the sums that wait now."""
        lost = self._collector.collect()
        if lost:
            self._warn(f"lost {lost} calls")

    def flush(self, *, ending: bool = False) -> bool:
        """Collect and write everything pending, in the calling thread.

        Args:
            ending: This worker writes for the last time.

        Returns:
            True if everything is written; the rest stays pending.
        """
        with self._work:
            self.collect()
            complete_us = microseconds(self._collector.collected_at)
            uses = self._collector.uses(list(self._hooks.open_endpoints()))
            waiting = self._collector or uses or self._log or self._outbox
            if ending and not waiting and not self._heartbeated:
                return True  # It has counted nothing and never announced itself.
            if not self._correction.is_open:
                self._warn("writes nothing yet: the system clock shows a time before 2020; set it")
                return False
            try:
                self._write_pending(uses, complete_us, ending=ending)
            except StorageError as error:
                self._forget_database()
                self._outbox.report_open_calls()
                self.refused = (
                    error if isinstance(error, SchemaTooNewError | ForeignFileError) else None
                )
                level = logging.ERROR if isinstance(error, DamagedFileError) else logging.WARNING
                self._warn(f"could not write; counts wait in memory: {error}", level)
                return False
            self.refused = None
            return True

    def prune(self) -> int:
        """Delete everything older than its retention now; returns the number of rows.

        Deletes nothing while the database does not confirm the time.

        Raises:
            StorageError: The database cannot be written.
        """
        now = self._registration.known_time.confirmed()
        return 0 if now is None else self._pruner.visit(now=now)

    def rediscover(self) -> None:
        """Look for new endpoints at the next flush, without waiting for the interval."""
        self._registration.rediscover()

    @property
    def pending_calls(self) -> int:
        """Calls that are counted and not confirmed as written; never waits for the thread."""
        in_flight = self._outbox.calls
        return in_flight + self._collector.calls

    @property
    def dropped(self) -> int:
        """Calls that will never be written."""
        return self._collector.dropped

    def count_dropped(self) -> None:
        """Count a call that could not be counted; any thread may call it."""
        self._collector.count_dropped()

    def apply(self, config: LensConfig) -> None:
        """Use these settings from now on; any thread may call this."""
        self._log.apply(config)

    def shorten_interval(self, seconds: float) -> None:
        """Set the longest interval between flushes, in seconds."""
        self.interval = min(seconds, self.interval)

    @property
    def _heartbeated(self) -> bool:
        return self._heartbeat_at > float("-inf")

    def _run(self, wake: threading.Event) -> None:
        self._core_share.begin()
        failures = 0
        # The first flush creates the tables and registers the endpoints at once.
        self._flush_at = self._drain_at = time.monotonic()
        while not wake.wait(max(0.0, min(self._flush_at, self._drain_at) - time.monotonic())):
            begun = time.monotonic()
            if begun >= self._flush_at:
                failures = 0 if self._turn() else failures + 1
                # The interval begins with the flush, so that its own work adds no delay.
                self._flush_at = max(begun + self._delay(failures), time.monotonic())
            elif not self._tried(self._drain):
                # Not before the flush, which waits longer after each failure.
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
        """Run one step; an error is logged and never ends the thread. False if the step failed."""
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
        # A power of all failures would overflow a float after some hours.
        longest = min(LONGEST_BACK_OFF_SECONDS, self.interval * 2 ** min(failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311  Spreads load, no secret.

    def _rest(self, seconds: float) -> bool:
        """Wait; true if the worker is shutting down, which also stops the deletion."""
        return self._wake.wait(seconds)

    def _prune_a_little(self) -> None:
        """Continue the deletion if it is due."""
        budget = min(VISIT_SECONDS, self.interval / 2)
        try:
            now = self._registration.known_time.confirmed()
            if now is not None:
                self._pruner.visit_when_due(now=now, budget_seconds=budget)
        except StorageError as error:
            self._warn(f"could not delete what is past its retention: {error}")

    def _write_pending(self, uses: Sequence[Use], complete_us: int, *, ending: bool) -> None:
        begun, interval = time.monotonic(), self._delay(0)
        self._registration.renew(applied=self._outbox.applied, log_applied=self._log.applied)
        if self._registration.was_forgotten:
            # What was written since its backup is lost.
            self._observation.restart(self._collector.collected_at)
        self._put_all(uses, complete_us, ending=ending)
        took = time.monotonic() - begun
        self._let_drain(ending=ending)
        self._registration.correct_times()
        now = self._recorder.clock()
        # Either way: after a step back, the next one would be due much later.
        is_due = abs(now - self._heartbeat_at) >= HEARTBEAT_SECONDS or self._observation.is_urgent
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
            self._beat(heartbeat)
            # One that starts again says so with its first flush.
            self._heartbeat_at = float("-inf") if ending else now
        self._take_settings()
        # Last, so that log rows which the database refuses delay nothing else.
        self._log.carry(ending=ending)

    def _beat(self, heartbeat: Heartbeat) -> None:
        """Write a heartbeat, and mark the minutes that were recorded and are written now."""
        observed = self._observation.report(
            heartbeat.complete_to_us / 1_000_000,
            is_confirmed=self._registration.known_time.agrees,
        )
        self._marks.prepare(observed)
        is_marked = beat(
            self._database,
            self._worker,
            heartbeat,
            self._recorder.clock,
            mark=lambda connection: self._marks.mark(
                connection, observed, applied=self._outbox.applied
            ),
        )
        if is_marked:
            self._observation.written(observed)
        else:
            self._forget_database()
        if self._marks_idle and self._registration.known_time.agrees:
            # Once: from its start on, this worker lives itself.
            self._marks_idle = False
            self._mark_idle()

    def _mark_idle(self) -> None:
        """Mark the time before this worker in which no other one lived, as `idle` allows."""
        if self._correction.has_jumped:
            return  # The time of its start may be that of a wrong clock.
        with self._database.read() as connection:
            minutes = idle_minutes(connection, self._worker)
        mark_minutes(self._database, self._worker.app, self._worker.release, minutes)

    def _forget_database(self) -> None:
        """Register everything again at the next flush: the database may be a different one."""
        self._registration.forget()
        self._marks.forget()

    def _put_all(self, uses: Sequence[Use], complete_us: int, *, ending: bool) -> None:
        """Put everything that waits into the inbox."""
        left = self._outbox.send(uses, complete_us, ending=ending, register=self._register)
        if left is not None:
            self._stretch(left)

    def _register(self) -> None:
        self._registration.register(applied=self._outbox.applied, log_applied=self._log.applied)

    def _stretch(self, left: int) -> None:
        """Flush less often while the inbox is emptied more slowly than it is filled.

        Args:
            left: Batches of earlier flushes of this worker that are still in the inbox.
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
        """Apply changed settings. After the counts, which must not wait for a failing read."""
        try:
            self._hooks.refresh_settings()
        except StorageError as error:
            # The next write will fail, too, and be reported.
            logger.debug("fastapi_lens could not read its settings: %s", error)

    def _warn(self, sentence: str, level: int = logging.WARNING) -> None:
        """Warn, at most once a minute."""
        now = time.monotonic()
        if now - self._logged_at >= QUIET_LOG_SECONDS:
            self._logged_at = now
            logger.log(level, "fastapi_lens %s", sentence)
