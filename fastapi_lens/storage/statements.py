"""The statements of a flush, compiled once per database and run row by row at the driver's speed.

SQLAlchemy's own way from a statement and a dictionary to the driver costs more than the work
itself: a flush has some thousand rows, and its thread shares the interpreter with the requests.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from fastapi_lens.storage.counters import COUNTERS
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, META, SCHEMA_VERSION, STATUS, WORKER

Row = Mapping[str, Any]


class Prepared:
    """One statement.

    Args:
        statement: All its values are named parameters.
    """

    def __init__(self, statement: sa.Update | sa.Select[Any]) -> None:
        """Compile it at its first use with a kind of database."""
        self._statement = statement
        self._compiled: dict[str, tuple[str, Callable[[Row], Any]]] = {}

    def read(self, connection: Connection, row: Row) -> list[Any]:
        """The rows that it selects with one set of values."""
        text, values = self._for(connection.dialect)
        return [*connection.exec_driver_sql(text, values(row))]

    def change(self, connection: Connection, row: Row) -> int:
        """Run it with one set of values; how many rows it has changed."""
        text, values = self._for(connection.dialect)
        return connection.exec_driver_sql(text, values(row)).rowcount

    def run_all(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run it for each of the rows, in their order; there is at least one."""
        text, values = self._for(connection.dialect)
        connection.exec_driver_sql(text, [values(row) for row in rows])

    def _for(self, dialect: Dialect) -> tuple[str, Callable[[Row], Any]]:
        """Its text, and how the driver wants the values."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = cast("Any", self._statement).compile(dialect=dialect)
            found = (str(compiled), _taking(compiled.positiontup))
            self._compiled[dialect.name] = found
        return found


def _taking(names: Sequence[str] | None) -> Callable[[Row], Any]:
    """How to get at the values: in this order, or all of them by name."""
    # Each statement here has two of them at least: with one, itemgetter would give no tuple.
    return dict if names is None else cast("Callable[[Row], Any]", itemgetter(*names))


def key_of(table: sa.Table, key: Sequence[int]) -> dict[str, int]:
    """The parameters that name a row by its primary key."""
    return dict(zip(_key_names(table), key, strict=True))


@cache
def _key_names(table: sa.Table) -> tuple[str, ...]:
    return tuple(f"key_{column.name}" for column in table.primary_key)


def _updating(table: sa.Table) -> sa.Update:
    return sa.update(table).where(
        *(column == sa.bindparam(f"key_{column.name}") for column in table.primary_key)
    )


def _adding(table: sa.Table, *names: str) -> dict[str, Any]:
    return {name: table.c[name] + sa.bindparam(f"add_{name}") for name in names}


@cache
def lock_buckets(endpoints: int) -> Prepared:
    """Lock the rows of so many endpoints in one ``tier`` and ``bucket``, in primary-key order.

    They give their key, maximum and histogram. The endpoints are ``endpoint_0`` and so on.
    """
    return Prepared(
        sa.select(*BUCKET.primary_key, BUCKET.c.max_us, BUCKET.c.histogram)
        .where(
            BUCKET.c.tier == sa.bindparam("tier"),
            BUCKET.c.bucket == sa.bindparam("bucket"),
            BUCKET.c.endpoint_id.in_(_endpoints(endpoints)),
        )
        .order_by(BUCKET.c.endpoint_id)
        .with_for_update()
    )


@cache
def lock_statuses(endpoints: int) -> Prepared:
    """Lock all rows of so many endpoints on one ``day``, in primary-key order; they give their key.

    Those of statuses that nobody asked for, too: there are few, and one statement does it.
    """
    return Prepared(
        sa.select(*STATUS.primary_key)
        .where(STATUS.c.day == sa.bindparam("day"), STATUS.c.endpoint_id.in_(_endpoints(endpoints)))
        .order_by(STATUS.c.endpoint_id, STATUS.c.status)
        .with_for_update()
    )


def _endpoints(count: int) -> list[sa.BindParameter[int]]:
    return [sa.bindparam(f"endpoint_{number}", type_=sa.BigInteger()) for number in range(count)]


FACTS = ("kind", "name", "source", "summary", "tags", "deprecated", "last_seen_at")
"""Columns of an endpoint that its app tells, each a parameter ``new_<column>``."""

HAS_SCHEMA = sa.exists().where(
    META.c.name == sa.literal_column(f"'{SCHEMA_VERSION}'"),
    META.c.value == sa.bindparam("schema"),
)
"""Whether the database has the schema version that the parameter ``schema`` names."""


@cache
def advancing(number: sa.Column[int]) -> Prepared:
    """Moves a worker's number from ``before`` to ``after``, unless the tables have changed."""
    return Prepared(
        sa.update(WORKER)
        .where(WORKER.c.id == sa.bindparam("worker"), number == sa.bindparam("before"), HAS_SCHEMA)
        .values({number: sa.bindparam("after")})
    )


UPDATE_FACTS = Prepared(
    _updating(ENDPOINT).values({name: sa.bindparam(f"new_{name}") for name in FACTS})
)

_NEVER: sa.ColumnElement[int] = sa.literal_column("0", sa.BigInteger())
_FIRST: sa.BindParameter[int] = sa.bindparam("first_at", type_=sa.BigInteger())
_LAST: sa.BindParameter[int] = sa.bindparam("last_at", type_=sa.BigInteger())
_AHEAD: sa.BindParameter[int] = sa.bindparam("ahead", type_=sa.BigInteger())
UPDATE_ENDPOINT = Prepared(
    _updating(ENDPOINT).values(
        total_calls=ENDPOINT.c.total_calls + sa.bindparam("add_calls"),
        first_called_at=sa.case(
            (
                sa.or_(ENDPOINT.c.first_called_at == _NEVER, ENDPOINT.c.first_called_at > _FIRST),
                _FIRST,
            ),
            else_=ENDPOINT.c.first_called_at,
        ),
        last_called_at=sa.case(
            (
                sa.or_(ENDPOINT.c.last_called_at < _LAST, ENDPOINT.c.last_called_at > _AHEAD),
                _LAST,
            ),
            else_=ENDPOINT.c.last_called_at,
        ),
    )
)
UPDATE_BUCKET = Prepared(
    _updating(BUCKET).values(
        max_us=sa.bindparam("new_max_us"),
        histogram=sa.bindparam("new_histogram"),
        **_adding(BUCKET, *COUNTERS),
    )
)
UPDATE_STATUS = Prepared(_updating(STATUS).values(**_adding(STATUS, "calls")))
