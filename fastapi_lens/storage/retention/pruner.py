"""Retention of each tier, and the deletion of older rows. Knows no thread.

First and last calls, all-time totals and never-called endpoints are in the endpoints' own rows,
which nothing here deletes.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import sqlalchemy as sa

from fastapi_lens.storage.coordination.leases import renew_lease, take_lease
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.audit_deletion import audit_chunks
from fastapi_lens.storage.retention.caller_deletion import first_week, old_chunks, week_chunks
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    ids_of,
    is_only_app,
    kinds_of,
    range_chunks,
)
from fastapi_lens.storage.retention.log_deletion import log_chunks, surplus_chunks
from fastapi_lens.storage.retention.removals import removal_chunks
from fastapi_lens.storage.retention.vacuum import keeps_its_size, space_chunks
from fastapi_lens.storage.retention.worker_deletion import worker_chunks
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, EXCEPTION_COUNT, USE_WEEK
from fastapi_lens.storage.writing.log_writer import COUNTED_TIERS

logger = logging.getLogger("fastapi_lens")

KEPT_SECONDS: Mapping[Tier, int | None] = {
    Tier.MINUTE: 6 * 3_600,
    Tier.HOUR: 35 * 86_400,
    # A verdict looks back for a year and a month, see `verdict.needs.YEAR`.
    Tier.DAY: 400 * 86_400,
    Tier.WEEK: None,
}
"""Retention of each tier in seconds, without `ttl_days`; None means for ever."""

LOG_KEPT_SECONDS = 35 * 86_400
"""Longest retention of the request log in seconds; its row limit may shorten it."""

LEASE = "prune"
EVERY_SECONDS = 60.0
"""Interval at which a worker tries to take the lease."""

PAUSE_SECONDS = 0.01
PAUSE_FACTOR = 60
"""The pause after a chunk is this multiple of its duration, and at least `PAUSE_SECONDS`: SQLite's
writers poll for the lock in place of queueing for it. With this factor, at most one request in
sixty runs beside a chunk on a busy machine, which changes the 99th percentile by less than a
tenth."""


def kept_seconds(tier: Tier, ttl_days: int | None) -> int | None:
    """Retention of a tier in seconds: its own or `ttl_days`, whichever is shorter."""
    kept = KEPT_SECONDS[tier]
    if ttl_days is None:
        return kept
    ttl = ttl_days * Tier.DAY.value
    return ttl if kept is None else min(kept, ttl)


class Retention:
    """Retention of an app, used for reading and deleting; may change while the app runs.

    Attributes:
        ttl_days: Longest retention of the app's counts in days; None for the tiers' own.
        app: The app of the counts; other apps in the same database have their own retention.
        log_max_rows: Most rows of its requests, and of its exceptions; None for no limit.
    """

    def __init__(
        self, ttl_days: int | None = None, *, app: str = "", log_max_rows: int | None = None
    ) -> None:
        """Begin with the configured retention."""
        self.ttl_days = ttl_days
        self.app = app
        self.log_max_rows = log_max_rows

    def keep(self, *, ttl_days: int | None, log_max_rows: int | None) -> None:
        """Go by other settings from now on."""
        self.ttl_days = ttl_days
        self.log_max_rows = log_max_rows

    @property
    def log_kept_seconds(self) -> int:
        """Longest retention of the request log, in seconds."""
        return min(LOG_KEPT_SECONDS, (self.ttl_days or LOG_KEPT_SECONDS) * Tier.DAY.value)

    def kept_seconds(self, tier: Tier) -> int | None:
        """Retention of a tier in seconds; None for ever."""
        return kept_seconds(tier, self.ttl_days)


def prune(database: Database, retention: Retention, *, now: float) -> int:
    """Delete everything past its retention now, without a lease.

    Args:
        database: The database of the rows.
        retention: The retention of one app; other apps have the tiers' own.
        now: Epoch seconds.

    Returns:
        The number of rows deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    # Begun after the app's own chunks, because it ends with freeing their space.
    shared = chunks(database, now=now)
    return sum(done.rows for done in (*app_chunks(database, retention, now=now), *shared))


