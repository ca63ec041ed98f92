"""Adds the rows of another database to this one, each exactly once. Reads no file.

An import stores in the database how many rows of which export were added, in the transaction that
adds them. A repeated import, after a crash or by mistake, continues from there.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.coordination.observed import mark_hour, tell_release
from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import primary_key
from fastapi_lens.storage.records.import_notes import IMPORT_NOTE, import_notes
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.statements import FACTS
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
from fastapi_lens.storage.transfer.export import Origins, origins
from fastapi_lens.storage.writing.batches import BucketSum
from fastapi_lens.storage.writing.callers import merge_uses, merge_weeks
from fastapi_lens.storage.writing.increments import UPDATE_BUCKET, UPDATE_STATUS
from fastapi_lens.storage.writing.log_writer import (
    ADD_EXCEPTION,
    ADD_EXCEPTION_COUNT,
    exception_change,
    exception_count_change,
)
from fastapi_lens.storage.writing.rollup import bucket_change, locked_buckets, locked_endpoints
from fastapi_lens.storage.writing.use_totals import TOTALS, UseTotals

CHUNK_ROWS = 400
"""Rows that one transaction adds: a flush may have to wait for its few milliseconds."""

TRIES = 10
"""Attempts before a deadlock becomes an error."""

Row = dict[str, Any]


class Importer:
    """Adds the rows of one export.

    Args:
        database: The target; missing tables are created.
        export_id: 32 hexadecimal digits that identify the export.
        rows: Number of rows in the export.
        origins: The origins of the counts in the export, by app.
        now: Epoch seconds.
    """

    def __init__(
        self, database: Database, export_id: str, rows: int, origins: Origins, *, now: float
    ) -> None:
        """Write nothing yet."""
        self._database = database
        self._name = f"{IMPORT_NOTE}{export_id}"
        self._rows = rows
        self._origins = origins
        self._now_us = microseconds(now)
        self._adders: dict[sa.Table, Callable[[Connection, Sequence[Row]], None]] = {
            ENDPOINT: self._add_endpoints,
            BUCKET: _add_buckets,
            STATUS: _add_statuses,
            EXCEPTION: _add_exceptions,
            EXCEPTION_COUNT: _add_exception_counts,
            RELEASE: _add_releases,
            OBSERVED: _add_observed,
            GONE: _add_gone,
            CALLER: _add_callers,
            USE: _add_uses,
            USE_WEEK: _add_use_weeks,
        }

    def repeated_apps(self) -> list[str]:
        """The apps of the export that already have counts of the same origin in the database.

        This export itself does not count, because its rows are added only once. An app that the
        database has recorded itself counts as long as the database has rows of it.

        Raises:
            StorageError: The database cannot be migrated or read.
        """
        migrate(self._database)
        with self._database.read() as connection:
            if self._name in import_notes(connection):
                return []
            apps = sa.select(ENDPOINT.c.app).where(ENDPOINT.c.app.in_(list(self._origins)))
            present = sorted(set(connection.execute(apps).scalars()))
            here = origins(connection, present)
        return [app for app in present if not set(here[app]).isdisjoint(self._origins[app])]

    def begin(self) -> int:
        """Note that this import has begun; returns the number of rows already added.

        Raises:
            StorageError: The database cannot be written.
        """
        note = {"applied": 0, "rows": self._rows, "origins": self._origins}
        with self._database.read() as connection:
            is_first = self._name not in import_notes(connection)
        with self._database.write() as connection:
            if is_first:
                self._lose_evidence(connection)
            connection.execute(
                self._database.insert_ignore(META),
                {"name": self._name, "value": json.dumps(note)},
            )
        with self._database.read() as connection:
            return int(import_notes(connection)[self._name]["applied"])

    def _lose_evidence(self, connection: Connection) -> None:
        """Let the evidence of all endpoints begin now whose apps have recorded into this database.

        The export may lack some of them: they were not observed there, and what was observed there
        fills the holes of the app.
        """
        recorded = _recorded_apps(connection, self._origins)
        earlier = ENDPOINT.c.app.in_(recorded) & (ENDPOINT.c.evidence_since < self._now_us)
        connection.execute(sa.update(ENDPOINT).where(earlier).values(evidence_since=self._now_us))

    def add(self, table: sa.Table, start: int, rows: Sequence[Row]) -> None:
        """Add some rows of one table, unless they were already added.

        Args:
            table: Their table.
            start: Number of rows of the export before them.
            rows: In primary-key order; at least one.

        Raises:
            StorageError: The database cannot be written.
        """
        if table is ENDPOINT:
            rows = [self._endpoint(row) for row in rows]
        if table is REQUEST:
            rows = [{"caller_id": 0, **row} for row in rows]
        retry_on_deadlock(lambda: self._add(table, start, rows), tries=TRIES)

    def _endpoint(self, row: Row) -> Row:
        """An endpoint with all columns; its shape is derived, so that it cannot be wrong."""
        shape = shape_id(row["app"], row["method"], row["path"])
        # Older exports tell nothing about observation, so their silence is no evidence.
        since = {"evidence_since": self._now_us}
        # Its callers are counted anew, because those of both places together have a bound.
        return {**_OLDER_ENDPOINT, **since, **row, "shape_id": shape, "callers": 0}

    def _add(self, table: sa.Table, start: int, rows: Sequence[Row]) -> None:
        # Two transactions: on MariaDB, transactions that insert and then update deadlock.
        if table not in _BOUNDED:
            with self._database.write() as connection:
                empty = [_emptied(table, row) for row in rows]
                connection.execute(self._database.insert_ignore(table), empty)
        with self._database.write() as connection:
            note = self._locked_note(connection)
            missing = rows[max(0, note["applied"] - start) :]
            if missing:
                if table in self._adders:
                    self._adders[table](connection, missing)
                self._note(connection, {**note, "applied": start + len(rows)})
                note_change(self._database, connection)

    def _locked_note(self, connection: Connection) -> dict[str, Any]:
        value = connection.execute(
            # Locked, because two processes may import the same file.
            sa.select(META.c.value).where(META.c.name == self._name).with_for_update()
        ).scalar_one()
        note: dict[str, Any] = json.loads(value)
        return note

    def _note(self, connection: Connection, note: dict[str, Any]) -> None:
        connection.execute(
            sa.update(META).where(META.c.name == self._name).values(value=json.dumps(note))
        )

    def _add_endpoints(self, connection: Connection, rows: Sequence[Row]) -> None:
        found = connection.execute(
            sa.select(ENDPOINT)
            .where(ENDPOINT.c.id.in_([row["id"] for row in rows]))
            .order_by(ENDPOINT.c.id)
            .with_for_update()
        )
        here = {row["id"]: dict(row) for row in found.mappings()}
        recorded = _recorded_apps(connection, {row["app"] for row in rows})
        for row in rows:
            values = _joined(here[row["id"]], row)
            # Otherwise all of its history comes from the export, which is whole in itself.
            if row["app"] in recorded:
                # Nobody here observed what was called there, or the other way round.
                values["evidence_since"] = max(values["evidence_since"], self._now_us)
            of_it = sa.update(ENDPOINT).where(ENDPOINT.c.id == row["id"])
            connection.execute(of_it.values(values))


def _recorded_apps(connection: Connection, apps: Collection[str]) -> set[str]:
    """Those of some apps that have recorded into this database before the import.

    Workers and releases follow the endpoints in an export.
    """
    recorded = (sa.select(table.c.app).where(table.c.app.in_(apps)) for table in (WORKER, RELEASE))
    return set(connection.execute(sa.union(*recorded)).scalars())


OLDEST_SCHEMA = 8
"""The oldest schema version whose exports can be imported."""

_OLDER_ENDPOINT: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(("present_since", "removed_at", "last_used_at"), 0),
        **dict.fromkeys(("first_release_id", "last_release_id"), 0),
        **dict.fromkeys(("first_called_release_id", "last_called_release_id"), 0),
        # So its last call was made by nobody knows whom.
        **dict.fromkeys(("attributed_until", "unattributed_at"), 0),
        "overrides": None,
    }
)

ADDED_COLUMNS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        ENDPOINT.name: frozenset({*_OLDER_ENDPOINT, "shape_id", "evidence_since", "callers"}),
        REQUEST.name: frozenset({"caller_id"}),
    }
)
"""Columns that rows lack in exports of older schema versions, by table."""

_BOUNDED = frozenset({USE, USE_WEEK})
"""Tables whose rows are bounded, so that not each row of an export gets one."""


def _emptied(table: sa.Table, row: Row) -> Row:
    """A row without counts, which are added to it later.

    Workers, requests and audit entries have ids of their own and are imported whole, except that a
    worker gets no open calls. Settings are imported whole, too, and overwrite no existing ones.
    """
    if table is ENDPOINT:
        # Not seen yet, so that no report shows it before its counts are in.
        return {
            **row,
            "last_seen_at": 0,
            "first_called_at": 0,
            "last_called_at": 0,
            "total_calls": 0,
            "last_used_at": 0,
            "attributed_until": 0,
            "unattributed_at": 0,
        }
    if table is BUCKET:
        return {**row, **dict.fromkeys(COUNTERS, 0), "max_us": 0, "histogram": b""}
    if table is EXCEPTION:
        return {**row, "calls": 0, "first_at": 0, "last_at": 0}
    if table is WORKER:
        return {**row, "open_calls": None}
    return {**row, **_NO_COUNTS.get(table.name, {})}


_NO_COUNTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        STATUS.name: {"calls": 0},
        GONE.name: {"calls": 0},
        EXCEPTION_COUNT.name: {"calls": 0},
        RELEASE.name: {"first_at": 0, "last_at": 0},
        CALLER.name: {"first_at": 0, "last_at": 0},
        OBSERVED.name: {"minutes": 0},
    }
)
"""The columns of rows that are added to, with what they are before."""


def _joined(here: Row, there: Row) -> Row:
    """The merged values of one endpoint; the facts are those that were seen later.

    It may have been in the routes at only one of both places, so the evidence begins where the
    later one begins.
    """
    newer = there if there["last_seen_at"] > here["last_seen_at"] else here
    first_seen = there if _is_earlier(there["first_seen_at"], here["first_seen_at"]) else here
    first_called = there if _is_earlier(there["first_called_at"], here["first_called_at"]) else here
    last_called = there if there["last_called_at"] > here["last_called_at"] else here
    removed = here["removed_at"], there["removed_at"]
    return {
        **{name: newer[name] for name in FACTS},
        "first_seen_at": first_seen["first_seen_at"],
        "last_seen_at": newer["last_seen_at"],
        "first_called_at": first_called["first_called_at"],
        "last_called_at": last_called["last_called_at"],
        "total_calls": here["total_calls"] + there["total_calls"],
        "present_since": max(here["present_since"], there["present_since"]),
        "evidence_since": _evidence_since(here, there),
        # Removed only if it is so at both places; 0 means that it is still there.
        "removed_at": min(removed),
        "last_used_at": max(here["last_used_at"], there["last_used_at"]),
        "first_release_id": first_seen["first_release_id"],
        "first_called_release_id": first_called["first_called_release_id"],
        "last_called_release_id": last_called["last_called_release_id"],
        "attributed_until": last_called["attributed_until"],
        "unattributed_at": max(_unattributed_at(here), _unattributed_at(there)),
    }


def _unattributed_at(row: Row) -> int:
    """The time of the last call of an endpoint without a caller; 0 if all have one."""
    last: int = row["last_called_at"]
    since: int = row["unattributed_at"]
    return since if last == row["attributed_until"] else max(since, last)


def _evidence_since(here: Row, there: Row) -> int:
    since: int = max(here["evidence_since"], there["evidence_since"])
    seen = here["first_seen_at"], there["first_seen_at"]
    return since if seen[0] == seen[1] else max(since, *seen)


def _is_earlier(one: int, other: int) -> bool:
    """True if a time is earlier than another one, where 0 means never."""
    return 0 < one < other or other == 0


def _add_buckets(connection: Connection, rows: Sequence[Row]) -> None:
    sums = {(row["tier"], row["bucket"], row["endpoint_id"]): _bucket_sum(row) for row in rows}
    here = locked_buckets(connection, sums)
    UPDATE_BUCKET.run(
        connection, [bucket_change(key, change, here[key]) for key, change in sums.items()]
    )


def _bucket_sum(row: Row) -> BucketSum:
    counted = {name: row[name] for name in (*COUNTERS, "max_us")}
    return BucketSum(**counted, histogram=Histogram.from_bytes(row["histogram"]))


def _add_statuses(connection: Connection, rows: Sequence[Row]) -> None:
    names = [column.name for column in STATUS.primary_key]
    UPDATE_STATUS.run(
        connection,
        [
            {**primary_key(STATUS, [row[name] for name in names]), "add_calls": row["calls"]}
            for row in rows
        ],
    )


def _add_exceptions(connection: Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        connection.execute(ADD_EXCEPTION, exception_change(row))


def _add_exception_counts(connection: Connection, rows: Sequence[Row]) -> None:
    connection.execute(ADD_EXCEPTION_COUNT, list(map(exception_count_change, rows)))


def _add_releases(connection: Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        tell_release(connection, row["id"], row["first_at"], row["last_at"])


def _add_observed(connection: Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        mark_hour(connection, row["release_id"], row["hour"], row["minutes"])


def _add_gone(connection: Connection, rows: Sequence[Row]) -> None:
    names = [column.name for column in GONE.primary_key]
    is_row = [column == sa.bindparam(f"key_{column.name}") for column in GONE.primary_key]
    update = sa.update(GONE).where(*is_row)
    connection.execute(
        update.values(calls=GONE.c.calls + sa.bindparam("add_calls")),
        [
            {**primary_key(GONE, [row[name] for name in names]), "add_calls": row["calls"]}
            for row in rows
        ],
    )


def _add_callers(connection: Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        first, last = CALLER.c.first_at, CALLER.c.last_at
        is_first = (first == 0) | (first > row["first_at"])
        changes: dict[str, Any] = {
            "label": sa.case((CALLER.c.label == "", row["label"]), else_=CALLER.c.label),
            "last_at": sa.case((last < row["last_at"], row["last_at"]), else_=last),
        }
        # 0 means never.
        if row["first_at"]:
            changes["first_at"] = sa.case((is_first, row["first_at"]), else_=first)
        connection.execute(sa.update(CALLER).where(CALLER.c.id == row["id"]).values(changes))


def _add_uses(connection: Connection, rows: Sequence[Row]) -> None:
    endpoints = locked_endpoints(connection, sorted({row["endpoint_id"] for row in rows}))
    there = {
        (row["endpoint_id"], row["caller_id"]): UseTotals(**{name: row[name] for name in TOTALS})
        for row in rows
    }
    merge_uses(connection, there, endpoints)


def _add_use_weeks(connection: Connection, rows: Sequence[Row]) -> None:
    locked_endpoints(connection, sorted({row["endpoint_id"] for row in rows}))
    merge_weeks(
        connection,
        {(row["week"], row["endpoint_id"], row["caller_id"]): row["calls"] for row in rows},
    )
