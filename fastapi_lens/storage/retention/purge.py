"""Deleting what somebody chose to delete, in short transactions. Knows nothing of retention."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from fastapi_lens.errors import DeadlockError
from fastapi_lens.storage.coordination.dropped_calls import forget_losses
from fastapi_lens.storage.coordination.sequence import TRIES
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.import_notes import import_notes
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    range_chunks,
)
from fastapi_lens.storage.retention.log_deletion import exception_chunks, request_id_at
from fastapi_lens.storage.retention.vacuum import space_chunks
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    EXCEPTION,
    META,
    REQUEST,
    STATUS,
    WORKER,
)
from fastapi_lens.storage.writing.drain import Drain

_END = (1 << 63) - 1
"""Later than every bucket and every request."""

_IDS = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be deleted of one app.

    Attributes:
        app: Its name.
        ids: The endpoints.
        before: Only what ended before this time, in epoch seconds, and no endpoint itself;
            None for everything of these endpoints.
        whole_app: Whether the app's workers, and that it was imported, are to be forgotten, too,
            and requests in the log that belong to none of the endpoints. Settings and the audit
            log stay.
        keeps_endpoints: Whether the endpoints stay, as if they had never been called, and the
            workers, which may be at work.
    """

    app: str
    ids: Sequence[int]
    before: int | None = None
    whole_app: bool = False
    keeps_endpoints: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """How much that is, in rows.

    Attributes:
        endpoints: Endpoints that are deleted themselves.
        buckets: Sums of minutes, hours, days and weeks.
        statuses: Status codes by day.
        workers: Workers.
        requests: Requests in the log.
        exceptions: Kinds of exceptions.
    """

    endpoints: int
    buckets: int
    statuses: int
    workers: int
    requests: int = 0
    exceptions: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        counted = self.endpoints + self.buckets + self.statuses + self.workers
        return counted + self.requests + self.exceptions


def amount(database: Database, choice: Choice) -> Amount:
    """How much a choice would delete.

    Raises:
        StorageError: The database cannot be read.
    """
    found = {BUCKET: 0, STATUS: 0, REQUEST: 0}
    with database.read() as connection:
        for range_delete in _ranges(choice):
            rows = sa.select(sa.func.count()).where(
                range_delete.where, range_delete.bucket < range_delete.limit
            )
            found[range_delete.table] += connection.execute(rows).scalar_one()
        of_app = sa.select(sa.func.count()).where(WORKER.c.app == choice.app)
        gone = choice.whole_app and not choice.keeps_endpoints
        workers = connection.execute(of_app).scalar_one() if gone else 0
        exceptions = sum(
            connection.execute(
                sa.select(sa.func.count()).select_from(EXCEPTION).where(where)
            ).scalar_one()
            for where in _exceptions(choice)
        )
    stay = choice.before is not None or choice.keeps_endpoints
    endpoints = 0 if stay else len(choice.ids)
    return Amount(endpoints, found[BUCKET], found[STATUS], workers, found[REQUEST], exceptions)


def purge(database: Database, choice: Choice) -> Iterator[int]:
    """Delete it; gives the rows of each transaction when it is done.

    Raises:
        StorageError: The database cannot be written; what was deleted before stays so.
    """
    batch_size = AdaptiveBatchSize()
    # Else what waits there would come back.
    for _ in Drain(database).parts():
        yield 0
    # Also at the beginning: it may be stopped before the end.
    _note(database)
    if choice.keeps_endpoints:
        # First: what says how often one was called is not to outlive the calls.
        _forget_calls(database, choice.ids)
    for done in _row_chunks(database, choice, batch_size):
        yield done.rows
    if not choice.keeps_endpoints:
        yield from _whole_rows(database, choice)
    if choice.whole_app:
        _forget_imports(database, choice.app)
    _note(database)
    for _ in space_chunks(database, batch_size):
        yield 0


def _note(database: Database) -> None:
    with database.write() as connection:
        note_change(database, connection)


def _whole_rows(database: Database, choice: Choice) -> Iterator[int]:
    """The endpoints themselves, and the workers."""
    if choice.before is None:
        for ids in _parts(choice.ids):
            yield _delete(database, sa.delete(ENDPOINT).where(ENDPOINT.c.id.in_(ids)))
    if choice.whole_app:
        yield _delete(database, sa.delete(WORKER).where(WORKER.c.app == choice.app))
        with database.write() as connection:
            forget_losses(connection, choice.app)


def purge_for(
    database: Database,
    choice: Choice,
    *,
    seconds: float,
    timer: Callable[[], float] = time.monotonic,
) -> bool:
    """Delete it, as far as that gets in so many seconds; whether all of it is deleted.

    Args:
        database: Whose rows.
        choice: Which ones.
        seconds: After them no further transaction is begun.
        timer: Seconds that pass.

    Raises:
        StorageError: The database cannot be written; what was deleted before stays so.
    """
    end = timer() + seconds

    def begin() -> bool:
        return all(timer() < end for _ in purge(database, choice))

    # Workers write to the same rows meanwhile, and the database ends a deadlock at our cost.
    for _ in range(TRIES - 1):
        try:
            return begin()
        except DeadlockError:
            continue
    return begin()


def _row_chunks(
    database: Database, choice: Choice, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    for range_delete in _ranges(choice):
        yield from range_chunks(database, range_delete, batch_size)
    for where in _exceptions(choice):
        yield from exception_chunks(database, where, batch_size)


def _ranges(choice: Choice) -> Iterator[RangeDelete]:
    for ids in _parts(choice.ids):
        for tier in Tier:
            limit = _END if choice.before is None else choice.before // tier
            of_tier = (BUCKET.c.tier == tier.value) & BUCKET.c.endpoint_id.in_(ids)
            yield RangeDelete(BUCKET, of_tier, BUCKET.c.bucket, BUCKET.c.endpoint_id, limit)
        limit = _END if choice.before is None else choice.before // Tier.DAY
        of_days = STATUS.c.endpoint_id.in_(ids)
        yield RangeDelete(STATUS, of_days, STATUS.c.day, STATUS.c.endpoint_id, limit)
    end = _END if choice.before is None else request_id_at(choice.before * 1_000_000)
    for where in _of_choice(REQUEST, choice):
        yield RangeDelete.of_requests(where, end)


def _exceptions(choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    end = _END if choice.before is None else choice.before * 1_000_000
    for where in _of_choice(EXCEPTION, choice):
        yield where & (EXCEPTION.c.last_at < end)


def _of_choice(table: sa.Table, choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    """The rows of the log: of the whole app, or by the endpoints."""
    if choice.whole_app:
        yield table.c.app == choice.app
    else:
        yield from (table.c.endpoint_id.in_(ids) for ids in _parts(choice.ids))


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _IDS):
        yield ids[begin : begin + _IDS]


def _delete(database: Database, statement: sa.Delete) -> int:
    with database.write() as connection:
        return connection.execute(statement).rowcount


def _forget_calls(database: Database, ids: Sequence[int]) -> None:
    """Let endpoints look as if nobody had ever called them."""
    never = {"first_called_at": 0, "last_called_at": 0, "total_calls": 0}
    for some in _parts(ids):
        with database.write() as connection:
            connection.execute(sa.update(ENDPOINT).where(ENDPOINT.c.id.in_(some)).values(never))


def _forget_imports(database: Database, app: str) -> None:
    """Let what brought nothing but this app be imported again."""
    with database.write() as connection:
        notes = import_notes(connection)
        mine = [name for name, note in notes.items() if list(note["origins"]) == [app]]
        connection.execute(sa.delete(META).where(META.c.name.in_(mine)))
