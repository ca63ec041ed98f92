"""The statements of a flush, compiled once per database and run row by row at the driver's speed.

SQLAlchemy's own way from a statement and a dictionary to the driver costs more than the work
itself: a flush has some thousand rows, and its thread shares the interpreter with the requests.
"""

from functools import cache

import sqlalchemy as sa

from fastapi_lens.storage.engine.prepared import LockingRead, Prepared, among_some
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    META,
    SCHEMA_VERSION,
    STATUS,
    WORKER,
)


def _updating(table: sa.Table) -> sa.Update:
    return sa.update(table).where(
        *(column == sa.bindparam(f"key_{column.name}") for column in table.primary_key)
    )


LOCK_BUCKETS = LockingRead(
    sa.select(*BUCKET.primary_key, BUCKET.c.max_us, BUCKET.c.histogram)
    .where(
        BUCKET.c.tier == sa.bindparam("tier"),
        BUCKET.c.bucket == sa.bindparam("bucket"),
        among_some(BUCKET.c.endpoint_id),
    )
    .order_by(BUCKET.c.endpoint_id)
    .with_for_update()
)
"""The rows of one ``tier`` and ``bucket``: their key, maximum and histogram."""

LOCK_STATUSES = LockingRead(
    sa.select(*STATUS.primary_key)
    .where(STATUS.c.day == sa.bindparam("day"), among_some(STATUS.c.endpoint_id))
    .order_by(STATUS.c.endpoint_id, STATUS.c.status)
    .with_for_update()
)
"""The keys of all rows of one ``day``; those of statuses that nobody asked for, too: there are few,
and one statement does it."""

LOCK_ENDPOINTS = LockingRead(
    sa.select(ENDPOINT.c.id)
    .where(among_some(ENDPOINT.c.id))
    .order_by(ENDPOINT.c.id)
    .with_for_update()
)
"""The ids of those that have a row."""

FACTS = (
    "method",
    "path",
    "kind",
    "name",
    "source",
    "summary",
    "tags",
    "deprecated",
    "last_seen_at",
)
"""Columns of an endpoint that its app tells, each a parameter ``new_<column>``."""

HAS_SCHEMA = sa.exists().where(
    META.c.name == sa.literal_column(f"'{SCHEMA_VERSION}'"),
    META.c.value == sa.bindparam("schema"),
)
"""Whether the database has the schema version that the parameter ``schema`` names."""


@cache
def advancing(number: sa.Column[int], *told: sa.Column[int]) -> Prepared:
    """Moves a worker's number from ``before`` to ``after``, unless the tables have changed.

    Other columns become ``new_<column>`` with it.
    """
    others: dict[sa.Column[int], sa.BindParameter[int]] = {
        column: sa.bindparam(f"new_{column.name}") for column in told
    }
    return Prepared(
        sa.update(WORKER)
        .where(WORKER.c.id == sa.bindparam("worker"), number == sa.bindparam("before"), HAS_SCHEMA)
        .values({number: sa.bindparam("after"), **others})
    )


UPDATE_FACTS = Prepared(
    _updating(ENDPOINT).values({name: sa.bindparam(f"new_{name}") for name in FACTS})
)
