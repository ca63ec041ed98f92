"""Adding to the request log: one batch, one transaction; exceptions are counted exactly once.

It has a fence of its own, `log_seq` of the worker's row, which works as `seq` does for `Writer`.
A request's row has an id that no other has, so that one which is there already is left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import RefusedError
from fastapi_lens.storage.coordination.sequence import SequenceGuard, retry_on_deadlock
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.tables import FAILURE, REQUEST, WORKER
from fastapi_lens.storage.writing.batches import identity_of
from fastapi_lens.storage.writing.refusals import Refusal, add_one_by_one, log_refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One row of the log.

    Attributes:
        id: See `RequestRow`.
        failure_id: Of its exception; 0 without.
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
    failure_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFailure:
    """Exceptions of one kind; times in microseconds since the epoch.

    Attributes:
        id: `failure_id` of what they have in common.
        calls: How many they were.
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


@dataclass(frozen=True, slots=True)
class LogBatch:
    """What one transaction adds.

    Attributes:
        seq: Number of the batch in its worker, 1 for the first.
    """

    seq: int
    requests: tuple[LoggedRequest, ...]
    failures: tuple[CountedFailure, ...]


def failure_id(endpoint_id: int, kind: str, place: str) -> int:
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

        Rows that the database refuses are left out, with one warning.

        Raises:
            StorageError: The database cannot be written; whether the batch was applied is then
                unknown, and the next call with the same batch finds out.
            SchemaTooNewError: A newer release has migrated the database since this one began.
        """
        try:
            retry_on_deadlock(lambda: self._write(batch, _add_all))
        except RefusedError:
            refusals: list[Refusal] = []

            def write_singly() -> None:
                refusals.clear()  # Of a try that a deadlock has ended.
                self._write(batch, partial(_add_singly, refusals))

            retry_on_deadlock(write_singly)
            log_refusals(refusals, "rows of the request log", _NAMES)

    def _write(self, batch: LogBatch, add: "_Add") -> None:
        failures = sorted(batch.failures, key=lambda failure: failure.id)
        if failures:
            # In a transaction of their own, so that inserting never waits while holding locks.
            with self._database.write() as connection:
                empty = [self._empty(one) for one in failures]
                add(connection, self._database.insert_ignore(FAILURE), empty)
        with self._database.write() as connection:
            if not self._guard.advance(connection, batch.seq):
                return
            if batch.requests:
                rows = self._rows(batch.requests)
                add(connection, self._database.insert_ignore(REQUEST), rows)
            if failures:
                changes = [failure_change(asdict(failure)) for failure in failures]
                add(connection, ADD_FAILURE, changes)

    def _rows(self, requests: Sequence[LoggedRequest]) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "app": storable(self._worker.app),
                "endpoint_id": one.endpoint_id,
                "method": storable(one.method),
                "path": storable(one.path),
                "query": storable(one.query),
                "status": one.status,
                "duration_us": one.duration_us,
                "reason": one.reason,
                "client": one.client,
                "agent": one.agent,
                "failure_id": one.failure_id,
            }
            for one in sorted(requests, key=lambda request: request.id)
        ]

    def _empty(self, failure: CountedFailure) -> dict[str, Any]:
        """The row of a kind of exception of which none is counted yet; readers leave it out."""
        return {
            "id": failure.id,
            "app": storable(self._worker.app),
            "endpoint_id": failure.endpoint_id,
            "type": storable(failure.type),
            "message": "",
            "place": storable(failure.place),
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
    """Add what the database takes; the rest goes to `refusals`."""
    refusals += add_one_by_one(connection, rows, lambda row: connection.execute(statement, row))


_NAMES = ("method", "path", "type", "place", "new_message")
"""What a row is recognised by: one of a request, and those of an exception."""

_FIRST: sa.BindParameter[int] = sa.bindparam("new_first_at", type_=sa.BigInteger())
_LAST: sa.BindParameter[int] = sa.bindparam("new_last_at", type_=sa.BigInteger())


def _latest(name: str) -> sa.ColumnElement[str]:
    """The new text, unless another worker has written a later one."""
    new: sa.BindParameter[str] = sa.bindparam(f"new_{name}", type_=sa.Text())
    return sa.case((FAILURE.c.last_at <= _LAST, new), else_=FAILURE.c[name])


ADD_FAILURE = (
    sa.update(FAILURE)
    .where(FAILURE.c.id == sa.bindparam("key_id"))
    # MariaDB assigns from the left to the right, and sees what it has assigned.
    .ordered_values(
        (FAILURE.c.message, _latest("message")),
        (FAILURE.c.traceback, _latest("traceback")),
        (FAILURE.c.calls, FAILURE.c.calls + sa.bindparam("add_calls")),
        (
            FAILURE.c.first_at,
            sa.case(
                (sa.or_(FAILURE.c.first_at == 0, FAILURE.c.first_at > _FIRST), _FIRST),
                else_=FAILURE.c.first_at,
            ),
        ),
        (
            FAILURE.c.last_at,
            sa.case((FAILURE.c.last_at < _LAST, _LAST), else_=FAILURE.c.last_at),
        ),
    )
)


def failure_change(row: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `ADD_FAILURE` that add what a row counts to the one with its id."""
    return {
        "key_id": row["id"],
        "add_calls": row["calls"],
        "new_first_at": row["first_at"],
        "new_last_at": row["last_at"],
        "new_message": storable(row["message"]),
        "new_traceback": storable(row["traceback"]),
    }
