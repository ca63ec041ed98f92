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
        statement: A statement whose values are all named parameters.
    """

    def __init__(self, statement: sa.Update | sa.Delete | sa.Select[Any]) -> None:
        """Defer compilation to the first use with each kind of database."""
        self._statement = statement
        self._compiled: dict[str, tuple[str, Callable[[Row], Any]]] = {}

    def read(self, connection: Connection, row: Row) -> list[Any]:
        """The selected rows for one set of values."""
        text, values = self._for(connection.dialect)
        # Iteration would fetch each row on its own, which takes ten times as long.
        return list(connection.exec_driver_sql(text, values(row)).all())

    def change(self, connection: Connection, row: Row) -> int:
        """Run it with one set of values; returns the number of changed rows."""
        text, values = self._for(connection.dialect)
        return connection.exec_driver_sql(text, values(row)).rowcount

    def run_all(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run it for each row, in order; at least one row is required."""
        text, values = self._for(connection.dialect)
        connection.exec_driver_sql(text, [values(row) for row in rows])

    def _for(self, dialect: Dialect) -> tuple[str, Callable[[Row], Any]]:
        """Its text, and a function that arranges the values for the driver."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = cast("Any", self._statement).compile(dialect=dialect)
            found = (str(compiled), _taking(compiled.positiontup))
            self._compiled[dialect.name] = found
        return found


def _taking(names: Sequence[str] | None) -> Callable[[Row], Any]:
    """A getter of the values: in this order, or all of them by name."""
    if not names:
        # No names: the driver of PostgreSQL takes a mapping.
        return dict if names is None else lambda _row: ()
    getter = itemgetter(*names)
    # With a single name, itemgetter returns the bare value.
    return getter if len(names) > 1 else lambda row: (getter(row),)


def primary_key(table: sa.Table, key: Sequence[int]) -> dict[str, int]:
    """The parameters that identify a row by its primary key."""
    return dict(zip(_key_names(table), key, strict=True))


@cache
def _key_names(table: sa.Table) -> tuple[str, ...]:
    return tuple(f"key_{column.name}" for column in table.primary_key)


MOST_ENDPOINTS = 1_000
"""Most endpoints in one statement that locks their rows."""


_IDS_MARK = "some_endpoints"


class LockingRead(Prepared):
    """Reads and locks rows of some endpoints, whose ids replace `_IDS_MARK` in the statement.

    The ids are written into the text, which is safe because they are numbers: a driver takes longer
    for hundreds of parameters than the database for their rows.
    """

    def read_of(self, connection: Connection, row: Row, endpoints: Sequence[int]) -> list[Any]:
        """The rows, in primary-key order.

        Args:
            connection: In a writing transaction.
            row: The values of the parameters.
            endpoints: Ids in ascending order.
        """
        return self._read(connection, row, [str(one) for one in endpoints])

    def read_pairs(self, connection: Connection, pairs: Sequence[tuple[int, int]]) -> list[Any]:
        """The rows of pairs of ids, in primary-key order.

        Args:
            connection: In a writing transaction.
            pairs: In ascending order.
        """
        return self._read(connection, {}, [f"({first},{second})" for first, second in pairs])

    def _read(self, connection: Connection, row: Row, ids: Sequence[str]) -> list[Any]:
        text, values = self._for(connection.dialect)
        found: list[Any] = []
        for start in range(0, len(ids), MOST_ENDPOINTS):
            part = ",".join(ids[start : start + MOST_ENDPOINTS])
            # At once: one by one takes ten times as long.
            found += connection.exec_driver_sql(text.replace(_IDS_MARK, part), values(row)).all()
        return found


def among_marked_ids(column: sa.Column[int]) -> sa.ColumnElement[bool]:
    """A condition: the column is among the ids of a `LockingRead`."""
    return column.op("IN", is_comparison=True)(sa.literal_column(f"({_IDS_MARK})"))


def among_marked_pairs(first: sa.Column[int], second: sa.Column[int]) -> sa.ColumnElement[bool]:
    """A condition: two columns are among the pairs of ids of a `LockingRead`."""
    pairs: sa.ColumnElement[Any] = sa.literal_column(f"(VALUES {_IDS_MARK})")
    return sa.tuple_(first, second).op("IN", is_comparison=True)(pairs)
