"""Deletion of many rows in short transactions. Knows no retention and no schedule.

A chunk is one transaction. Its size follows from the duration of the one before, so that others who
need the same lock wait for some milliseconds only, on any machine and database.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.baselines import add_to_baselines
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    REQUEST,
    STATUS,
)

CHUNK_SECONDS = 0.005
"""Target duration of a chunk. The promise is 50 ms, but a machine may suddenly become slower."""

_FIRST_ROWS, _FEWEST_ROWS, _MOST_ROWS = 100, 10, 5_000

BeforeDelete = Callable[[Database, Connection, sa.ColumnElement[bool]], None]
"""Called with the condition of rows, in the transaction that deletes them, before it does."""


class Chunk(NamedTuple):
    """One short transaction: the number of deleted rows, and its duration."""

    rows: int
    seconds: float


class AdaptiveBatchSize:
    """Size of the next chunk, derived from the duration of the last one.

    Args:
        timer: Seconds of a monotonic clock.

    Attributes:
        size: Number of rows, or of other units, of the next chunk.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """Begin with a chunk that is short on any machine."""
        self.timer = timer
        self.size = _FIRST_ROWS

    def note(self, rows: int, seconds: float) -> None:
        """Adapt the size to the duration of a chunk."""
        if rows:
            fitting = rows * CHUNK_SECONDS / max(seconds, 1e-6)
            # Grows slowly, because a single fast chunk proves little.
            wanted = min(max(fitting, self.size / 4), self.size * 2)
            self.size = int(min(max(wanted, _FEWEST_ROWS), _MOST_ROWS))


@dataclass(frozen=True, slots=True)
class RangeDelete:
    """Rows before a bucket, in a table whose primary key is ordered by time.

    Attributes:
        table: The table.
        where: Further conditions, such as their tier or their app.
        bucket: The column with the time.
        endpoint: The next column of the primary key.
        limit: The first bucket to keep.
        before: Keeps what must outlive the rows; None without any.
    """

    table: sa.Table
    where: sa.ColumnElement[bool]
    bucket: sa.Column[int]
    endpoint: sa.Column[int]
    limit: int
    before: BeforeDelete | None = None

    @classmethod
    def of_tier(
        cls, tier: Tier, limit: int, where: sa.ColumnElement[bool] | None = None
    ) -> "RangeDelete":
        """The buckets of one tier, whose sums stay in the baselines of their endpoints.

        Args:
            tier: The tier.
            limit: The first bucket to keep.
            where: Condition of the endpoints; None for all.
        """
        rows = BUCKET.c.tier == tier.value
        rows = rows if where is None else rows & where
        deleted = cls(BUCKET, rows, BUCKET.c.bucket, BUCKET.c.endpoint_id, limit)
        if tier is not Tier.WEEK:
            return deleted
        weeks = rows & (BUCKET.c.bucket > BASELINE_BUCKET)
        return replace(deleted, where=weeks, before=add_to_baselines)

    @classmethod
    def of_statuses(cls, limit: int, app: str | None = None) -> "RangeDelete":
        """The status codes, which are kept by day, of one app or of all."""
        where = sa.true() if app is None else STATUS.c.endpoint_id.in_(ids_of(app))
        return cls(STATUS, where, STATUS.c.day, STATUS.c.endpoint_id, limit)

    @classmethod
    def of_gone(cls, limit: int, app: str | None = None) -> "RangeDelete":
        """The calls of removed endpoints, which are kept by day, of one app or of all."""
        where = sa.true() if app is None else GONE.c.endpoint_id.in_(ids_of(app))
        return cls(GONE, where, GONE.c.day, GONE.c.endpoint_id, limit)

    @classmethod
    def of_exception_counts(
        cls, tier: Tier, limit: int, where: sa.ColumnElement[bool] | None = None
    ) -> "RangeDelete":
        """The counts of exceptions in one tier, see `of_tier`."""
        rows = EXCEPTION_COUNT.c.tier == tier.value
        rows = rows if where is None else rows & where
        bucket, kind = EXCEPTION_COUNT.c.bucket, EXCEPTION_COUNT.c.failure_id
        return cls(EXCEPTION_COUNT, rows, bucket, kind, limit)

    @classmethod
    def of_requests(cls, where: sa.ColumnElement[bool], limit: int) -> "RangeDelete":
        """The requests of the log, whose ids are ordered by time."""
        return cls(REQUEST, where, REQUEST.c.id, REQUEST.c.id, limit)


def ids_of(app: str) -> sa.Select[tuple[int]]:
    """The ids of an app's endpoints, for a condition on tables without a column of the app."""
    return sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app == app)


def kinds_of(app: str) -> sa.Select[tuple[int]]:
    """The ids of an app's kinds of exceptions, for a condition on their counts."""
    return sa.select(EXCEPTION.c.id).where(EXCEPTION.c.app == app)


def is_only_app(database: Database, app: str) -> bool:
    """True if no other app has counts in this database, so that queries need no filter by app.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        other = connection.execute(sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app != app).limit(1))
        return other.first() is None


def range_chunks(
    database: Database, range_delete: RangeDelete, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete rows, the oldest first; yields each chunk once deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    # Continues at the last bucket, because PostgreSQL would scan deleted rows again.
    start: int | None = 0
    while start is not None:
        with database.read() as connection:
            found = _next_chunk(connection, range_delete, start, batch_size.size)
        if found is None:
            return
        condition, start = found
        before = range_delete.before
        yield delete_chunk(database, range_delete.table, condition, batch_size, before=before)


def _next_chunk(
    connection: Connection, range_delete: RangeDelete, start: int, size: int
) -> tuple[sa.ColumnElement[bool], int | None] | None:
    """The condition of the next rows and the bucket that they end in; None if there are none.

    The bucket is None if these are the last rows.
    """
    left = sa.and_(
        range_delete.where, range_delete.bucket >= start, range_delete.bucket < range_delete.limit
    )
    rows = (
        sa.select(range_delete.bucket, range_delete.endpoint)
        .where(left)
        .order_by(range_delete.bucket, range_delete.endpoint)
    )
    # With an offset, no rows at all look the same as fewer than a chunk.
    if connection.execute(rows.limit(1)).first() is None:
        return None
    end = connection.execute(rows.limit(1).offset(size - 1)).first()
    if end is None:
        return left, None
    # Bounds of the first column, which every database can use with the primary key.
    condition = sa.and_(
        range_delete.where,
        range_delete.bucket >= start,
        range_delete.bucket <= end[0],
        (range_delete.bucket < end[0]) | (range_delete.endpoint <= end[1]),
    )
    return condition, end[0]


def delete_chunk(
    database: Database,
    table: sa.Table,
    condition: sa.ColumnElement[bool],
    batch_size: AdaptiveBatchSize,
    *,
    before: BeforeDelete | None = None,
) -> Chunk:
    """Delete rows in one transaction, and adapt the size of the next.

    Args:
        database: The database of the rows.
        table: Their table.
        condition: Their condition.
        batch_size: The size to adapt.
        before: See `RangeDelete`.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        # Measured after the wait for the lock, during which nobody else is delayed.
        begun = batch_size.timer()
        if before is not None:
            before(database, connection, condition)
        rows = connection.execute(sa.delete(table).where(condition)).rowcount
        # An empty chunk changes no answer, so caches stay valid.
        if rows:
            note_change(database, connection)
    done = Chunk(rows, batch_size.timer() - begun)
    batch_size.note(*done)
    return done
