"""Writer of the request log: one transaction per batch; exceptions are counted exactly once.

So are the calls of removed endpoints, which come with it.

It has a sequence number of its own, `log_seq` of the worker's row, which works like `seq` for the
inbox. Rows of requests have unique ids, so that existing ones are skipped.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import RefusedError
from fastapi_lens.storage.coordination.sequence import SequenceGuard, retry_on_deadlock
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import primary_key
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import identity_of
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import EXCEPTION, EXCEPTION_COUNT, GONE, REQUEST, WORKER
from fastapi_lens.storage.writing.refusals import Refusal, add_one_by_one, log_refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One row of the log.

    Attributes:
        id: See `RequestRow`.
        exception_id: Id of its exception; 0 without one.
        caller_id: See `identities.caller_id`; 0 while callers are not recorded.
    """

    id: int
    endpoint_id: int
    method: str
    path: str
    query: str
    status: int
    duration_us: int
    reason: str
    client: str
    agent: str
    exception_id: int
    caller_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedException:
    """Exceptions of one kind; times in microseconds since the epoch.

    Attributes:
        id: The result of `exception_id`.
        calls: Their number.
        minutes: The minutes with one of them, since the epoch, each with its number.
    """

    id: int
    endpoint_id: int
    type: str
    message: str
    place: str
    traceback: str
    calls: int
    first_at: int
    last_at: int
    minutes: tuple[tuple[int, int], ...] = ()

    @property
    def rows(self) -> int:
        """Most rows that it changes."""
        return 1 + len(COUNTED_TIERS) * len(self.minutes)


COUNTED_TIERS = (Tier.MINUTE, Tier.HOUR)
"""The tiers of the counts of exceptions; no coarser one, because no kind is kept for longer."""


class CountedGone(NamedTuple):
    """Calls of one removed endpoint on one day, see `GoneRow`.

    Attributes:
        day: Days since the epoch, UTC.
        calls: Their number.
    """

    day: int
    endpoint_id: int
    is_noise: bool
    calls: int


@dataclass(frozen=True, slots=True)
class LogBatch:
    """The rows that one transaction adds.

    Attributes:
        seq: Number of the batch in its worker, 1 for the first.
    """

    seq: int
    requests: tuple[LoggedRequest, ...]
    exceptions: tuple[CountedException, ...]
    gone: tuple[CountedGone, ...] = ()


def exception_id(endpoint_id: int, kind: str, place: str) -> int:
    """63 bits of SHA-256 of endpoint, type and place; never 0, which stands for none."""
    return identity_of(endpoint_id, kind, place) or 1


class LogWriter:
    """Writes the log of one worker into one database."""

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker
        self._guard = SequenceGuard(worker, WORKER.c.log_seq)

    def write(self, batch: LogBatch) -> None:
        """Add a batch; calling it again with the same batch after an error is safe.

        Rows that the database refuses are skipped, with one warning.

        Raises:
            StorageError: The database cannot be written. The batch may have been applied or not;
                the next call with the same batch finds out.
            SchemaTooNewError: A newer release has migrated the database since this one began.
        """
        try:
            retry_on_deadlock(lambda: self._write(batch, _add_all))
        except RefusedError:
            refusals: list[Refusal] = []

            def write_singly() -> None:
                refusals.clear()  # From an attempt that a deadlock has ended.
                self._write(batch, partial(_add_singly, refusals))

            retry_on_deadlock(write_singly)
            log_refusals(refusals, "rows of the request log", _NAMES)

    def _write(self, batch: LogBatch, add: "_Add") -> None:
        # In the order of the primary key, so that two workers cannot deadlock.
        exceptions = sorted(batch.exceptions, key=lambda exception: exception.id)
        gone = sorted(batch.gone)
        counts = exception_counts(exceptions)
        empty: dict[sa.Table, list[dict[str, Any]]] = {
            EXCEPTION: [self._empty(exception) for exception in exceptions],
            EXCEPTION_COUNT: [{**count, "calls": 0} for count in counts],
            GONE: [_no_calls(one) for one in gone],
        }
        # In transactions of their own, so that an INSERT never waits while holding locks.
        for table, rows in empty.items():
            if rows:
                with self._database.write() as connection:
                    add(connection, self._database.insert_ignore(table), rows)
        with self._database.write() as connection:
            # It was applied before; only the acknowledgement was lost.
            if not self._guard.advance(connection, batch.seq):
                return
            if batch.requests:
                insert = self._database.insert_ignore(REQUEST)
                add(connection, insert, self._rows(batch.requests))
            if exceptions:
                changes = [exception_change(asdict(exception)) for exception in exceptions]
                add(connection, ADD_EXCEPTION, changes)
            if counts:
                add(connection, ADD_EXCEPTION_COUNT, list(map(exception_count_change, counts)))
            if gone:
                add(connection, ADD_GONE, [_gone_change(one) for one in gone])
                note_change(self._database, connection)

    def _rows(self, requests: Sequence[LoggedRequest]) -> list[dict[str, Any]]:
        return [
            {
                "id": request.id,
                "app": storable(self._worker.app),
                "endpoint_id": request.endpoint_id,
                "method": storable(request.method),
                "path": storable(request.path),
                "query": storable(request.query),
                "status": request.status,
                "duration_us": request.duration_us,
                "reason": request.reason,
                # These two are made here, of letters that every database takes.
                "client": request.client,
                "agent": request.agent,
                # The column keeps its name: workers of older releases write to it.
                "failure_id": request.exception_id,
                "caller_id": request.caller_id,
            }
            for request in sorted(requests, key=lambda request: request.id)
        ]

    def _empty(self, exception: CountedException) -> dict[str, Any]:
        """The row of a kind of exception with no count yet, which readers skip."""
        return {
            "id": exception.id,
            "app": storable(self._worker.app),
            "endpoint_id": exception.endpoint_id,
            "type": storable(exception.type),
            "message": "",
            "place": storable(exception.place),
            "traceback": "",
            "calls": 0,
            "first_at": 0,
            "last_at": 0,
        }


