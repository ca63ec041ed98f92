"""Deletion from the request log, oldest rows first. Knows no retention."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    delete_chunk,
    range_chunks,
)
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.schema.tables import EXCEPTION, EXCEPTION_COUNT, REQUEST


def log_chunks(
    database: Database, *, before_us: int, batch_size: AdaptiveBatchSize, app: str | None = None
) -> Iterator[Chunk]:
    """Delete rows that are too old; yields each chunk once deleted.

    Args:
        database: The database of the log.
        before_us: Microseconds since the epoch; older rows are deleted.
        batch_size: Sets the size of the chunks.
        app: The app of the rows; None for all apps.

    Raises:
        StorageError: The database cannot be written.
    """
    requests = sa.true() if app is None else REQUEST.c.app == app
    yield from range_chunks(
        database, RangeDelete.of_requests(requests, request_id_at(before_us)), batch_size
    )
    exceptions = sa.true() if app is None else EXCEPTION.c.app == app
    yield from exception_chunks(
        database, exceptions & (EXCEPTION.c.last_at < before_us), batch_size
    )


def surplus_chunks(
    database: Database, app: str, *, max_rows: int, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete rows of an app beyond its limit; yields each chunk once deleted.

    Args:
        database: The database of the log.
        app: The app of the rows.
        max_rows: Most of its requests to keep, and most kinds of its exceptions.
        batch_size: Sets the size of the chunks.

    Raises:
        StorageError: The database cannot be written.
    """
    of_app = REQUEST.c.app == app
    last = _first_too_many(database, REQUEST.c.id, of_app, max_rows)
    if last is not None:
        # The limit of a range is the first id to keep.
        yield from range_chunks(database, RangeDelete.of_requests(of_app, last + 1), batch_size)
    failed = EXCEPTION.c.app == app
    last = _first_too_many(database, EXCEPTION.c.last_at, failed, max_rows)
    if last is not None:
        yield from exception_chunks(database, failed & (EXCEPTION.c.last_at <= last), batch_size)


def request_id_at(at_us: int) -> int:
    """The least id that a request of this microsecond can have."""
    return max(0, at_us) << REQUEST_ID_BITS


def exception_chunks(
    database: Database, where: sa.ColumnElement[bool], batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete kinds of exceptions; yields each chunk once deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    while True:
        with database.read() as connection:
            next_ids = (
                sa.select(EXCEPTION.c.id)
                .where(where)
                .order_by(EXCEPTION.c.id)
                .limit(batch_size.size)
            )
            ids = connection.execute(next_ids).scalars().all()
        if not ids:
            return
        # With the condition again: a kind that has just occurred again stays.
        chosen = EXCEPTION.c.id.in_(ids) & where
        yield delete_chunk(database, EXCEPTION, chosen, batch_size, before=_delete_counts)


def _delete_counts(
    _database: Database, connection: Connection, kinds: sa.ColumnElement[bool]
) -> None:
    """Delete the counts of kinds that are about to be deleted."""
    # Two statements: MariaDB would scan the counts for one with a subquery.
    ids = connection.execute(sa.select(EXCEPTION.c.id).where(kinds)).scalars().all()
    connection.execute(sa.delete(EXCEPTION_COUNT).where(EXCEPTION_COUNT.c.failure_id.in_(ids)))


def _first_too_many(
    database: Database, column: sa.Column[int], where: sa.ColumnElement[bool], most: int
) -> int | None:
    """The newest value beyond a limit; None if the limit is not exceeded."""
    newest_first = sa.select(column).where(where).order_by(column.desc())
    with database.read() as connection:
        return connection.execute(newest_first.limit(1).offset(most)).scalar()
