"""Deleting what the request log keeps no longer, oldest first. Knows not how long that is."""

from collections.abc import Iterator

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    delete_chunk,
    range_chunks,
)
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.schema.tables import EXCEPTION, REQUEST


def log_chunks(
    database: Database, *, before_us: int, batch_size: AdaptiveBatchSize, app: str | None = None
) -> Iterator[Chunk]:
    """Delete what is too old; yields each chunk when it is deleted.

    Args:
        database: Whose log.
        before_us: Microseconds since the epoch; what is older goes.
        batch_size: Of the rows.
        app: Whose rows; None for those of all apps.

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
    """Delete what an app has too much of; yields each chunk when it is deleted.

    Args:
        database: Whose log.
        app: Whose rows.
        max_rows: How many of its requests are kept, and how many kinds of its exceptions.
        batch_size: Of the rows.

    Raises:
        StorageError: The database cannot be written.
    """
    of_app = REQUEST.c.app == app
    last = _first_too_many(database, REQUEST.c.id, of_app, max_rows)
    if last is not None:
        yield from range_chunks(database, RangeDelete.of_requests(of_app, last + 1), batch_size)
    mine = EXCEPTION.c.app == app
    last = _first_too_many(database, EXCEPTION.c.last_at, mine, max_rows)
    if last is not None:
        yield from exception_chunks(database, mine & (EXCEPTION.c.last_at <= last), batch_size)


def request_id_at(at_us: int) -> int:
    """The least id that a request of this microsecond can have."""
    return max(0, at_us) << REQUEST_ID_BITS


def exception_chunks(
    database: Database, where: sa.ColumnElement[bool], batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete kinds of exceptions; yields each chunk when it is deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    while True:
        with database.read() as connection:
            some = (
                sa.select(EXCEPTION.c.id)
                .where(where)
                .order_by(EXCEPTION.c.id)
                .limit(batch_size.size)
            )
            ids = connection.execute(some).scalars().all()
        if not ids:
            return
        # One that has just been seen again stays.
        yield delete_chunk(database, EXCEPTION, EXCEPTION.c.id.in_(ids) & where, batch_size)


def _first_too_many(
    database: Database, column: sa.Column[int], where: sa.ColumnElement[bool], most: int
) -> int | None:
    """The newest value that is too many; None where there are no more than that."""
    newest_first = sa.select(column).where(where).order_by(column.desc())
    with database.read() as connection:
        return connection.execute(newest_first.limit(1).offset(most)).scalar()