def chunks(
    database: Database, *, now: float, timer: Callable[[], float] = time.monotonic
) -> Iterator[Chunk]:
    """Delete rows that no app keeps, and free their space; yields each chunk once deleted.

    Args:
        database: The database of the rows.
        now: Epoch seconds.
        timer: Seconds of a monotonic clock.

    Raises:
        StorageError: The database cannot be written.
    """
    batch_size = AdaptiveBatchSize(timer)
    for tier in Tier:
        kept = KEPT_SECONDS[tier]
        if kept is not None:
            yield from _tier_chunks(database, tier, int(now - kept) // tier, batch_size)
    yield from log_chunks(
        database, before_us=microseconds(now - LOG_KEPT_SECONDS), batch_size=batch_size
    )
    yield from old_chunks(database, now=now, batch_size=batch_size)
    yield from audit_chunks(database, now=now, batch_size=batch_size)
    yield from worker_chunks(database, now=now, batch_size=batch_size)
    # A size of its own, because freeing a page takes another time than deleting a row.
    yield from space_chunks(database, AdaptiveBatchSize(timer))


def app_chunks(
    database: Database,
    retention: Retention,
    *,
    now: float,
    timer: Callable[[], float] = time.monotonic,
) -> Iterator[Chunk]:
    """Delete rows past an app's own, shorter retention; yields each chunk once deleted.

    Args:
        database: The database of the rows.
        retention: Their retention and their app.
        now: Epoch seconds.
        timer: Seconds of a monotonic clock.

    Raises:
        StorageError: The database cannot be written.
    """
    batch_size, app = AdaptiveBatchSize(timer), retention.app
    if retention.ttl_days is not None:
        # Without a filter by app, a range of the primary key is deleted.
        alone = is_only_app(database, app)
        for tier in Tier:
            kept = retention.kept_seconds(tier)
            # Where both are equal, the shared deletion does it.
            if kept is not None and kept != KEPT_SECONDS[tier]:
                oldest = int(now - kept) // tier
                yield from _tier_chunks(
                    database, tier, oldest, batch_size, app=None if alone else app
                )
        uses = sa.true() if alone else USE_WEEK.c.endpoint_id.in_(ids_of(app))
        first = first_week(retention.ttl_days, now=now)
        yield from week_chunks(database, uses, first, batch_size)
        before_us = microseconds(now - retention.log_kept_seconds)
        yield from log_chunks(database, before_us=before_us, batch_size=batch_size, app=app)
    if retention.log_max_rows is not None:
        yield from surplus_chunks(
            database, app, max_rows=retention.log_max_rows, batch_size=batch_size
        )


def _tier_chunks(
    database: Database,
    tier: Tier,
    oldest: int,
    batch_size: AdaptiveBatchSize,
    *,
    app: str | None = None,
) -> Iterator[Chunk]:
    """Delete a tier's rows before a bucket, of one app or of all.

    With days go status codes, and calls of removed endpoints; with minutes and hours, the counts of
    exceptions.
    """
    where = None if app is None else BUCKET.c.endpoint_id.in_(ids_of(app))
    yield from range_chunks(database, RangeDelete.of_tier(tier, oldest, where), batch_size)
    if tier in COUNTED_TIERS:
        kinds = None if app is None else EXCEPTION_COUNT.c.failure_id.in_(kinds_of(app))
        counts = RangeDelete.of_exception_counts(tier, oldest, kinds)
        yield from range_chunks(database, counts, batch_size)
    if tier is Tier.DAY:
        yield from range_chunks(database, RangeDelete.of_statuses(oldest, app), batch_size)
        yield from range_chunks(database, RangeDelete.of_gone(oldest, app), batch_size)


def lease_of(app: str) -> str:
    """The name of the lease of an app's own deletion; fits the column for any app."""
    return f"{LEASE} {hashlib.sha256(app.encode()).hexdigest()[:32]}"


@dataclass(slots=True)
class _Tally:
    """Totals of one deletion so far."""

    rows: int = 0
    chunks: int = 0
    longest_seconds: float = 0.0

    def add(self, done: Chunk) -> None:
        self.rows += done.rows
        self.chunks += 1
        self.longest_seconds = max(self.longest_seconds, done.seconds)

    def log(self) -> None:
        if self.chunks:
            logger.debug(
                "fastapi_lens deleted %d rows past their retention; the longest of %d chunks "
                "took %.1f ms",
                self.rows,
                self.chunks,
                self.longest_seconds * 1_000,
            )


class _Job:
    """A deletion that one worker at a time does, over many visits.

    The worker that has begun continues until all is done; if it dies, another one begins again
    once its lease has expired.

    Args:
        lease: Name of its lease.
        begin: Returns the chunks of a deletion that begins at a time, in epoch seconds.
    """

    def __init__(
        self, database: Database, lease: str, owner: str, begin: Callable[[float], Iterator[Chunk]]
    ) -> None:
        self._database = database
        self._lease = lease
        self._owner = owner
        self._begin = begin
        self._running: Iterator[Chunk] | None = None
        self._tally = _Tally()

    @property
    def is_under_way(self) -> bool:
        return self._running is not None

    def visit(self, *, now: float, over: Callable[[Chunk], bool]) -> tuple[int, bool]:
        """Begin or continue; returns the number of deleted rows, and true if the visit is over.

        Args:
            now: Epoch seconds.
            over: Pauses after a chunk; returns true if the visit is over.
        """
        # Forgotten first, so that the visit after an error begins again.
        running, self._running = self._running, None
        turn = take_lease if running is None else renew_lease
        if not turn(self._database, self._lease, owner=self._owner, now=now):
            return 0, False
        if running is None:
            running, self._tally = self._begin(now), _Tally()
        before = self._tally.rows
        for done in running:
            self._tally.add(done)
            if over(done):
                self._running = running
                return self._tally.rows - before, True
        self._tally.log()
        return self._tally.rows - before, False


class Pruner:
    """Deletes rows past their retention, a few at each visit, for all workers.

    The worker that deletes an app's rows also notes which of its endpoints were removed.

    Rows that no app keeps are one job, rows past an app's own retention another one: so several
    apps can share a database with different retentions.

    Args:
        database: The database of the rows.
        retention: Their retention and their app; the app stays the same.
        owner: The id of the calling worker.
        rest: Waits some seconds between two chunks; returns true if the visit has to end.
        timer: Seconds of a monotonic clock.
    """

    def __init__(
        self,
        database: Database,
        retention: Retention,
        *,
        owner: str,
        rest: Callable[[float], bool],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Delete nothing yet."""
        self._database = database
        self._rest = rest
        self._timer = timer
        self._asked_at = float("-inf")
        self._logged = False
        self._jobs = (
            _Job(database, LEASE, owner, lambda now: chunks(database, now=now, timer=timer)),
            _Job(
                database,
                lease_of(retention.app),
                owner,
                lambda now: chain(
                    # First, because deleting rows may take many visits.
                    removal_chunks(database, retention.app, now=now, timer=timer),
                    app_chunks(database, retention, now=now, timer=timer),
                ),
            ),
        )

    def visit_when_due(self, *, now: float, budget_seconds: float) -> int:
        """Call `visit` if a deletion of this worker is running, or if a minute has passed."""
        at = self._timer()
        if not any(job.is_under_way for job in self._jobs):
            if at - self._asked_at < EVERY_SECONDS:
                return 0
            self._asked_at = at
        return self.visit(now=now, budget_seconds=budget_seconds)

    def visit(self, *, now: float, budget_seconds: float | None = None) -> int:
        """Begin or continue the deletions whose leases this worker has.

        Args:
            now: Epoch seconds.
            budget_seconds: Longest duration, with the pauses and up to one chunk more; None
                deletes everything at once and without pauses.

        Returns:
            The number of rows deleted.

        Raises:
            StorageError: The database cannot be written; the next visit begins again.
        """
        end = self._timer() + (budget_seconds or 0.0)
        deleted = 0
        for job in self._jobs:
            rows, is_over = job.visit(
                now=now, over=lambda done: budget_seconds is not None and self._ends(done, end)
            )
            deleted += rows
            if is_over:
                return deleted
        self._log_fixed_size()
        return deleted

    def _ends(self, done: Chunk, end: float) -> bool:
        """Pause after a chunk; true if the visit is over."""
        pause = max(PAUSE_SECONDS, PAUSE_FACTOR * done.seconds)
        # A pause that outlasts the visit would only delay the next flush.
        return self._timer() + pause > end or self._rest(pause)

    def _log_fixed_size(self) -> None:
        """Log once if this file cannot shrink."""
        if not self._logged and keeps_its_size(self._database):
            self._logged = True
            logger.info(
                "fastapi_lens cannot shrink its file, because another program created it; this "
                "can, while nobody uses it: PRAGMA auto_vacuum=INCREMENTAL; VACUUM"
            )
