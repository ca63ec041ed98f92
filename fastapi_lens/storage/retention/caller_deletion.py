"""Deletion of callers: those that have not called for long, and those that an admin forgets.

Rows of an endpoint in `lens_use` are changed under the lock of the endpoint's own row, which counts
them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.records.caller_key import renew_caller_key
from fastapi_lens.storage.retention.chunks import (
    AdaptiveBatchSize,
    Chunk,
    RangeDelete,
    delete_chunk,
    ids_of,
    range_chunks,
)
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import OTHERS_ID, Tier
from fastapi_lens.storage.schema.statements import LOCK_ENDPOINTS
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, REQUEST, USE, USE_WEEK
from fastapi_lens.storage.writing.callers import (
    Pair,
    join_uses,
    merge_into_others,
    recount_callers,
)
from fastapi_lens.storage.writing.drain import drain_all
from fastapi_lens.storage.writing.use_totals import TOTALS, UseTotals

USE_SECONDS = 800 * Tier.DAY.value
"""Callers are kept for this long after their last call, twice as long as a verdict looks back."""

USE_WEEK_SECONDS = 57 * Tier.WEEK.value
"""Retention of the calls of callers by week."""

_ROWS_OF_ENDPOINT = 20
"""About how many rows of an endpoint are deleted; at most 201."""

_END = (1 << 63) - 1
_DAY_US = Tier.DAY.value * 1_000_000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Numbers of rows that went with forgotten callers.

    Attributes:
        callers: Number of callers.
        endpoints: Number of their pairs with an endpoint, whose earlier names are not counted.
        requests: Requests of the log that do not name them any more.
    """

    callers: int
    endpoints: int
    requests: int


def forget_caller(database: Database, app: str, caller_id: int) -> Forgotten:
    """Delete a caller; its calls stay in those of others, so that no endpoint looks safer.

    Up to its last call, the callers of these endpoints count as unknown from then on. If it calls
    again, it is a new caller: so are calls that workers have not yet written.

    Args:
        database: The database of the ledger.
        app: Name of the app.
        caller_id: Id of the caller. Nothing is deleted for that of others, who have no name.

    Raises:
        StorageError: The database cannot be written. Some rows may be deleted; the next call with
            the same id deletes the rest.
    """
    return _forget(database, app, caller_id)


def forget_callers(database: Database, app: str) -> Forgotten:
    """Delete all callers of an app, and replace the key that hashes their keys.

    Their calls stay in those of others, as those of a single one do. What workers have hashed with
    the old key is counted there, whenever it arrives. Other callers that call again are new ones.

    Args:
        database: The database of the ledger.
        app: Name of the app.

    Raises:
        StorageError: The database cannot be written. Some rows may be deleted; the next call
            deletes the rest.
    """
    # First: whatever is added from now on names no caller by its old hash.
    renew_caller_key(database, app)
    return _forget(database, app, None)


def _forget(database: Database, app: str, caller_id: int | None) -> Forgotten:
    """Forget one caller, or all."""
    app = storable(app)
    # Otherwise calls in the inbox would name it again after the deletion.
    drain_all(database)
    batch_size = AdaptiveBatchSize()

    def named(table: sa.Table) -> sa.ColumnElement[bool]:
        is_named = table.c.caller_id != OTHERS_ID
        return is_named if caller_id is None else is_named & (table.c.caller_id == caller_id)

    _join_renamed(database, app, named(USE))
    keep = _AsOthers(database, named)
    uses = USE.c.endpoint_id.in_(ids_of(app)) & named(USE)
    endpoints = sum(chunk.rows for chunk in use_chunks(database, uses, batch_size, keep=keep))
    # Those that are left have no totals, which were deleted before.
    weeks = USE_WEEK.c.endpoint_id.in_(ids_of(app)) & named(USE_WEEK)
    for _ in week_chunks(database, weeks, _END, batch_size):
        pass
    requests = sum(_anonymous_chunks(database, (REQUEST.c.app == app) & named(REQUEST), batch_size))
    # Last, because an interrupted deletion is continued from the list of callers.
    callers = (CALLER.c.app == app) & (sa.true() if caller_id is None else CALLER.c.id == caller_id)
    found = sum(chunk.rows for chunk in caller_chunks(database, callers, batch_size))
    return Forgotten(found, endpoints, requests)