_Add = Callable[[Connection, sa.Executable, list[dict[str, Any]]], None]


def _add_all(connection: Connection, statement: sa.Executable, rows: list[dict[str, Any]]) -> None:
    connection.execute(statement, rows)


def _add_singly(
    refusals: list[Refusal],
    connection: Connection,
    statement: sa.Executable,
    rows: list[dict[str, Any]],
) -> None:
    """Add the rows that the database accepts; the others are appended to `refusals`."""
    refusals += add_one_by_one(connection, rows, lambda row: connection.execute(statement, row))


_NAMES = (
    *("method", "path", "type", "place", "new_message"),
    *("day", "key_day", "bucket", "key_bucket"),
)
"""Parameters that identify a row: some of a request, of an exception, or of a removed endpoint."""

_FIRST: sa.BindParameter[int] = sa.bindparam("new_first_at", type_=sa.BigInteger())
_LAST: sa.BindParameter[int] = sa.bindparam("new_last_at", type_=sa.BigInteger())


def _latest(name: str) -> sa.ColumnElement[str]:
    """The new text, unless another worker has written a later one."""
    new: sa.BindParameter[str] = sa.bindparam(f"new_{name}", type_=sa.Text())
    return sa.case((EXCEPTION.c.last_at <= _LAST, new), else_=EXCEPTION.c[name])


ADD_EXCEPTION = (
    sa.update(EXCEPTION)
    .where(EXCEPTION.c.id == sa.bindparam("key_id"))
    # MariaDB assigns from left to right, and later expressions use the new values.
    .ordered_values(
        (EXCEPTION.c.message, _latest("message")),
        (EXCEPTION.c.traceback, _latest("traceback")),
        (EXCEPTION.c.calls, EXCEPTION.c.calls + sa.bindparam("add_calls")),
        (
            EXCEPTION.c.first_at,
            sa.case(
                (sa.or_(EXCEPTION.c.first_at == 0, EXCEPTION.c.first_at > _FIRST), _FIRST),
                else_=EXCEPTION.c.first_at,
            ),
        ),
        (
            EXCEPTION.c.last_at,
            sa.case((EXCEPTION.c.last_at < _LAST, _LAST), else_=EXCEPTION.c.last_at),
        ),
    )
)


ADD_EXCEPTION_COUNT = (
    sa.update(EXCEPTION_COUNT)
    .where(
        *(column == sa.bindparam(f"key_{column.name}") for column in EXCEPTION_COUNT.primary_key)
    )
    .values(calls=EXCEPTION_COUNT.c.calls + sa.bindparam("add_calls"))
)


ADD_GONE = (
    sa.update(GONE)
    .where(
        GONE.c.day == sa.bindparam("key_day"),
        GONE.c.endpoint_id == sa.bindparam("key_endpoint_id"),
        GONE.c.is_noise == sa.bindparam("key_is_noise"),
    )
    .values(calls=GONE.c.calls + sa.bindparam("add_calls"))
)


def _no_calls(counted: CountedGone) -> dict[str, Any]:
    """The row of these calls with no count yet, which readers skip."""
    return {
        "day": counted.day,
        "endpoint_id": counted.endpoint_id,
        "is_noise": int(counted.is_noise),
        "calls": 0,
    }


def _gone_change(counted: CountedGone) -> dict[str, Any]:
    """The parameters of `ADD_GONE`."""
    return {
        "key_day": counted.day,
        "key_endpoint_id": counted.endpoint_id,
        "key_is_noise": int(counted.is_noise),
        "add_calls": counted.calls,
    }


def exception_counts(exceptions: Iterable[CountedException]) -> list[dict[str, Any]]:
    """The rows of `EXCEPTION_COUNT` of some exceptions, in the order of the primary key."""
    sums: Counter[tuple[int, int, int]] = Counter()
    for one in exceptions:
        for minute, calls in one.minutes:
            for tier in COUNTED_TIERS:
                bucket = minute * Tier.MINUTE // tier
                sums[tier.value, bucket, one.id] += calls
    names = ("tier", "bucket", "failure_id")
    return [{**dict(zip(names, key, strict=True)), "calls": sums[key]} for key in sorted(sums)]


def exception_count_change(row: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `ADD_EXCEPTION_COUNT` that add a row's calls to the row of the same key."""
    keys = primary_key(EXCEPTION_COUNT, [row[one.name] for one in EXCEPTION_COUNT.primary_key])
    return {**keys, "add_calls": row["calls"]}


def exception_change(row: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `ADD_EXCEPTION` that add a row's counts to the row with the same id."""
    return {
        "key_id": row["id"],
        "add_calls": row["calls"],
        "new_first_at": row["first_at"],
        "new_last_at": row["last_at"],
        "new_message": storable(row["message"]),
        "new_traceback": storable(row["traceback"]),
    }
