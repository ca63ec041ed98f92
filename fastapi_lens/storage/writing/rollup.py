"""Addition of counts to the rows that are shown, in the transaction that takes them from the inbox.

Before any row is changed, the rows of buckets, then of statuses, then of endpoints are locked, in
primary-key order, so that processes that add to the same rows wait for each other and do not
deadlock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy.engine import Connection

from fastapi_lens.errors import RefusedError, StorageError
from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import Row, primary_key
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.statements import LOCK_BUCKETS, LOCK_ENDPOINTS, LOCK_STATUSES
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS
from fastapi_lens.storage.writing.batches import (
    Batch,
    BucketKey,
    BucketSum,
    StatusKey,
    bucket_sums,
    endpoint_changes,
    status_sums,
)
from fastapi_lens.storage.writing.callers import CallerChanges, EndpointState, add_callers
from fastapi_lens.storage.writing.increments import UPDATE_BUCKET, UPDATE_ENDPOINT, UPDATE_STATUS


class UnregisteredError(StorageError):
    """Some endpoints have no row.

    Attributes:
        ids: Their ids.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        """Name them."""
        super().__init__(f"{len(ids)} endpoints have no row")
        self.ids = ids


Claim = Callable[[Connection], None]
"""Removes the added counts from their source, in the same transaction; raises if they are gone."""


class Rollup:
    """Adds to the rows of one database."""

    def __init__(self, database: Database) -> None:
        """Write nothing yet."""
        self._database = database

    def add(self, batches: Sequence[Batch], claim: Claim) -> None:
        """Add the sums and uses of batches in one transaction.

        Args:
            batches: One for each release, and for those with callers and without; their numbers
                and their open calls are ignored.
            claim: Called first in each transaction.

        Raises:
            UnregisteredError: Some endpoints have no row; nothing was added.
            StorageError: The database cannot be written. Unless the acknowledgement was lost,
                nothing was added and nothing removed.
        """
        changes = _Changes.of(batches)
        retry_on_deadlock(lambda: self._add(changes, claim))

    def takes(self, batches: Sequence[Batch]) -> bool:
        """True if the database would accept batches; no call is added, but rows are created."""
        changes = _Changes.of(batches)
        try:
            retry_on_deadlock(lambda: self._add(changes, None))
        except RefusedError:
            return False
        return True

    def _add(self, changes: "_Changes", claim: Claim | None) -> None:
        missing = self._try(changes, claim)
        if missing:
            # In a transaction of its own, so that an INSERT never waits while holding locks.
            self._insert_empty(missing)
            if self._try(changes, claim):
                # A deletion has just taken them; the batches stay for the next attempt.
                raise StorageError("rows vanished between two transactions")

    def _try(self, changes: "_Changes", claim: Claim | None) -> "_Missing | None":
        """Add them, or return the rows to create first; without a claim, roll back."""
        with self._database.write() as connection:
            if claim is not None:
                # First, so that a process that comes too late locks no row.
                claim(connection)
            locked = _Locked.of(connection, changes)
            missing = locked.missing_of(changes)
            if missing:
                # This undoes the claim, so the batches wait until the rows exist.
                connection.rollback()
                return missing
            self._update(connection, changes, locked)
            if claim is None:
                connection.rollback()
            else:
                note_change(self._database, connection)
            return None

    def _update(self, connection: Connection, changes: "_Changes", locked: "_Locked") -> None:
        buckets, statuses = changes.buckets, changes.statuses
        UPDATE_ENDPOINT.run(connection, changes.endpoints)
        UPDATE_BUCKET.run(
            connection,
            [
                bucket_change(key, buckets[key], locked.buckets[key])
                # Merging many histograms would keep the interpreter lock from requests.
                for key in yield_gil(sorted(buckets))
            ],
        )
        UPDATE_STATUS.run(
            connection,
            [{**primary_key(STATUS, key), "add_calls": statuses[key]} for key in sorted(statuses)],
        )
        add_callers(self._database, connection, changes.callers, locked.endpoints)

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


@dataclass(frozen=True, slots=True)
class _Changes:
    """The increments of batches for each table."""

    endpoints: Sequence[Row]
    buckets: dict[BucketKey, BucketSum]
    statuses: dict[StatusKey, int]
    callers: CallerChanges

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> "_Changes":
        deltas = [delta for batch in batches for delta in batch.deltas]
        return cls(
            _endpoint_rows(batches),
            bucket_sums(deltas),
            status_sums(deltas),
            CallerChanges.of(batches),
        )


