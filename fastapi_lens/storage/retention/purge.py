"""Deletion of chosen data, in short transactions. Knows no retention."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import DeadlockError
from fastapi_lens.storage.coordination.dropped_calls import forget_dropped
from fastapi_lens.storage.coordination.sequence import TRIES
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.caller_key import delete_caller_key
from fastapi_lens.storage.records.import_notes import import_notes
from fastapi_lens.storage.records.notifications import forget_notifications
from fastapi_lens.storage.retention.caller_deletion import caller_chunks, is_unused, use_chunks
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    range_chunks,
)
from fastapi_lens.storage.retention.log_deletion import exception_chunks, request_id_at
from fastapi_lens.storage.retention.vacuum import space_chunks
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import dropped_id
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    META,
    OBSERVED,
    RELEASE,
    REQUEST,
    STATUS,
    USE,
    USE_WEEK,
    WORKER,
)
from fastapi_lens.storage.writing.drain import Drain
from fastapi_lens.storage.writing.log_writer import COUNTED_TIERS

_END = (1 << 63) - 1
"""Later than every bucket and every request."""

_IDS = 500
"""Ids of one statement; databases limit its parameters."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A selection of data of one app to delete.

    Attributes:
        app: Its name.
        ids: The endpoints.
        before: Only rows that end before this time, in epoch seconds, and no endpoint itself;
            None for everything of these endpoints.
        whole_app: Also delete the app's workers, the notes of its imports, and requests in the
            log that belong to none of the endpoints. Settings and the audit log stay.
        keeps_endpoints: Keep the endpoints, as if they had never been called, and the
            workers, which may be running.
    """

    app: str
    ids: Sequence[int]
    before: int | None = None
    whole_app: bool = False
    keeps_endpoints: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """Number of rows of a selection.

    Attributes:
        endpoints: Endpoints' own rows.
        buckets: Rows of minutes, hours, days and weeks, of calls and of exceptions.
        statuses: Status codes by day, and calls of removed endpoints by day.
        workers: Workers.
        requests: Requests in the log.
        exceptions: Kinds of exceptions.
        uses: Callers of endpoints, and their calls by week.
        callers: Callers of the whole app.
    """

    endpoints: int
    buckets: int
    statuses: int
    workers: int
    requests: int = 0
    exceptions: int = 0
    uses: int = 0
    callers: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        counted = self.endpoints + self.buckets + self.statuses + self.workers
        return counted + self.requests + self.exceptions + self.uses + self.callers


def amount(database: Database, choice: Choice) -> Amount:
    """The number of rows that a selection would delete.

    Raises:
        StorageError: The database cannot be read.
    """
    found = dict.fromkeys((BUCKET, STATUS, GONE, EXCEPTION_COUNT, REQUEST, USE_WEEK), 0)
    with database.read() as connection:
        for range_delete in _ranges(choice):
            rows = sa.select(sa.func.count()).where(
                range_delete.where, range_delete.bucket < range_delete.limit
            )
            found[range_delete.table] += connection.execute(rows).scalar_one()
        of_app = sa.select(sa.func.count()).where(WORKER.c.app == choice.app)
        gone = choice.whole_app and not choice.keeps_endpoints
        workers = connection.execute(of_app).scalar_one() if gone else 0
        exceptions = _count(connection, EXCEPTION, _exceptions(choice))
        uses = _count(connection, USE, _uses(choice))
        callers = _count(connection, CALLER, [CALLER.c.app == choice.app] * choice.whole_app)
    stay = choice.before is not None or choice.keeps_endpoints
    endpoints = 0 if stay else len(choice.ids)
    statuses = found[STATUS] + found[GONE]
    return Amount(
        *(endpoints, found[BUCKET] + found[EXCEPTION_COUNT], statuses, workers),
        requests=found[REQUEST],
        exceptions=exceptions,
        uses=uses + found[USE_WEEK],
        callers=callers,
    )


def _count(
    connection: Connection, table: sa.Table, conditions: Iterable[sa.ColumnElement[bool]]
) -> int:
    counted = sa.select(sa.func.count()).select_from(table)
    return sum(connection.execute(counted.where(where)).scalar_one() for where in conditions)


def purge(database: Database, choice: Choice, *, now: float) -> Iterator[int]:
    """Delete a selection; yields the number of rows of each transaction once it is committed.

    Args:
        database: The database of the rows.
        choice: The selection.
        now: Epoch seconds; the history of endpoints that stay is whole from then on.

    Raises:
        StorageError: The database cannot be written; earlier transactions stay.
    """
    batch_size = AdaptiveBatchSize()
    # Otherwise counts in the inbox would be added after the deletion.
    for _ in Drain(database).parts():
        yield 0
    # Also at the beginning, because the deletion may be stopped before the end.
    _note(database)
    # First, so that neither the totals nor the evidence ever outlive the calls.
    if choice.before is not None:
        _lose_evidence(database, choice.ids, microseconds(min(now, choice.before)))
    elif choice.keeps_endpoints:
        _forget_calls(database, choice.ids, microseconds(now))
    for done in _row_chunks(database, choice, batch_size):
        yield done.rows
    if not choice.keeps_endpoints:
        # Last, because an interrupted deletion finds its rows by the endpoints.
        yield from _whole_rows(database, choice)
    if choice.whole_app:
        _forget_imports(database, choice.app)
        with database.write() as connection:
            forget_notifications(connection, choice.app)
    _note(database)
    for _ in space_chunks(database, batch_size):
        yield 0


def _note(database: Database) -> None:
    with database.write() as connection:
        note_change(database, connection)


def _whole_rows(database: Database, choice: Choice) -> Iterator[int]:
    """Delete the endpoints themselves, and the workers."""
    if choice.before is None:
        for ids in _parts(choice.ids):
            yield _delete(database, sa.delete(ENDPOINT).where(ENDPOINT.c.id.in_(ids)))
    if choice.whole_app:
        yield _delete(database, sa.delete(WORKER).where(WORKER.c.app == choice.app))
        yield from _observation(database, choice.app)
        with database.write() as connection:
            forget_dropped(connection, choice.app)
            delete_caller_key(connection, choice.app)


def _observation(database: Database, app: str) -> Iterator[int]:
    """Delete the releases of an app and all that they have observed."""
    with database.read() as connection:
        of_app = sa.select(RELEASE.c.id).where(RELEASE.c.app == app)
        releases = [*connection.execute(of_app).scalars(), dropped_id(app)]
    batch_size = AdaptiveBatchSize()
    for ids in _parts(sorted(releases)):
        rows = OBSERVED.c.release_id.in_(ids)
        hours = RangeDelete(OBSERVED, rows, OBSERVED.c.hour, OBSERVED.c.release_id, _END)
        for done in range_chunks(database, hours, batch_size):
            yield done.rows
    # Last, because the rows of hours are found by their releases.
    yield _delete(database, sa.delete(RELEASE).where(RELEASE.c.app == app))


def purge_for(
    database: Database,
    choice: Choice,
    *,
    now: float,
    seconds: float,
    timer: Callable[[], float] = time.monotonic,
) -> bool:
    """Delete a selection within a time limit; true if all of it is deleted.

    Args:
        database: The database of the rows.
        choice: The selection.
        now: See `purge`.
        seconds: The limit, after which no further transaction begins.
        timer: Seconds of a monotonic clock.

    Raises:
        StorageError: The database cannot be written; earlier transactions stay.
    """
    end = timer() + seconds

    def begin() -> bool:
        return all(timer() < end for _ in purge(database, choice, now=now))

    # Workers write to the same rows meanwhile, so this transaction may lose a deadlock.
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
    for where in _uses(choice):
        yield from use_chunks(database, where, batch_size)
    callers = CALLER.c.app == choice.app
    # After their calls, because until then they have some.
    yield from caller_chunks(
        database, callers if choice.whole_app else callers & is_unused(), batch_size
    )


def _ranges(choice: Choice) -> Iterator[RangeDelete]:
    for ids in _parts(choice.ids):
        of_ids = BUCKET.c.endpoint_id.in_(ids)
        for tier in Tier:
            if choice.before is not None:
                # The endpoints keep their all-time totals.
                yield RangeDelete.of_tier(tier, choice.before // tier, of_ids)
            else:
                rows = (BUCKET.c.tier == tier.value) & of_ids
                yield RangeDelete(BUCKET, rows, BUCKET.c.bucket, BUCKET.c.endpoint_id, _END)
        for tier in COUNTED_TIERS:
            limit = _END if choice.before is None else choice.before // tier
            kinds = sa.select(EXCEPTION.c.id).where(EXCEPTION.c.endpoint_id.in_(ids))
            of_kinds = EXCEPTION_COUNT.c.failure_id.in_(kinds)
            yield RangeDelete.of_exception_counts(tier, limit, of_kinds)
        limit = _END if choice.before is None else choice.before // Tier.DAY
        for table in (STATUS, GONE):
            day, endpoint = table.c.day, table.c.endpoint_id
            yield RangeDelete(table, endpoint.in_(ids), day, endpoint, limit)
        limit = _END if choice.before is None else choice.before // Tier.WEEK
        week, endpoint = USE_WEEK.c.week, USE_WEEK.c.endpoint_id
        yield RangeDelete(USE_WEEK, endpoint.in_(ids), week, endpoint, limit)
    end = _END if choice.before is None else request_id_at(choice.before * 1_000_000)
    for where in _of_choice(REQUEST, choice):
        yield RangeDelete.of_requests(where, end)


def _exceptions(choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    end = _END if choice.before is None else choice.before * 1_000_000
    for where in _of_choice(EXCEPTION, choice):
        yield where & (EXCEPTION.c.last_at < end)


def _uses(choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions for the callers of endpoints; with a limit, those whose last call is before it."""
    before = _END if choice.before is None else choice.before * 1_000_000
    day = _END if choice.before is None else choice.before // Tier.DAY
    for ids in _parts(choice.ids):
        is_old = (USE.c.last_at < before) & (USE.c.refused_day < day)
        yield USE.c.endpoint_id.in_(ids) & is_old


