"""Baselines: the sums of an endpoint's deleted weeks, so that its totals never decrease.

A Prometheus server takes a counter that has decreased for one that began at zero again.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier
from fastapi_lens.storage.schema.tables import BUCKET
from fastapi_lens.storage.writing.batches import BucketSum
from fastapi_lens.storage.writing.increments import UPDATE_BUCKET
from fastapi_lens.storage.writing.rollup import bucket_change, locked_buckets


def add_to_baselines(
    database: Database, connection: Connection, condition: sa.ColumnElement[bool]
) -> None:
    """Add rows of weeks to the baselines of their endpoints.

    Args:
        database: The database with the rows.
        connection: In the transaction that deletes the rows afterwards.
        condition: The condition of the rows.
    """
    weeks = (
        sa.select(BUCKET)
        .where(condition)
        .order_by(BUCKET.c.endpoint_id)
        # Otherwise, a late call could be added to a row between its reading and its deletion.
        .with_for_update()
    )
    rows = connection.execute(weeks).all()
    if not rows:
        return
    sums = {
        (Tier.WEEK.value, BASELINE_BUCKET, endpoint): _sum_of(list(group))
        for endpoint, group in yield_gil(groupby(rows, attrgetter("endpoint_id")))
    }
    connection.execute(
        database.insert_ignore(BUCKET),
        [
            {**_EMPTY, "tier": tier, "bucket": bucket, "endpoint_id": endpoint}
            for tier, bucket, endpoint in sums
        ],
    )
    here = locked_buckets(connection, sums)
    UPDATE_BUCKET.run(
        connection, [bucket_change(key, change, here[key]) for key, change in sums.items()]
    )


_EMPTY = {**dict.fromkeys((*COUNTERS, "max_us"), 0), "histogram": b""}


def _sum_of(rows: Sequence[sa.Row[Any]]) -> BucketSum:
    sums = {name: sum(getattr(row, name) for row in rows) for name in COUNTERS}
    return BucketSum(
        **sums,
        max_us=max(row.max_us for row in rows),
        histogram=Histogram.merged_bytes(row.histogram for row in rows),
    )
