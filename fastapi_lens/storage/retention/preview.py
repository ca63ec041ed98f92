"""Preview of another retention, with the same bounds as the deletion.

Counts rows and deletes none; the deletion itself is `pruner.app_chunks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.caller_deletion import first_week
from fastapi_lens.storage.retention.chunks import ids_of, kinds_of
from fastapi_lens.storage.retention.log_deletion import request_id_at
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, REQUEST_ID_BITS, Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    REQUEST,
    STATUS,
    USE_WEEK,
)
from fastapi_lens.storage.writing.log_writer import COUNTED_TIERS

MOST_COUNTED = 1_000_000
"""Number up to which rows of one kind are counted, because counting takes time."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Rows that a shorter retention would delete and the present one keeps.

    Attributes:
        rows: Their number; if `more` is true, there are more than that.
        oldest: Start of the oldest of them, in epoch seconds; None without any.
        before: Epoch seconds before which nothing would be kept; None if there is no limit.
    """

    rows: int
    more: bool
    oldest: int | None
    before: int | None

    @property
    def days(self) -> int:
        """Days of history that would be deleted, partial days included."""
        if self.oldest is None or self.before is None:
            return 0
        return max(1, -((self.oldest - self.before) // Tier.DAY))


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows of one kind between the bounds of two retentions.

    Attributes:
        column: The column with their time.
        where: Condition of the rows.
        times: Factor that, with the divisor `over`, converts the column to epoch seconds.
    """

    column: sa.Column[int]
    where: sa.ColumnElement[bool]
    times: int = 1
    over: int = 1

    def of(self, app: str) -> "_Kind":
        """The rows of an app."""
        table = self.column.table
        if "app" in table.c:
            of_app = table.c.app == app
        elif table is EXCEPTION_COUNT:
            of_app = table.c.failure_id.in_(kinds_of(app))
        else:
            of_app = table.c.endpoint_id.in_(ids_of(app))
        return replace(self, where=self.where & of_app)


def expired(
    database: Database, now_kept: Retention, then: Retention, *, app: str, now: float
) -> Expired:
    """The rows that another retention would delete, besides those that are due anyway.

    Args:
        database: The database with the rows.
        now_kept: The active retention.
        then: The other retention.
        app: The app of the rows.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be read.
    """
    rows, more, oldest = 0, False, list[int]()
    # One transaction, so that a deletion meanwhile changes no number.
    with database.read() as connection:
        for kind in _kinds(now_kept, then, now):
            found, first = _counted(connection, kind.of(app))
            rows, more = rows + min(found, MOST_COUNTED), more or found > MOST_COUNTED
            oldest += [] if first is None else [first * kind.times // kind.over]
    ttl_days = then.ttl_days
    before = None if ttl_days is None else int(now) - ttl_days * Tier.DAY.value
    return Expired(rows, more, min(oldest, default=None), before)


def _kinds(now_kept: Retention, then: Retention, now: float) -> Iterator[_Kind]:
    for tier in Tier:
        first, end = (_first_kept(one.kept_seconds(tier), tier, now) for one in (now_kept, then))
        # Baselines stay.
        first = max(first, BASELINE_BUCKET + 1)
        of_tier = BUCKET.c.tier == tier.value
        buckets = of_tier & _between(BUCKET.c.bucket, first, end)
        yield _Kind(BUCKET.c.bucket, buckets, times=tier.value)
        if tier in COUNTED_TIERS:
            counted = EXCEPTION_COUNT.c.tier == tier.value
            bucket = EXCEPTION_COUNT.c.bucket
            yield _Kind(bucket, counted & _between(bucket, first, end), times=tier.value)
        if tier is Tier.DAY:
            for day in (STATUS.c.day, GONE.c.day):
                yield _Kind(day, _between(day, first, end), times=tier.value)
    first, end = (first_week(one.ttl_days, now=now) for one in (now_kept, then))
    weeks = _between(USE_WEEK.c.week, first, end)
    yield _Kind(USE_WEEK.c.week, weeks, times=Tier.WEEK.value)
    first_us, end_us = (microseconds(now - one.log_kept_seconds) for one in (now_kept, then))
    ids = _between(REQUEST.c.id, request_id_at(first_us), request_id_at(end_us))
    # The id of a request begins with its time.
    yield _Kind(REQUEST.c.id, ids, over=1_000_000 << REQUEST_ID_BITS)
    lasts = _between(EXCEPTION.c.last_at, first_us, end_us)
    yield _Kind(EXCEPTION.c.last_at, lasts, over=1_000_000)


def _first_kept(kept: int | None, tier: Tier, now: float) -> int:
    """The first bucket that stays, the same as in `pruner.app_chunks`."""
    return 0 if kept is None else int(now - kept) // tier


def _between(column: sa.Column[int], first: int, end: int) -> sa.ColumnElement[bool]:
    return (column >= first) & (column < end)


def _counted(connection: Connection, kind: _Kind) -> tuple[int, int | None]:
    """The number of rows, at most one above the limit, and the least of their times."""
    limited = sa.select(kind.column).where(kind.where).limit(MOST_COUNTED + 1).subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(limited)).scalar_one()
    first = connection.execute(sa.select(sa.func.min(kind.column)).where(kind.where)).scalar()
    return int(count), None if first is None else int(first)
