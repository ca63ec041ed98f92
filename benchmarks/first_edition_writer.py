"""The writer of the first edition, kept to be compared: each worker updates the shared rows itself.

A flush is cut into transactions of some endpoints each. One locks the rows that it changes, reads
their histograms, and updates them row by row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.coordination.sequence import SequenceGuard, retry_on_deadlock
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.bulk_update import BulkUpdate
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import Row, primary_key
from fastapi_lens.storage.engine.row_update import New
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS, WORKER
from fastapi_lens.storage.writing.batches import (
    Batch,
    BucketKey,
    BucketSum,
    Delta,
    StatusKey,
    bucket_sums,
    status_sums,
)
from fastapi_lens.storage.writing.increments import UPDATE_BUCKET, UPDATE_STATUS
from fastapi_lens.storage.writing.rollup import bucket_change, locked_buckets, locked_statuses

MAX_SUMS = 16
"""Of one transaction: each sum changes six rows, and a transaction changed at most 100."""

PAUSE_SECONDS = 0.001
"""Between two transactions of a flush, in which requests get the interpreter."""

_NEVER: sa.ColumnElement[int] = sa.literal_column("0", sa.BigInteger())


def _endpoint(new: New) -> Mapping[str, sa.ColumnElement[Any]]:
    """The columns that the first edition's rows of endpoints had."""
    stored, first, last = ENDPOINT.c, new("first_at"), new("last_at")
    is_first = (stored.first_called_at == _NEVER) | (stored.first_called_at > first)
    is_last = (stored.last_called_at < last) | (stored.last_called_at > new("ahead"))
    return {
        "total_calls": stored.total_calls + new("add_calls"),
        "first_called_at": sa.case((is_first, first), else_=stored.first_called_at),
        "last_called_at": sa.case((is_last, last), else_=stored.last_called_at),
    }


_ENDPOINT_NUMBERS = dict.fromkeys(("add_calls", "first_at", "last_at", "ahead"), sa.BigInteger)
_UPDATE_ENDPOINT, _UPDATE_BUCKET, _UPDATE_STATUS = (
    update.one_by_one()
    for update in (
        BulkUpdate(ENDPOINT, _ENDPOINT_NUMBERS, _endpoint),
        UPDATE_BUCKET,
        UPDATE_STATUS,
    )
)


class FirstEditionWriter:
    """Adds the batches of one worker to the shared rows, each exactly once."""

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._guard = SequenceGuard(worker, WORKER.c.seq)

    def write(self, batch: Batch) -> None:
        """Add a batch.

        Raises:
            StorageError: The database cannot be written.
        """
        buckets, statuses = bucket_sums(batch.deltas), status_sums(batch.deltas)
        retry_on_deadlock(lambda: self._write(batch, buckets, statuses))

    def _write(
        self, batch: Batch, buckets: dict[BucketKey, BucketSum], statuses: dict[StatusKey, int]
    ) -> None:
        while missing := self._try(batch, buckets, statuses):
            # In a transaction of their own, so that inserting never waits while holding locks.
            with self._database.write() as connection:
                for table, rows in missing:
                    connection.execute(self._database.insert_ignore(table), rows)

    def _try(
        self, batch: Batch, buckets: dict[BucketKey, BucketSum], statuses: dict[StatusKey, int]
    ) -> list[tuple[sa.Table, list[Row]]]:
        """Add the batch unless it is there already; the rows that have to be made before."""
        with self._database.write() as connection:
            if not self._guard.advance(connection, batch.seq):
                return []
            known = locked_buckets(connection, buckets)
            counted = locked_statuses(connection, statuses)
            missing = [
                *_empty(BUCKET, sorted(buckets.keys() - known.keys())),
                *_empty(STATUS, sorted(statuses.keys() - counted)),
            ]
            if missing:
                connection.rollback()
                return missing
            _UPDATE_ENDPOINT(connection, _endpoint_changes(batch))
            _UPDATE_BUCKET(
                connection,
                [bucket_change(key, buckets[key], known[key]) for key in sorted(buckets)],
            )
            _UPDATE_STATUS(
                connection,
                [
                    {**primary_key(STATUS, key), "add_calls": statuses[key]}
                    for key in sorted(statuses)
                ],
            )
            return []


def _empty(table: sa.Table, keys: Sequence[tuple[int, ...]]) -> list[tuple[sa.Table, list[Row]]]:
    """The table and its empty rows of these keys; nothing without keys."""
    zeros = {column.name: b"" if column.name == "histogram" else 0 for column in table.columns}
    names = [column.name for column in table.primary_key]
    rows: list[Row] = [{**zeros, **dict(zip(names, key, strict=True))} for key in keys]
    return [(table, rows)] if rows else []


def _endpoint_changes(batch: Batch) -> list[Row]:
    """The values that add to each endpoint, as `UPDATE_ENDPOINT` takes them."""
    by_endpoint: dict[int, list[Delta]] = {}
    for delta in batch.deltas:
        by_endpoint.setdefault(delta.endpoint_id, []).append(delta)
    return [
        {
            **primary_key(ENDPOINT, (endpoint,)),
            "add_calls": sum(delta.calls for delta in deltas),
            "first_at": min(delta.first_at_us for delta in deltas),
            "last_at": max(delta.last_at_us for delta in deltas),
            "ahead": batch.ahead_us,
        }
        for endpoint, deltas in sorted(by_endpoint.items())
    ]