@dataclass(slots=True)
class _Missing:
    buckets: list[BucketKey]
    statuses: list[StatusKey]

    def __bool__(self) -> bool:
        return bool(self.buckets or self.statuses)


@dataclass(frozen=True, slots=True)
class _Locked:
    """The locked rows that are there."""

    buckets: dict[BucketKey, tuple[int, bytes]]
    statuses: set[StatusKey]
    endpoints: dict[int, EndpointState]

    @classmethod
    def of(cls, connection: Connection, changes: _Changes) -> "_Locked":
        """Lock the rows of all changes.

        Raises:
            UnregisteredError: Some endpoints have no row.
        """
        buckets = locked_buckets(connection, changes.buckets)
        statuses = locked_statuses(connection, changes.statuses)
        ids = sorted({row["key_id"] for row in changes.endpoints} | changes.callers.endpoints)
        endpoints = locked_endpoints(connection, ids)
        if len(endpoints) < len(ids):
            raise UnregisteredError([one for one in ids if one not in endpoints])
        return cls(buckets, statuses, endpoints)

    def missing_of(self, changes: _Changes) -> _Missing:
        """The buckets and statuses of the changes that have no row."""
        return _Missing(
            [key for key in changes.buckets if key not in self.buckets],
            [key for key in changes.statuses if key not in self.statuses],
        )


def locked_buckets(
    connection: Connection, keys: Iterable[BucketKey]
) -> dict[BucketKey, tuple[int, bytes]]:
    """Lock the rows of these keys in primary-key order; returns their maxima and histograms."""
    found: dict[BucketKey, tuple[int, bytes]] = {}
    for (tier, bucket), group in groupby(sorted(keys), lambda key: key[:2]):
        values = {"tier": tier, "bucket": bucket}
        rows = LOCK_BUCKETS.read_of(connection, values, [endpoint for _, _, endpoint in group])
        found.update({(row[0], row[1], row[2]): (row[3], bytes(row[4])) for row in rows})
    return found


def locked_statuses(connection: Connection, keys: Iterable[StatusKey]) -> set[StatusKey]:
    """Lock the rows of these keys in primary-key order; returns the keys of existing rows."""
    found: set[StatusKey] = set()
    for day, group in groupby(sorted(keys), lambda key: key[0]):
        endpoints = list(dict.fromkeys(endpoint for _, endpoint, _ in group))
        rows = LOCK_STATUSES.read_of(connection, {"day": day}, endpoints)
        found.update((row[0], row[1], row[2]) for row in rows)
    return found


def locked_endpoints(connection: Connection, ids: Sequence[int]) -> dict[int, EndpointState]:
    """Lock the rows of these endpoints in primary-key order; what those that are there say.

    Args:
        connection: In a writing transaction.
        ids: In ascending order.
    """
    rows = LOCK_ENDPOINTS.read_of(connection, {}, ids)
    return {row[0]: EndpointState(row[1], row[2], bool(row[3])) for row in rows}


_ADDED = tuple(f"add_{name}" for name in COUNTERS)
_counters = attrgetter(*COUNTERS)


def bucket_change(key: BucketKey, change: BucketSum, row: tuple[int, bytes]) -> dict[str, Any]:
    """The values for `UPDATE_BUCKET` that add to one bucket.

    Args:
        key: The key of the bucket.
        change: The increments.
        row: The maximum and the histogram of its locked row.
    """
    max_us, histogram = row
    return {
        **primary_key(BUCKET, key),
        **dict(zip(_ADDED, _counters(change), strict=True)),
        "new_max_us": max(change.max_us, max_us),
        "new_histogram": (Histogram.from_bytes(histogram) + change.histogram).to_bytes(),
    }


def _endpoint_rows(batches: Sequence[Batch]) -> list[Row]:
    """The values for `UPDATE_ENDPOINT`, in primary-key order."""
    ahead = max(batch.ahead_us for batch in batches)
    return [
        {
            **primary_key(ENDPOINT, (endpoint,)),
            "add_calls": change.calls,
            "first_at": change.first_at_us,
            "last_at": change.last_at_us,
            "used_at": change.used_at_us,
            "ahead": ahead,
            "first_release": change.first_release,
            "last_release": change.last_release,
            "is_attributed": int(change.is_attributed),
            "unattributed": change.unattributed_at_us,
        }
        for endpoint, change in sorted(endpoint_changes(batches).items())
    ]