def _of_choice(table: sa.Table, choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions for the rows of the log: of the whole app, or by endpoints."""
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


def _forget_calls(database: Database, ids: Sequence[int], now_us: int) -> None:
    """Reset endpoints to never called, without evidence before now."""
    # First: an uncalled endpoint with old evidence would look silent.
    _lose_evidence(database, ids, now_us)
    for part in _parts(ids):
        with database.write() as connection:
            of_part = sa.update(ENDPOINT).where(ENDPOINT.c.id.in_(part))
            connection.execute(of_part.values(dict.fromkeys(_OF_CALLS, 0)))


_OF_CALLS = (
    *("first_called_at", "last_called_at", "last_used_at", "total_calls"),
    *("first_called_release_id", "last_called_release_id"),
    *("attributed_until", "unattributed_at"),
)
"""The columns of an endpoint's row that tell of its calls, but its number of callers."""


def _lose_evidence(database: Database, ids: Sequence[int], until_us: int) -> None:
    """Note that the history of endpoints before a time is not whole any more."""
    for part in _parts(ids):
        earlier = ENDPOINT.c.id.in_(part) & (ENDPOINT.c.evidence_since < until_us)
        with database.write() as connection:
            connection.execute(sa.update(ENDPOINT).where(earlier).values(evidence_since=until_us))


def _forget_imports(database: Database, app: str) -> None:
    """Delete the notes of imports of this app only, so that they can be imported again."""
    with database.write() as connection:
        notes = import_notes(connection)
        # A note that names other apps still protects these from a second import.
        own_notes = [name for name, note in notes.items() if list(note["origins"]) == [app]]
        connection.execute(sa.delete(META).where(META.c.name.in_(own_notes)))
