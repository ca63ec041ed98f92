"""Addition of an export's rows to the rows of the same keys, in the transaction of the caller."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.coordination.observed import mark_hour, tell_release
from fastapi_lens.storage.engine.prepared import primary_key
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    OBSERVED,
    RELEASE,
    STATUS,
    USE,
    USE_WEEK,
    WORKER,
)
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

Row = dict[str, Any]


def emptied(table: sa.Table, row: Row) -> Row:
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
    UPDATE_STATUS.run(connection, _added_calls(STATUS, rows))


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
    is_row = [column == sa.bindparam(f"key_{column.name}") for column in GONE.primary_key]
    update = sa.update(GONE).where(*is_row)
    connection.execute(
        update.values(calls=GONE.c.calls + sa.bindparam("add_calls")), _added_calls(GONE, rows)
    )


def _added_calls(table: sa.Table, rows: Sequence[Row]) -> list[Row]:
    """The keys of rows that have only calls, and the calls to add."""
    names = [column.name for column in table.primary_key]
    return [
        {**primary_key(table, [row[name] for name in names]), "add_calls": row["calls"]}
        for row in rows
    ]


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


ADDERS: Mapping[sa.Table, Callable[[Connection, Sequence[Row]], None]] = MappingProxyType(
    {
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
)
"""Functions that add rows of an export, by table; endpoints are added by the `Importer`."""
