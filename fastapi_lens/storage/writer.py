"""Adding what was counted to the shared rows: one batch, one transaction, exactly once.

A batch carries a number. The same transaction that adds its counts moves the worker's `seq`
from that number less one to it, so a batch whose acknowledgement got lost is recognised at
the retry and not applied twice. Rows are locked in primary-key order, so workers wait for
each other instead of deadlocking.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import StorageError
from fastapi_lens.histogram import Histogram
from fastapi_lens.storage.batches import (
    Batch,
    BucketKey,
    BucketSum,
    EndpointFacts,
    StatusKey,
    WorkerFacts,
    bucket_sums,
    status_sums,
)
from fastapi_lens.storage.counters import COUNTERS
from fastapi_lens.storage.data_version import note_change
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.fence import Fence, until_alone
from fastapi_lens.storage.statements import (
    FACTS,
    UPDATE_BUCKET,
    UPDATE_ENDPOINT,
    UPDATE_FACTS,
    UPDATE_STATUS,
    key_of,
    lock_buckets,
    lock_statuses,
)
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, STATUS, WORKER
from fastapi_lens.storage.texts import storable
from fastapi_lens.storage.workers import new_row


class Writer:
    """Writes for one worker into one database.

    Attributes:
        deadlocks: How often the database has broken one up, and the writer has begun anew.
    """

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker
        self._fence = Fence(worker, WORKER.c.seq)
        self.deadlocks = 0

    def register(
        self, facts: Iterable[EndpointFacts], *, applied: int, now_us: int, log_applied: int = 0
    ) -> None:
        """Make the worker's row and the endpoints' rows, and bring their facts up to date.

        Args:
            facts: The endpoints that the app has, called or not.
            applied: Number of the last batch known to be applied, for a database that has
                lost the worker's row, or has an older one from a backup.
            now_us: Microseconds since the epoch.
            log_applied: The same of the request log.

        Raises:
            StorageError: The database cannot be written.
        """
        rows = sorted((_endpoint_values(fact, now_us) for fact in facts), key=lambda row: row["id"])
        worker = new_row(self._worker, applied=applied, now_us=now_us, log_applied=log_applied)
        until_alone(lambda: self._register(worker, rows), undone=self._note_deadlock)

    def _register(self, worker: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        # Two transactions: on MariaDB workers that insert and then update in one deadlock.
        with self._database.write() as connection:
            connection.execute(self._database.insert_ignore(WORKER), worker)
            if rows:
                connection.execute(self._database.insert_ignore(ENDPOINT), rows)
        with self._database.write() as connection:
            for fence in (WORKER.c.seq, WORKER.c.log_seq):
                connection.execute(
                    sa.update(WORKER)
                    .where(WORKER.c.id == self._worker.id, fence < worker[fence.name])
                    .values({fence: worker[fence.name]})
                )
            if rows:
                UPDATE_FACTS.run_all(connection, [_bound(row, "id") for row in rows])
                note_change(self._database, connection)

    def write(self, batch: Batch) -> None:
        """Add a batch; calling it again with the same batch after an error is safe.

        Raises:
            StorageError: The database cannot be written; whether the batch was applied is then
                unknown, and the next call with the same batch finds out.
            SchemaTooNewError: A newer release has migrated the database since this one began.
        """
        buckets = bucket_sums(batch.deltas)
        statuses = status_sums(batch.deltas)
        until_alone(lambda: self._write(batch, buckets, statuses), undone=self._note_deadlock)

    def _note_deadlock(self) -> None:
        self.deadlocks += 1

    def _write(
        self, batch: Batch, buckets: dict[BucketKey, BucketSum], statuses: dict[StatusKey, int]
    ) -> None:
        missing = self._try(batch, buckets, statuses)
        if missing:
            # In a transaction of their own, so that inserting never waits while holding locks.
            self._insert_empty(missing)
            if self._try(batch, buckets, statuses):
                raise StorageError("rows vanished between two transactions of one flush")

    def _try(
        self, batch: Batch, buckets: dict[BucketKey, BucketSum], statuses: dict[StatusKey, int]
    ) -> "_Missing | None":
        """Apply the batch unless it has been; tell which rows have to be made first."""
        with self._database.write() as connection:
            if not self._fence.advance(connection, batch.seq):
                return None
            known = _locked_buckets(connection, buckets)
            counted = _locked_statuses(connection, statuses)
            missing = _Missing(
                [key for key in buckets if key not in known],
                [key for key in statuses if key not in counted],
            )
            if missing:
                connection.rollback()
                return missing
            self._note_open_calls(connection, batch)
            if batch.deltas or batch.uses:
                UPDATE_ENDPOINT.run_all(connection, _endpoint_changes(batch))
            if batch.deltas:
                UPDATE_BUCKET.run_all(
                    connection,
                    [_bucket_change(key, buckets[key], known[key]) for key in sorted(buckets)],
                )
                UPDATE_STATUS.run_all(
                    connection,
                    [
                        {**key_of(STATUS, key), "add_calls": statuses[key]}
                        for key in sorted(statuses)
                    ],
                )
            note_change(self._database, connection)
            return None

    def _note_open_calls(self, connection: Connection, batch: Batch) -> None:
        if batch.open_calls is not None:
            mine = sa.update(WORKER).where(WORKER.c.id == self._worker.id)
            connection.execute(mine.values(open_calls=batch.open_calls or None))

    def _insert_empty(self, missing: "_Missing") -> None:
        with self._database.write() as connection:
            for table, keys in ((BUCKET, missing.buckets), (STATUS, missing.statuses)):
                if keys:
                    names = [column.name for column in table.primary_key]
                    zeros = {
                        column.name: b"" if column.name == "histogram" else 0
                        for column in table.columns
                    }
                    connection.execute(
                        self._database.insert_ignore(table),
                        [{**zeros, **dict(zip(names, key, strict=True))} for key in sorted(keys)],
                    )


@dataclass(slots=True)
class _Missing:
    buckets: list[BucketKey]
    statuses: list[StatusKey]

    def __bool__(self) -> bool:
        return bool(self.buckets or self.statuses)


def _locked_buckets(connection: Connection, keys: Iterable[BucketKey]) -> dict[BucketKey, Any]:
    """Lock the rows of these keys in primary-key order and read them."""
    wanted: dict[tuple[int, int], list[int]] = {}
    for tier, bucket, endpoint in sorted(keys):
        wanted.setdefault((tier, bucket), []).append(endpoint)
    found: dict[BucketKey, Any] = {}
    for (tier, bucket), endpoints in wanted.items():
        values = {"tier": tier, "bucket": bucket, **_numbered(endpoints)}
        rows = lock_buckets(len(endpoints)).read(connection, values)
        found.update(((row[0], row[1], row[2]), row) for row in rows)
    return found


def _locked_statuses(connection: Connection, keys: Iterable[StatusKey]) -> set[StatusKey]:
    """Lock the rows of these keys in primary-key order; those that are there."""
    wanted: dict[int, dict[int, None]] = {}
    for day, endpoint, _ in sorted(keys):
        wanted.setdefault(day, {})[endpoint] = None
    found: set[StatusKey] = set()
    for day, endpoints in wanted.items():
        rows = lock_statuses(len(endpoints)).read(connection, {"day": day, **_numbered(endpoints)})
        found.update((row[0], row[1], row[2]) for row in rows)
    return found


def _numbered(endpoints: Iterable[int]) -> dict[str, int]:
    return {f"endpoint_{number}": endpoint for number, endpoint in enumerate(endpoints)}


def _bucket_change(key: BucketKey, change: BucketSum, row: Any) -> dict[str, Any]:
    return {
        **key_of(BUCKET, key),
        **{f"add_{name}": getattr(change, name) for name in COUNTERS},
        "new_max_us": max(change.max_us, row[3]),
        "new_histogram": (Histogram.from_bytes(row[4]) + change.latency).to_bytes(),
    }


def _endpoint_changes(batch: Batch) -> list[dict[str, Any]]:
    told = [
        *((one.endpoint_id, one.calls, one.first_at_us, one.last_at_us) for one in batch.deltas),
        # Open calls count only when they end.
        *((one.endpoint_id, 0, one.since_us, one.until_us) for one in batch.uses),
    ]
    changes: dict[int, dict[str, Any]] = {}
    for endpoint, calls, first_at, last_at in told:
        found = changes.setdefault(
            endpoint,
            {
                **key_of(ENDPOINT, (endpoint,)),
                "add_calls": 0,
                "first_at": first_at,
                "last_at": last_at,
                "ahead": batch.ahead_us,
            },
        )
        found["add_calls"] += calls
        found["first_at"] = min(found["first_at"], first_at)
        found["last_at"] = max(found["last_at"], last_at)
    return [changes[key] for key in sorted(changes)]


def _endpoint_values(fact: EndpointFacts, now_us: int) -> dict[str, Any]:
    return {
        "id": fact.id,
        "app": storable(fact.app),
        "method": fact.method,
        "path": storable(fact.path),
        "kind": fact.kind,
        "name": storable(fact.name),
        "source": storable(fact.source),
        "summary": storable(fact.summary),
        "tags": json.dumps(fact.tags),
        "deprecated": fact.deprecated,
        "first_seen_at": fact.seen_at_us,
        "last_seen_at": now_us,
        "first_called_at": 0,
        "last_called_at": 0,
        "total_calls": 0,
    }


def _bound(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {f"key_{key}": row[key], **{f"new_{name}": row[name] for name in FACTS}}
