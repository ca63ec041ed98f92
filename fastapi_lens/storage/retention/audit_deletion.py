"""Deletion of audit entries that are too old or too many."""

from collections.abc import Iterator

import sqlalchemy as sa

from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AUDIT_KEPT_EACH, AUDIT_KEPT_SECONDS
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    range_chunks,
)
from fastapi_lens.storage.retention.log_deletion import request_id_at
from fastapi_lens.storage.schema.tables import AUDIT


def audit_chunks(
    database: Database, *, now: float, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete entries that are too old or too many, of all apps; yields each chunk once deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    oldest = request_id_at(microseconds(now - AUDIT_KEPT_SECONDS))
    yield from range_chunks(database, _past(sa.true(), oldest), batch_size)
    for range_delete in _too_many(database):
        yield from range_chunks(database, range_delete, batch_size)


def _too_many(database: Database) -> list[RangeDelete]:
    """For each action of an app that has too many entries, the range to delete."""
    kinds = (
        sa.select(AUDIT.c.app, AUDIT.c.action)
        .group_by(AUDIT.c.app, AUDIT.c.action)
        .having(sa.func.count() > AUDIT_KEPT_EACH)
    )
    found: list[RangeDelete] = []
    with database.read() as connection:
        # Read completely, because the loop runs queries on the same connection.
        for app, action in connection.execute(kinds).all():
            of_action = (AUDIT.c.app == app) & (AUDIT.c.action == action)
            newest_first = sa.select(AUDIT.c.id).where(of_action).order_by(AUDIT.c.id.desc())
            first_kept = newest_first.limit(1).offset(AUDIT_KEPT_EACH - 1)
            found.append(_past(of_action, connection.execute(first_kept).scalar_one()))
    return found


def _past(where: sa.ColumnElement[bool], limit: int) -> RangeDelete:
    return RangeDelete(AUDIT, where, AUDIT.c.id, AUDIT.c.id, limit)
