"""Deleting many rows in short transactions. Knows not which rows, or when.

A chunk is one transaction. It takes as many rows as the one before shows to be right, so that
whoever waits for the same lock waits for some milliseconds on any machine and database.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, REQUEST, STATUS

SLICE_SECONDS = 0.005
"""What a chunk aims at; the promise is 50 ms, and a machine may get slower from one to the next."""

_FIRST_ROWS, _FEWEST_ROWS, _MOST_ROWS = 100, 10, 5_000


class Chunk(NamedTuple):
    """One short transaction: the rows that it has deleted, and how long it took."""

    rows: int
    seconds: float


class AdaptiveBatchSize:
    """How much the next chunk takes, from how long the last one took.

    Args:
        timer: Seconds that pass.

    Attributes:
        size: Rows, or whatever else is counted, of the next chunk.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """Begin with a chunk that is short anywhere."""
        self.timer = timer
        self.size = _FIRST_ROWS

    def note(self, rows: int, seconds: float) -> None:
        """Learn from a chunk."""
        if rows:
            fitting = rows * SLICE_SECONDS / max(seconds, 1e-6)
            # Not too fast upwards: a single fast one proves little.
            wanted = min(max(fitting, self.size / 4), self.size * 2)
            self.size = int(min(max(wanted, _FEWEST_ROWS), _MOST_ROWS))


@dataclass(frozen=True, slots=True)
class RangeDelete:
    """Rows that lie before a bucket, in a table whose primary key is in the order of time.

    Attributes:
        table: Where they are.
        where: What else they have in common: their tier, their app.
        bucket: The column of the time.
        endpoint: The next one of the primary key.
        limit: The first bucket that stays.
    """

    table: sa.Table
    where: sa.ColumnElement[bool]
    bucket: sa.Column[int]
    endpoint: sa.Column[int]
    limit: int

    @classmethod
    def of_tier(cls, tier: Tier, limit: int, app: str | None = None) -> "RangeDelete":
        """The sums of one tier, of one app or of all."""
        of_tier = BUCKET.c.tier == tier.value
        where = of_tier if app is None else of_tier & BUCKET.c.endpoint_id.in_(ids_of(app))
        return cls(BUCKET, where, BUCKET.c.bucket, BUCKET.c.endpoint_id, limit)

    @classmethod
    def of_statuses(cls, limit: int, app: str | None = None) -> "RangeDelete":
        """The status codes, which are kept by day, of one app or of all."""
        where = sa.true() if app is None else STATUS.c.endpoint_id.in_(ids_of(app))
        return cls(STATUS, where, STATUS.c.day, STATUS.c.endpoint_id, limit)

    @classmethod
    def of_requests(cls, where: sa.ColumnElement[bool], limit: int) -> "RangeDelete":
        """The requests of the log, whose ids are in the order of time."""
        return cls(REQUEST, where, REQUEST.c.id, REQUEST.c.id, limit)


def ids_of(app: str) -> sa.Select[tuple[int]]:
    """The ids of an app's endpoints, for a condition on tables that know no app."""
    return sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app == app)


def is_only_app(database: Database, app: str) -> bool:
    """Whether no other app has counts in this database, so that nobody has to look whose they are.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        other = connection.execute(sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app != app).limit(1))
        return other.first() is None


def range_chunks(
    database: Database, range_delete: RangeDelete, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete rows, the oldest first; yields each chunk when it is deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    # Never again from the beginning: PostgreSQL would walk over what was deleted already.
    start: int | None = 0
    while start is not None:
        with database.read() as connection:
            found = _next_slice(connection, range_delete, start, batch_size.size)
        if found is None:
            return
        condition, start = found
        yield delete_chunk(database, range_delete.table, condition, batch_size)


def _next_slice(
    connection: Connection, range_delete: RangeDelete, start: int, size: int
) -> tuple[sa.ColumnElement[bool], int | None] | None:
    """The condition of the next rows and the bucket that they end in; None when there are none.

    The bucket is None when these are the last ones.
    """
    left = sa.and_(
        range_delete.where, range_delete.bucket >= start, range_delete.bucket < range_delete.limit
    )
    rows = (
        sa.select(range_delete.bucket, range_delete.endpoint)
        .where(left)
        .order_by(range_delete.bucket, range_delete.endpoint)
    )
    if connection.execute(rows.limit(1)).first() is None:
        return None
    end = connection.execute(rows.limit(1).offset(size - 1)).first()
    if end is None:
        return left, None
    # Bounds of the first column alone, which every database finds through the primary key.
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
) -> Chunk:
    """Delete rows in one transaction, and learn from it.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        # Whoever waits for the lock holds up nobody yet.
        begun = batch_size.timer()
        rows = connection.execute(sa.delete(table).where(condition)).rowcount
        if rows:
            note_change(database, connection)
    done = Chunk(rows, batch_size.timer() - begun)
    batch_size.note(*done)
    return done
