"""Adding what was counted to the shared rows: one batch, one transaction, exactly once.

A batch carries a number. The same transaction that adds its counts moves the worker's `seq`
from that number less one to it, so a batch whose acknowledgement got lost is recognised at
the retry and not applied twice. Rows are locked in primary-key order, so workers wait for
each other instead of deadlocking.
"""

import json
from collections.abc import Iterable, Sequence
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
    Delta,
    EndpointFacts,
    StatusKey,
    WorkerFacts,
    bucket_sums,
    status_sums,
)
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, STATUS, WORKER


class Writer:
    """Writes for one worker into one database."""

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker

    def register(self, facts: Iterable[EndpointFacts], *, applied: int, now_us: int) -> None:
        """Make the worker's row and the endpoints' rows, and bring their facts up to date.

        Args:
            facts: The endpoints that the app has, called or not.
            applied: Number of the last batch known to be applied, for a database that has
                lost the worker's row, or has an older one from a backup.
            now_us: Microseconds since the epoch.

        Raises:
            StorageError: The database cannot be written.
        """
        rows = sorted((_endpoint_values(fact, now_us) for fact in facts), key=lambda row: row["id"])
        worker = {
            "id": self._worker.id,
            "app": self._worker.app,
            "host": self._worker.host,
            "pid": self._worker.pid,
            "release": self._worker.release,
            "started_at": self._worker.started_at_us,
            "seen_at": now_us,
            "ended_at": 0,
            "complete_to": 0,
            "seq": applied,
            "dropped": 0,
        }
        # Two transactions: on MariaDB workers that insert and then update in one deadlock.
        with self._database.write() as connection:
            connection.execute(self._database.insert_ignore(WORKER), worker)
            if rows:
                connection.execute(self._database.insert_ignore(ENDPOINT), rows)
        with self._database.write() as connection:
            connection.execute(
                sa.update(WORKER)
                .where(WORKER.c.id == self._worker.id, WORKER.c.seq < applied)
                .values(seq=applied)
            )
            if rows:
                connection.execute(_UPDATE_FACTS, [_bound(row, "id") for row in rows])

    def heartbeat(self, *, now_us: int, complete_to_us: int, dropped: int, ended: bool) -> None:
        """Say that the worker lives, up to when its counts are written, and what it lost.

        Raises:
            StorageError: The database cannot be written.
        """
        values = {"seen_at": now_us, "complete_to": complete_to_us, "dropped": dropped}
        values["ended_at"] = now_us if ended else 0
        with self._database.write() as connection:
            connection.execute(
                sa.update(WORKER).where(WORKER.c.id == self._worker.id).values(values)
            )

    def write(self, batch: Batch) -> None:
        """Add a batch; calling it again with the same batch after an error is safe.

        Raises:
            StorageError: The database cannot be written; whether the batch was applied is then
                unknown, and the next call with the same batch finds out.
        """
        buckets = bucket_sums(batch.deltas)
        statuses = status_sums(batch.deltas)
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
            if not self._advance(connection, batch.seq):
                return None
            known = _locked(connection, _LOCK_BUCKETS, list(buckets))
            counted = _locked(connection, _LOCK_STATUSES, list(statuses))
            missing = _Missing(
                [key for key in buckets if key not in known],
                [key for key in statuses if key not in counted],
            )
            if missing:
                connection.rollback()
                return missing
            connection.execute(_UPDATE_ENDPOINT, _endpoint_changes(batch.deltas))
            connection.execute(
                _UPDATE_BUCKET,
                [_bucket_change(key, buckets[key], known[key]) for key in sorted(buckets)],
            )
            connection.execute(
                _UPDATE_STATUS,
                [
                    {**_bound_key(STATUS, key), "add_calls": statuses[key]}
                    for key in sorted(statuses)
                ],
            )
            return None

    def _advance(self, connection: Connection, seq: int) -> bool:
        """Move the worker's fence; False when this batch was applied already."""
        moved = connection.execute(
            sa.update(WORKER)
            .where(WORKER.c.id == self._worker.id, WORKER.c.seq == seq - 1)
            .values(seq=seq)
        )
        if moved.rowcount == 1:
            return True
        applied = connection.execute(
            sa.select(WORKER.c.seq).where(WORKER.c.id == self._worker.id)
        ).scalar_one_or_none()
        if applied is None or applied < seq:
            # What it has forgotten of our counts is lost, but not what comes from now on.
            raise WorkerForgottenError("the database has forgotten this worker's latest writes")
        return False

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


class WorkerForgottenError(StorageError):
    """The worker's row is gone or old (tables dropped, a backup restored): register again."""


@dataclass(slots=True)
class _Missing:
    buckets: list[BucketKey]
    statuses: list[StatusKey]

    def __bool__(self) -> bool:
        return bool(self.buckets or self.statuses)


