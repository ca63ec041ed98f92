"""The statements of a flush, compiled once per database and run row by row at the driver's speed.

Executing a statement through SQLAlchemy costs more than the work itself: a flush has some thousand
rows, and its thread shares the interpreter with the requests.
"""

from functools import cache

import sqlalchemy as sa

from fastapi_lens.storage.engine.prepared import LockingRead, Prepared, among_marked_ids
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
        among_marked_ids(BUCKET.c.endpoint_id),
    )
    .order_by(BUCKET.c.endpoint_id)
    .with_for_update()
)
"""The rows of one ``tier`` and ``bucket``: their key, maximum and histogram."""

LOCK_STATUSES = LockingRead(
    sa.select(*STATUS.primary_key)
    .where(STATUS.c.day == sa.bindparam("day"), among_marked_ids(STATUS.c.endpoint_id))
    .order_by(STATUS.c.endpoint_id, STATUS.c.status)
    .with_for_update()
)
"""The keys of all rows of one ``day``, for every status: there are only few."""

LOCK_ENDPOINTS = LockingRead(
    sa.select(ENDPOINT.c.id)
    .where(among_marked_ids(ENDPOINT.c.id))
    .order_by(ENDPOINT.c.id)
    .with_for_update()
)
"""The ids of endpoints that have a row."""

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
"""Columns of an endpoint that its app reports, each a parameter ``new_<column>``."""

HAS_SCHEMA = sa.exists().where(
    META.c.name == sa.literal_column(f"'{SCHEMA_VERSION}'"),
    META.c.value == sa.bindparam("schema"),
)
"""Condition: the database has the schema version of the parameter ``schema``."""


@cache
def advancing(number: sa.Column[int], *progress: sa.Column[int]) -> Prepared:
    """A statement that advances a worker's number from ``before`` to ``after`` in this schema.

    It also sets the columns of its progress to ``new_<column>``.
    """
    others: dict[sa.Column[int], sa.BindParameter[int]] = {
        column: sa.bindparam(f"new_{column.name}") for column in progress
    }
    return Prepared(
        sa.update(WORKER)
        .where(WORKER.c.id == sa.bindparam("worker"), number == sa.bindparam("before"), HAS_SCHEMA)
        .values({number: sa.bindparam("after"), **others})
    )


UPDATE_FACTS = Prepared(
    _updating(ENDPOINT).values({name: sa.bindparam(f"new_{name}") for name in FACTS})
)
