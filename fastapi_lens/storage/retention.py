"""How long each tier is kept, and the deletion of what is older. Knows no thread.

First and last calls, all-time totals and which endpoints were never called lie in the endpoints'
own rows, which nothing here touches.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastapi_lens.storage.audit import audit_slices
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.deletion import Pace, Past, Slice, past_slices, worker_slices
from fastapi_lens.storage.leases import renew_lease, take_lease
from fastapi_lens.storage.log_deletion import log_slices
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.space import keeps_its_size, space_slices

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
PAUSE_FACTOR = 30
"""So many times as long as a slice nobody is held up after it, and `PAUSE_SECONDS` at least:
SQLite's writers ask for the lock now and then instead of queueing for it. And whoever is served
while a slice takes a core of a busy machine is one in thirty then, whose slower answers do not
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
        ttl_days: Days that counts are kept at most; None keeps the tiers' own retention.
        log_app: The app whose log is cut to so many rows; None cuts none.
        log_max_rows: Rows of its requests that are kept, and of its exceptions.
    """

    def __init__(self, ttl_days: int | None = None) -> None:
        """Begin with what is configured."""
        self.ttl_days = ttl_days
        self.log_app: str | None = None
        self.log_max_rows = 0

    @property
    def log_kept_seconds(self) -> int:
        """Seconds that the request log is kept at most."""
        return min(LOG_KEPT_SECONDS, (self.ttl_days or LOG_KEPT_SECONDS) * Tier.DAY.value)

    def kept_seconds(self, tier: Tier) -> int | None:
        """Seconds that a tier is kept; None for ever."""
        return kept_seconds(tier, self.ttl_days)


def prune(database: Database, *, now: float, ttl_days: int | None) -> int:
    """Delete everything that is past its retention, at once and whoever else does.

    Args:
        database: Whose rows.
        now: Epoch seconds.
        ttl_days: The retention in days, or None.

    Returns:
        The number of rows deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    return sum(done.rows for done in slices(database, Retention(ttl_days), now=now))


def slices(
    database: Database,
    retention: Retention,
    *,
    now: float,
    timer: Callable[[], float] = time.monotonic,
) -> Iterator[Slice]:
    """Delete what is past its retention, and give its space back; gives each slice when it is done.

    Args:
        database: Whose rows.
        retention: How long they are kept.
        now: Epoch seconds.
        timer: Seconds that pass.

    Raises:
        StorageError: The database cannot be written.
    """
    pace = Pace(timer)
    for tier in Tier:
        kept = retention.kept_seconds(tier)
        if kept is None:
            continue
        oldest = int(now - kept) // tier
        yield from past_slices(database, Past.of_tier(tier, oldest), pace)
        if tier is Tier.DAY:
            yield from past_slices(database, Past.of_statuses(oldest), pace)
    yield from log_slices(
        database,
        before_us=round((now - retention.log_kept_seconds) * 1_000_000),
        app=retention.log_app,
        max_rows=retention.log_max_rows,
        pace=pace,
    )
    yield from audit_slices(database, now=now, pace=pace)
    yield from worker_slices(database, now=now, pace=pace)
    yield from space_slices(database, Pace(timer))


@dataclass(slots=True)
class _Tally:
    """What one deletion has done so far."""

    rows: int = 0
    slices: int = 0
    longest_seconds: float = 0.0

    def add(self, done: Slice) -> None:
        self.rows += done.rows
        self.slices += 1
        self.longest_seconds = max(self.longest_seconds, done.seconds)


class Pruner:
    """Deletes what is past its retention, a little at each visit, for all workers.

    One worker at a time does it. Whoever has begun goes on until all is done; when it dies,
    another one begins anew as soon as its lease has run out.

    Args:
        database: Whose rows.
        retention: How long they are kept.
        owner: The worker who asks.
        rest: Waits so many seconds between two slices; true when the visit has to end.
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
        self._retention = retention
        self._owner = owner
        self._rest = rest
        self._timer = timer
        self._left: Iterator[Slice] | None = None
        self._tally = _Tally()
        self._asked_at = float("-inf")
        self._said = False

    def visit_when_due(self, *, now: float, budget_seconds: float) -> int:
        """A `visit`, where this worker has one under way or has not asked for a minute."""
        at = self._timer()
        if self._left is None:
            if at - self._asked_at < EVERY_SECONDS:
                return 0
            self._asked_at = at
        return self.visit(now=now, budget_seconds=budget_seconds)

    def visit(self, *, now: float, budget_seconds: float | None = None) -> int:
        """Begin, or go on, where it is this worker's turn.

        Args:
            now: Epoch seconds.
            budget_seconds: How long this may take, with the rests and up to one slice more; None
                does everything at once and without a rest.

        Returns:
            The number of rows deleted.

        Raises:
            StorageError: The database cannot be written; the next turn begins anew.
        """
        left, self._left = self._left, None
        turn = take_lease if left is None else renew_lease
        if not turn(self._database, LEASE, owner=self._owner, now=now):
            return 0
        if left is None:
            left = slices(self._database, self._retention, now=now, timer=self._timer)
            self._tally = _Tally()
        before, end = self._tally.rows, self._timer() + (budget_seconds or 0.0)
        for done in left:
            self._tally.add(done)
            if budget_seconds is not None and self._ends(done, end):
                self._left = left
                break
        else:
            self._tell()
        return self._tally.rows - before

    def _ends(self, done: Slice, end: float) -> bool:
        """Rest after a slice; whether the visit is over."""
        pause = max(PAUSE_SECONDS, PAUSE_FACTOR * done.seconds)
        return self._timer() + pause > end or self._rest(pause)

    def _tell(self) -> None:
        """Say what came of a deletion, and once what cannot be done about this file."""
        tally = self._tally
        if tally.slices:
            logger.debug(
                "fastapi_lens deleted %d rows past their retention; the longest of %d slices "
                "took %.1f ms",
                tally.rows,
                tally.slices,
                tally.longest_seconds * 1_000,
            )
        if not self._said and keeps_its_size(self._database):
            self._said = True
            logger.info(
                "fastapi_lens cannot make its file smaller, which another program made; this "
                "does, while nobody uses it: PRAGMA auto_vacuum=INCREMENTAL; VACUUM"
            )
