"""How long each tier is kept, and the deletion of what is older. Knows no thread.

First and last calls, all-time totals and which endpoints were never called lie in the endpoints'
own rows, which nothing here touches.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastapi_lens.storage.coordination.leases import renew_lease, take_lease
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.audit_deletion import audit_chunks
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    is_only_app,
    range_chunks,
)
from fastapi_lens.storage.retention.log_deletion import log_chunks, surplus_chunks
from fastapi_lens.storage.retention.vacuum import keeps_its_size, space_chunks
from fastapi_lens.storage.retention.worker_deletion import worker_chunks
from fastapi_lens.storage.schema.models import Tier

logger = logging.getLogger("fastapi_lens")

KEPT_SECONDS: Mapping[Tier, int | None] = {
    Tier.MINUTE: 6 * 3_600,
    Tier.HOUR: 35 * 86_400,
    Tier.DAY: 400 * 86_400,
    Tier.WEEK: None,
}
"""Seconds that each tier is kept when `ttl_days` is not set; None is for ever."""

LOG_KEPT_SECONDS = 35 * 86_400
"""Seconds that the request log is kept at most; the number of its rows ends it sooner."""

LEASE = "prune"
EVERY_SECONDS = 60.0
"""Between two questions of one worker whether it is its turn."""

PAUSE_SECONDS = 0.01
PAUSE_FACTOR = 60
"""So many times as long as a chunk nobody is held up after it, and `PAUSE_SECONDS` at least:
SQLite's writers ask for the lock now and then instead of queueing for it. And whoever is served
while a chunk takes a core of a busy machine is one in sixty then, whose slower answers do not
move the 99th percentile by a tenth."""


def kept_seconds(tier: Tier, ttl_days: int | None) -> int | None:
    """Seconds that a tier is kept: its own retention or `ttl_days`, whichever is shorter."""
    kept = KEPT_SECONDS[tier]
    if ttl_days is None:
        return kept
    ttl = ttl_days * Tier.DAY.value
    return ttl if kept is None else min(kept, ttl)


class Retention:
    """What is kept, asked for by whoever reads or deletes; may change while the app runs.

    Attributes:
        ttl_days: Days that the app's counts are kept at most; None keeps the tiers' own retention.
        app: Whose counts; other apps of the same database have a retention of their own.
        log_max_rows: Rows of its requests that are kept, and of its exceptions; None is all.
    """

    def __init__(
        self, ttl_days: int | None = None, *, app: str = "", log_max_rows: int | None = None
    ) -> None:
        """Begin with what is configured."""
        self.ttl_days = ttl_days
        self.app = app
        self.log_max_rows = log_max_rows

    def keep(self, *, ttl_days: int | None, log_max_rows: int | None) -> None:
        """Go by other settings from now on."""
        self.ttl_days = ttl_days
        self.log_max_rows = log_max_rows

    @property
    def log_kept_seconds(self) -> int:
        """Seconds that the request log is kept at most."""
        return min(LOG_KEPT_SECONDS, (self.ttl_days or LOG_KEPT_SECONDS) * Tier.DAY.value)

    def kept_seconds(self, tier: Tier) -> int | None:
        """Seconds that a tier is kept; None for ever."""
        return kept_seconds(tier, self.ttl_days)


def prune(database: Database, retention: Retention, *, now: float) -> int:
    """Delete everything that is past its retention, at once and whoever else does.

    Args:
        database: Whose rows.
        retention: Of one app; those of others go by the tiers' own.
        now: Epoch seconds.

    Returns:
        The number of rows deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    shared = chunks(database, now=now)
    return sum(done.rows for done in (*app_chunks(database, retention, now=now), *shared))


def chunks(
    database: Database, *, now: float, timer: Callable[[], float] = time.monotonic
) -> Iterator[Chunk]:
    """Delete what no app keeps, and give its space back; yields each chunk when it is deleted.

    Args:
        database: Whose rows.
        now: Epoch seconds.
        timer: Seconds that pass.

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
    yield from audit_chunks(database, now=now, batch_size=batch_size)
    yield from worker_chunks(database, now=now, batch_size=batch_size)
    yield from space_chunks(database, AdaptiveBatchSize(timer))


def app_chunks(
    database: Database,
    retention: Retention,
    *,
    now: float,
    timer: Callable[[], float] = time.monotonic,
) -> Iterator[Chunk]:
    """Delete what an app keeps for less time than others may; yields each chunk when it is deleted.

    Args:
        database: Whose rows.
        retention: How long they are kept, and whose.
        now: Epoch seconds.
        timer: Seconds that pass.

    Raises:
        StorageError: The database cannot be written.
    """
    batch_size, app = AdaptiveBatchSize(timer), retention.app
    if retention.ttl_days is not None:
        alone = is_only_app(database, app)
        for tier in Tier:
            kept = retention.kept_seconds(tier)
            if kept is not None and kept != KEPT_SECONDS[tier]:
                oldest = int(now - kept) // tier
                yield from _tier_chunks(
                    database, tier, oldest, batch_size, app=None if alone else app
                )
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
    """The sums before a bucket, and what is kept as long as they are, of one app or of all."""
    yield from range_chunks(database, RangeDelete.of_tier(tier, oldest, app), batch_size)
    if tier is Tier.DAY:
        yield from range_chunks(database, RangeDelete.of_statuses(oldest, app), batch_size)


def lease_of(app: str) -> str:
    """The name of the lease of an app's own deletion: as long as the column, for any app."""
    return f"{LEASE} {hashlib.sha256(app.encode()).hexdigest()[:32]}"


