"""Prepared statements: compiled once per dialect, and run at the driver's speed."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

Row = Mapping[str, Any]


class Prepared:
    """One statement.

    Args:
        statement: All its values are named parameters.
    """

    def __init__(self, statement: sa.Update | sa.Delete | sa.Select[Any]) -> None:
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
    if not names:
        return dict if names is None else lambda _row: ()
    getter = itemgetter(*names)
    # Of one name, it gives the value alone.
    return getter if len(names) > 1 else lambda row: (getter(row),)


def primary_key(table: sa.Table, key: Sequence[int]) -> dict[str, int]:
    """The parameters that name a row by its primary key."""
    return dict(zip(_key_names(table), key, strict=True))


@cache
def _key_names(table: sa.Table) -> tuple[str, ...]:
    return tuple(f"key_{column.name}" for column in table.primary_key)


MOST_ENDPOINTS = 1_000
"""Of one statement that locks their rows."""


_SOME = "some_endpoints"


class LockingRead(Prepared):
    """Reads and locks rows of some endpoints, whose ids stand where the statement has `_SOME`.

    They are written out, which is safe because they are numbers: a driver takes longer for hundreds
    of parameters than the database for their rows.
    """

    def read_of(self, connection: Connection, row: Row, endpoints: Sequence[int]) -> list[Any]:
        """The rows, in primary-key order.

        Args:
            connection: In a writing transaction.
            row: The values of the parameters.
            endpoints: Ids in ascending order.
        """
        text, values = self._for(connection.dialect)
        found: list[Any] = []
        for start in range(0, len(endpoints), MOST_ENDPOINTS):
            some = ",".join(map(str, endpoints[start : start + MOST_ENDPOINTS]))
            found += connection.exec_driver_sql(text.replace(_SOME, some), values(row))
        return found


def among_some(column: sa.Column[int]) -> sa.ColumnElement[bool]:
    """The condition of a `LockingRead`: a column is the id of one of the endpoints."""
    return column.op("IN", is_comparison=True)(sa.literal_column(f"({_SOME})"))