def _locked(
    connection: Connection, select: sa.Executable, keys: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], Any]:
    """Lock the rows of these keys in primary-key order and read them."""
    wanted: dict[tuple[int, int], list[int]] = {}
    for first, second, third in sorted(keys):
        wanted.setdefault((first, second), []).append(third)
    found: dict[tuple[int, int, int], Any] = {}
    for (first, second), thirds in wanted.items():
        rows = connection.execute(select, {"first": first, "second": second, "thirds": thirds})
        found.update((tuple(row[:3]), row) for row in rows)
    return found


def _bucket_change(key: BucketKey, change: BucketSum, row: Any) -> dict[str, Any]:
    return {
        **_bound_key(BUCKET, key),
        "add_calls": change.calls,
        "add_redirects": change.redirects,
        "add_errors_4xx": change.errors_4xx,
        "add_errors_5xx": change.errors_5xx,
        "add_duration_us": change.duration_us,
        "new_max_us": max(change.max_us, row.max_us),
        "new_histogram": (Histogram.from_bytes(row.histogram) + change.latency).to_bytes(),
    }


def _endpoint_changes(deltas: Iterable[Delta]) -> list[dict[str, Any]]:
    changes: dict[int, dict[str, Any]] = {}
    for delta in deltas:
        found = changes.setdefault(
            delta.endpoint_id,
            {
                **_bound_key(ENDPOINT, (delta.endpoint_id,)),
                "add_calls": 0,
                "first_at": delta.first_at_us,
                "last_at": delta.last_at_us,
            },
        )
        found["add_calls"] += delta.calls
        found["first_at"] = min(found["first_at"], delta.first_at_us)
        found["last_at"] = max(found["last_at"], delta.last_at_us)
    return [changes[key] for key in sorted(changes)]


def _endpoint_values(fact: EndpointFacts, now_us: int) -> dict[str, Any]:
    return {
        "id": fact.id,
        "app": fact.app,
        "method": fact.method,
        "path": fact.path,
        "kind": fact.kind,
        "name": fact.name,
        "source": fact.source,
        "summary": fact.summary,
        "tags": json.dumps(fact.tags),
        "deprecated": fact.deprecated,
        "first_seen_at": fact.seen_at_us,
        "last_seen_at": now_us,
        "first_called_at": 0,
        "last_called_at": 0,
        "total_calls": 0,
    }


_FACTS = ("kind", "name", "source", "summary", "tags", "deprecated", "last_seen_at")


def _bound(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {f"key_{key}": row[key], **{f"new_{name}": row[name] for name in _FACTS}}


def _bound_key(table: sa.Table, key: Sequence[int]) -> dict[str, int]:
    names = [f"key_{column.name}" for column in table.primary_key]
    return dict(zip(names, key, strict=True))


def _updating(table: sa.Table) -> sa.Update:
    return sa.update(table).where(
        *(column == sa.bindparam(f"key_{column.name}") for column in table.primary_key)
    )


def _adding(table: sa.Table, *names: str) -> dict[str, Any]:
    return {name: table.c[name] + sa.bindparam(f"add_{name}") for name in names}


def _locking(table: sa.Table, *columns: Any) -> sa.Executable:
    """Rows that share the first two columns of their primary key; compiled once by SQLAlchemy."""
    first, second, third = table.primary_key
    return (
        sa.select(first, second, third, *columns)
        .where(
            first == sa.bindparam("first"),
            second == sa.bindparam("second"),
            third.in_(sa.bindparam("thirds", expanding=True)),
        )
        .order_by(third)
        .with_for_update()
    )


_LOCK_BUCKETS = _locking(BUCKET, BUCKET.c.max_us, BUCKET.c.histogram)
_LOCK_STATUSES = _locking(STATUS)
_UPDATE_FACTS = _updating(ENDPOINT).values({name: sa.bindparam(f"new_{name}") for name in _FACTS})
_FIRST: sa.BindParameter[int] = sa.bindparam("first_at", type_=sa.BigInteger())
_LAST: sa.BindParameter[int] = sa.bindparam("last_at", type_=sa.BigInteger())
_UPDATE_ENDPOINT = _updating(ENDPOINT).values(
    total_calls=ENDPOINT.c.total_calls + sa.bindparam("add_calls"),
    first_called_at=sa.case(
        (
            sa.or_(ENDPOINT.c.first_called_at == 0, ENDPOINT.c.first_called_at > _FIRST),
            _FIRST,
        ),
        else_=ENDPOINT.c.first_called_at,
    ),
    last_called_at=sa.case(
        (ENDPOINT.c.last_called_at < _LAST, _LAST), else_=ENDPOINT.c.last_called_at
    ),
)
_UPDATE_BUCKET = _updating(BUCKET).values(
    max_us=sa.bindparam("new_max_us"),
    histogram=sa.bindparam("new_histogram"),
    **_adding(BUCKET, "calls", "redirects", "errors_4xx", "errors_5xx", "duration_us"),
)
_UPDATE_STATUS = _updating(STATUS).values(**_adding(STATUS, "calls"))