@dataclass(slots=True)
class _Tally:
    """What one deletion has done so far."""

    rows: int = 0
    chunks: int = 0
    longest_seconds: float = 0.0

    def add(self, done: Chunk) -> None:
        self.rows += done.rows
        self.chunks += 1
        self.longest_seconds = max(self.longest_seconds, done.seconds)

    def tell(self) -> None:
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

    Whoever has begun goes on until all is done; when it dies, another one begins anew as soon as
    its lease has run out.

    Args:
        lease: Names it in the database.
        begin: Gives the chunks of a deletion that begins at this time, in epoch seconds.
    """

    def __init__(
        self, database: Database, lease: str, owner: str, begin: Callable[[float], Iterator[Chunk]]
    ) -> None:
        self._database = database
        self._lease = lease
        self._owner = owner
        self._begin = begin
        self._left: Iterator[Chunk] | None = None
        self._tally = _Tally()

    @property
    def is_under_way(self) -> bool:
        return self._left is not None

    def visit(self, *, now: float, over: Callable[[Chunk], bool]) -> tuple[int, bool]:
        """Begin, or go on; gives the rows deleted, and whether the visit is over.

        Args:
            now: Epoch seconds.
            over: Rests after a chunk, and says whether the visit is over.
        """
        left, self._left = self._left, None
        turn = take_lease if left is None else renew_lease
        if not turn(self._database, self._lease, owner=self._owner, now=now):
            return 0, False
        if left is None:
            left, self._tally = self._begin(now), _Tally()
        before = self._tally.rows
        for done in left:
            self._tally.add(done)
            if over(done):
                self._left = left
                return self._tally.rows - before, True
        self._tally.tell()
        return self._tally.rows - before, False


class Pruner:
    """Deletes what is past its retention, a little at each visit, for all workers.

    What no app keeps is one job, and what one keeps for less time is another: so several apps
    can share a database, and each has its own retention.

    Args:
        database: Whose rows.
        retention: How long they are kept, and whose; the app stays the same.
        owner: The worker who asks.
        rest: Waits so many seconds between two chunks; true when the visit has to end.
        timer: Seconds that pass.
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
        self._said = False
        self._jobs = (
            _Job(database, LEASE, owner, lambda now: chunks(database, now=now, timer=timer)),
            _Job(
                database,
                lease_of(retention.app),
                owner,
                lambda now: app_chunks(database, retention, now=now, timer=timer),
            ),
        )

    def visit_when_due(self, *, now: float, budget_seconds: float) -> int:
        """A `visit`, where this worker has one under way or has not asked for a minute."""
        at = self._timer()
        if not any(job.is_under_way for job in self._jobs):
            if at - self._asked_at < EVERY_SECONDS:
                return 0
            self._asked_at = at
        return self.visit(now=now, budget_seconds=budget_seconds)

    def visit(self, *, now: float, budget_seconds: float | None = None) -> int:
        """Begin, or go on, where it is this worker's turn.

        Args:
            now: Epoch seconds.
            budget_seconds: How long this may take, with the rests and up to one chunk more; None
                does everything at once and without a rest.

        Returns:
            The number of rows deleted.

        Raises:
            StorageError: The database cannot be written; the next turn begins anew.
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
        self._say_what_stays()
        return deleted

    def _ends(self, done: Chunk, end: float) -> bool:
        """Rest after a chunk; whether the visit is over."""
        pause = max(PAUSE_SECONDS, PAUSE_FACTOR * done.seconds)
        return self._timer() + pause > end or self._rest(pause)

    def _say_what_stays(self) -> None:
        """Say once what cannot be done about this file."""
        if not self._said and keeps_its_size(self._database):
            self._said = True
            logger.info(
                "fastapi_lens cannot make its file smaller, which another program made; this "
                "does, while nobody uses it: PRAGMA auto_vacuum=INCREMENTAL; VACUUM"
            )