def old_chunks(database: Database, *, now: float, batch_size: AdaptiveBatchSize) -> Iterator[Chunk]:
    """Delete callers and their calls past their retention; yields each chunk once deleted.

    Args:
        database: The database of the ledger.
        now: Epoch seconds.
        batch_size: Sets the size of the chunks.

    Raises:
        StorageError: The database cannot be written.
    """
    yield from week_chunks(database, sa.true(), first_week(None, now=now), batch_size)
    before = int(now - USE_SECONDS)
    is_old = (USE.c.last_at < before * 1_000_000) & (USE.c.refused_day < before // Tier.DAY)
    # The ledgers of their endpoints begin after them, so that nobody takes them for never called.
    yield from use_chunks(database, is_old, batch_size, keep=_note_unattributed)
    is_late = CALLER.c.last_at < before * 1_000_000
    yield from caller_chunks(database, is_late & is_unused(), batch_size)


def first_week(ttl_days: int | None, *, now: float) -> int:
    """The first week whose calls by caller are kept.

    Args:
        ttl_days: Longest retention of an app's counts in days; None for no limit.
        now: Epoch seconds.
    """
    ttl = USE_WEEK_SECONDS if ttl_days is None else ttl_days * Tier.DAY.value
    return int(now - min(ttl, USE_WEEK_SECONDS)) // Tier.WEEK


def week_chunks(
    database: Database, where: sa.ColumnElement[bool], limit: int, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete calls of callers by week; yields each chunk once deleted.

    Args:
        database: The database of the ledger.
        where: Condition of the rows.
        limit: The first week to keep.
        batch_size: Sets the size of the chunks.

    Raises:
        StorageError: The database cannot be written.
    """
    weeks = RangeDelete(USE_WEEK, where, USE_WEEK.c.week, USE_WEEK.c.endpoint_id, limit)
    yield from range_chunks(database, weeks, batch_size)


Keep = Callable[[Connection, Sequence[int], sa.ColumnElement[bool]], None]
"""Keeps something of rows in `lens_use` before they are deleted.

Args: a connection in a writing transaction; the ids of the endpoints, which are locked; a condition
of the rows.
"""


def use_chunks(
    database: Database,
    where: sa.ColumnElement[bool],
    batch_size: AdaptiveBatchSize,
    *,
    keep: Keep | None = None,
) -> Iterator[Chunk]:
    """Delete the calls of callers, and count those that are left; yields each chunk once deleted.

    Args:
        database: The database of the ledger.
        where: Condition of the rows in `lens_use`.
        batch_size: Sets the size of the chunks.
        keep: Called in the transaction that deletes a chunk.

    Raises:
        StorageError: The database cannot be written.
    """
    after = -1
    while True:
        some = sa.select(USE.c.endpoint_id).where(where, USE.c.endpoint_id > after).distinct()
        size = max(1, batch_size.size // _ROWS_OF_ENDPOINT)
        with database.read() as connection:
            found = connection.execute(some.order_by(USE.c.endpoint_id).limit(size))
            endpoints = list(found.scalars())
        if not endpoints:
            return
        after = endpoints[-1]
        with database.write() as connection:
            begun = batch_size.timer()
            LOCK_ENDPOINTS.read_of(connection, {}, endpoints)
            rows = USE.c.endpoint_id.in_(endpoints) & where
            if keep is not None:
                keep(connection, endpoints, rows)
            deleted = connection.execute(sa.delete(USE).where(rows)).rowcount
            recount_callers(connection, endpoints)
            note_change(database, connection)
        done = Chunk(deleted, batch_size.timer() - begun)
        batch_size.note(*done)
        yield done


def is_unused() -> sa.ColumnElement[bool]:
    """Condition of callers that no endpoint has a row of."""
    return ~sa.exists().where(USE.c.caller_id == CALLER.c.id)


def caller_chunks(
    database: Database, where: sa.ColumnElement[bool], batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete the rows of callers themselves; yields each chunk once deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    while True:
        some = sa.select(CALLER.c.id).where(where).order_by(CALLER.c.id).limit(batch_size.size)
        with database.read() as connection:
            ids = connection.execute(some).scalars().all()
        if not ids:
            return
        # With the condition again: a caller that has just called again stays.
        yield delete_chunk(database, CALLER, CALLER.c.id.in_(ids) & where, batch_size)


def _join_renamed(database: Database, app: str, named: sa.ColumnElement[bool]) -> None:
    """Add up the rows of each caller whose endpoint was renamed, in that of its latest call.

    Among others, nobody could tell the gap between two of these rows.

    Args:
        database: The database of the ledger.
        app: Name of the app.
        named: The condition of the callers in `lens_use`.
    """
    shape, number = ENDPOINT.c.shape_id, sa.func.count()
    several = (
        sa.select(shape, USE.c.caller_id)
        .join(ENDPOINT, ENDPOINT.c.id == USE.c.endpoint_id)
        .where(ENDPOINT.c.app == app, shape != 0, named)
        .group_by(shape, USE.c.caller_id)
        .having(number > 1)
    )
    with database.read() as connection:
        found = connection.execute(several).all()
    for shape_id, caller in found:
        ids = sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app == app, shape == shape_id)
        with database.write() as connection:
            endpoints = sorted(connection.execute(ids).scalars())
            LOCK_ENDPOINTS.read_of(connection, {}, endpoints)
            rows = USE.c.endpoint_id.in_(endpoints) & (USE.c.caller_id == caller)
            _note_unattributed(connection, endpoints, rows)
            join_uses(connection, {(endpoint, caller) for endpoint in endpoints})
            recount_callers(connection, endpoints)
            note_change(database, connection)


class _AsOthers:
    """Adds forgotten callers to the others of each endpoint.

    Args:
        database: The database of the ledger.
        named: The condition of the callers in a table.
    """

    def __init__(
        self, database: Database, named: Callable[[sa.Table], sa.ColumnElement[bool]]
    ) -> None:
        """Read which weeks there are: they come first in the key of their rows."""
        self._named = named(USE_WEEK)
        with database.read() as connection:
            weeks = sa.select(USE_WEEK.c.week).distinct()
            self._weeks = connection.execute(weeks).scalars().all()

    def __call__(
        self, connection: Connection, endpoints: Sequence[int], rows: sa.ColumnElement[bool]
    ) -> None:
        """Add the rows of a chunk, and note their last calls as those of unknown callers."""
        _note_unattributed(connection, endpoints, rows)
        uses: dict[Pair, UseTotals] = {
            (row.endpoint_id, row.caller_id): UseTotals(*(getattr(row, name) for name in TOTALS))
            for row in connection.execute(sa.select(USE).where(rows))
        }
        in_weeks = (
            USE_WEEK.c.week.in_(self._weeks) & USE_WEEK.c.endpoint_id.in_(endpoints) & self._named
        )
        weeks = {
            (row.week, row.endpoint_id, row.caller_id): row.calls
            for row in connection.execute(sa.select(USE_WEEK).where(in_weeks))
        }
        connection.execute(sa.delete(USE_WEEK).where(in_weeks))
        merge_into_others(connection, uses, weeks)


def _note_unattributed(
    connection: Connection, _endpoints: Sequence[int], rows: sa.ColumnElement[bool]
) -> None:
    """Note the last of these calls of each endpoint as one whose caller is unknown."""
    last_us: dict[int, int] = {}
    stored = sa.select(USE.c.endpoint_id, USE.c.last_at, USE.c.refused_day).where(rows)
    for endpoint, last_at, refused_day in connection.execute(stored):
        # Of refused calls only the day is known.
        at = max(last_at, (refused_day + 1) * _DAY_US if refused_day else 0)
        last_us[endpoint] = max(at, last_us.get(endpoint, 0))
    for endpoint, at in sorted(last_us.items()):
        last, unattributed = ENDPOINT.c.last_called_at, ENDPOINT.c.unattributed_at
        until = sa.case((last < at, last), else_=at)
        later = sa.update(ENDPOINT).where(ENDPOINT.c.id == endpoint, unattributed < until)
        connection.execute(later.values(unattributed_at=until))


def _anonymous_chunks(
    database: Database, where: sa.ColumnElement[bool], batch_size: AdaptiveBatchSize
) -> Iterator[int]:
    """Remove the callers of requests of the log; yields the number of each transaction."""
    named = where & (REQUEST.c.caller_id != OTHERS_ID)
    after = -1
    while True:
        some = sa.select(REQUEST.c.id).where(named, REQUEST.c.id > after).order_by(REQUEST.c.id)
        with database.read() as connection:
            ids: Sequence[int] = connection.execute(some.limit(batch_size.size)).scalars().all()
        if not ids:
            return
        after = ids[-1]
        with database.write() as connection:
            begun = batch_size.timer()
            changed = sa.update(REQUEST).where(REQUEST.c.id.in_(ids)).values(caller_id=OTHERS_ID)
            rows = connection.execute(changed).rowcount
        batch_size.note(rows, batch_size.timer() - begun)
        yield rows
