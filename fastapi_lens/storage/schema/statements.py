"""The statements of a flush, compiled once per database and run row by row at the driver's speed.

Executing a statement through SQLAlchemy costs more than the work itself: a flush has some thousand
rows, and its thread shares the interpreter with the requests.
"""

from functools import cache
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.engine.prepared import (
    LockingRead,
    Prepared,
    among_marked_ids,
    among_marked_pairs,
)
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    META,
    SCHEMA_VERSION,
    STATUS,
    USE,
    USE_WEEK,
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
    # In the order of the primary key, as everywhere, so that two workers cannot deadlock.
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
    sa.select(*(ENDPOINT.c[name] for name in ("id", "app", "callers", "deprecated")))
    .where(among_marked_ids(ENDPOINT.c.id))
    .order_by(ENDPOINT.c.id)
    .with_for_update()
)
"""The rows of endpoints: their id, app, number of callers, and whether they are deprecated."""

LOCK_USES = LockingRead(
    sa.select(USE)
    .where(among_marked_pairs(USE.c.endpoint_id, USE.c.caller_id))
    .order_by(USE.c.endpoint_id, USE.c.caller_id)
    .with_for_update()
)
"""The rows of pairs of endpoint and caller, whose endpoints are locked."""

LOCK_CALLERS = LockingRead(
    sa.select(*(CALLER.c[name] for name in ("id", "first_at", "last_at")))
    .where(among_marked_ids(CALLER.c.id))
    .order_by(CALLER.c.id)
    .with_for_update()
)
"""The ids and times of callers."""

LOCK_USE_WEEKS = LockingRead(
    sa.select(*USE_WEEK.primary_key)
    .where(USE_WEEK.c.week == sa.bindparam("week"), among_marked_ids(USE_WEEK.c.endpoint_id))
    .order_by(USE_WEEK.c.endpoint_id, USE_WEEK.c.caller_id)
    .with_for_update()
)
"""The keys of all rows of one ``week``, for every caller: there are only few."""

FACTS = (
    "method",
    "path",
    "kind",
    "name",
    "source",
    "summary",
    "tags",
    "deprecated",
    "shape_id",
    "last_release_id",
    "overrides",
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
        # In the same statement: no migration can come between the check and the write.
        .where(WORKER.c.id == sa.bindparam("worker"), number == sa.bindparam("before"), HAS_SCHEMA)
        .values({number: sa.bindparam("after"), **others})
    )


def _presence() -> dict[sa.Column[int], sa.ColumnElement[int]]:
    """The columns that tell since when an endpoint has been in the routes, in this order.

    An endpoint that was removed has returned, at the earliest at its removal: the clock of the
    worker that reports it may be behind. A worker whose clock is behind does not lower
    `last_seen_at`, because workers that have the endpoint may have started since. A time after
    ``ahead`` came from a wrong clock.
    """
    present, removed, seen = (
        ENDPOINT.c.present_since,
        ENDPOINT.c.removed_at,
        ENDPOINT.c.last_seen_at,
    )
    now, ahead = _now("seen"), _now("ahead")
    returned = sa.case((removed > now, removed), else_=now)
    return {
        # Before the column that it depends on: MariaDB assigns from left to right.
        present: sa.case((removed > _NEVER, returned), else_=present),
        removed: _NEVER,
        seen: sa.case(((seen > now) & (seen <= ahead), seen), else_=now),
    }


def _now(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger)


_NEVER: sa.ColumnElement[int] = sa.literal_column("0", sa.BigInteger())

_REPORTED: dict[sa.Column[Any], sa.ColumnElement[Any]] = {
    **{ENDPOINT.c[name]: sa.bindparam(f"new_{name}") for name in FACTS},
    **_presence(),
}
UPDATE_FACTS = Prepared(_updating(ENDPOINT).ordered_values(*_REPORTED.items()))
"""Sets an endpoint's facts; ``seen`` is the present, and later times than ``ahead`` are wrong."""
