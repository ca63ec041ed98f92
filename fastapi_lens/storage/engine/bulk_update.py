"""Changing many rows of one table, each by values of its own, with few statements.

How that is quickest differs: SQLite takes row after row, PostgreSQL one statement that joins the
table with arrays, and MariaDB one that joins it with rows written out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.dialects import dialect_of
from fastapi_lens.storage.engine.dialects.base import Bulk
from fastapi_lens.storage.engine.prepared import Prepared, Row

Item = TypeVar("Item")

New = Callable[[str], sa.ColumnElement[Any]]
"""From the name of a value to the expression that stands for it."""

Rules = Callable[[New], Mapping[str, sa.ColumnElement[Any]]]
"""From the values of a row to what its columns become."""

MOST = 256
"""Rows of one statement on MariaDB; a power of two."""


class BulkUpdate:
    """One change of the rows of a table.

    Args:
        table: Whose rows; its primary key names them. Rows that are not there stay away.
        values: The names of the values, each with its type. Those of the primary key come before
            them: ``key_<column>``.
        rules: What the columns become.
    """

    def __init__(
        self, table: sa.Table, values: Mapping[str, type[sa.types.TypeEngine[Any]]], rules: Rules
    ) -> None:
        """Compile nothing yet."""
        self._table = table
        self._rules = rules
        self._types: dict[str, sa.types.TypeEngine[Any]] = {
            **{f"key_{column.name}": column.type for column in table.primary_key},
            **{name: kind() for name, kind in values.items()},
        }
        self._one_by_one = Prepared(self._update(self._bound).where(*self._matches(self._bound)))
        self._arrays = Prepared(self._from_arrays())
        self._joined: dict[int, str] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Change the rows.

        Args:
            connection: In a transaction.
            rows: Each with the columns of the key and all values, in primary-key order.
        """
        if rows:
            _HOW[dialect_of(connection).bulk](self, connection, rows)

    def run_one_by_one(self, connection: Connection, rows: Sequence[Row]) -> None:
        """With one statement a row."""
        self._one_by_one.run_all(connection, rows)

    def run_from_arrays(self, connection: Connection, rows: Sequence[Row]) -> None:
        """With one statement, which takes each column of the values as an array."""
        arrays = {
            name: _array([row[name] for row in rows], of_bytes=isinstance(kind, sa.LargeBinary))
            for name, kind in self._types.items()
        }
        self._arrays.change(connection, arrays)

    def run_from_rows(self, connection: Connection, rows: Sequence[Row]) -> None:
        """With one statement for some hundred rows, which it joins."""
        for part in in_powers(rows):
            text = self._joined.get(len(part))
            if text is None:
                text = self._joined[len(part)] = self._from_rows(connection, len(part))
            values = (row[name] for row in part for name in self._types)
            sent = (value.hex() if isinstance(value, bytes) else value for value in values)
            connection.exec_driver_sql(text, tuple(sent))

    def _from_arrays(self) -> sa.Update:
        arrays = (
            sa.func.unnest(
                sa.cast(sa.bindparam(name, type_=sa.Text()), postgresql.ARRAY(kind))
            ).label(name)
            for name, kind in self._types.items()
        )
        new = sa.select(*arrays).subquery("new")
        return self._update(lambda name: new.c[name]).where(
            *self._matches(lambda name: new.c[name])
        )

    def _from_rows(self, connection: Connection, count: int) -> str:
        told = sa.table("told", *(sa.column(name, kind) for name, kind in self._types.items()))

        def text(clause: sa.ColumnElement[Any]) -> str:
            options = {"literal_binds": True}
            return str(clause.compile(dialect=connection.dialect, compile_kwargs=options))

        # A literal of bytes is text to the server, of older drivers at least.
        marks = {
            name: "UNHEX(%s)" if isinstance(kind, sa.LargeBinary) else "%s"
            for name, kind in self._types.items()
        }
        first = ", ".join(f"{mark} AS {name}" for name, mark in marks.items())
        others = ", ".join(marks.values())
        rows = " UNION ALL ".join([f"SELECT {first}", *[f"SELECT {others}"] * (count - 1)])
        rules = self._rules(lambda name: told.c[name])
        matches = " AND ".join(map(text, self._matches(lambda name: told.c[name])))
        changes = ", ".join(f"{self._table.c[name]} = {text(rule)}" for name, rule in rules.items())
        # Made of names alone; all values are parameters.
        return f"UPDATE {self._table.name} JOIN ({rows}) AS told ON {matches} SET {changes}"  # noqa: S608

    def _update(self, new: New) -> sa.Update:
        return sa.update(self._table).values(dict(self._rules(new)))

    def _matches(self, new: New) -> list[sa.ColumnElement[bool]]:
        return [column == new(f"key_{column.name}") for column in self._table.primary_key]

    def _bound(self, name: str) -> sa.ColumnElement[Any]:
        return sa.bindparam(name, type_=self._types[name])


def _array(values: Sequence[Any], *, of_bytes: bool) -> str:
    """An array of PostgreSQL as text, for which its driver takes a tenth of the time.

    Args:
        values: Numbers or bytes.
        of_bytes: Which of them.
    """
    items = (rf"\\x{value.hex()}" for value in values) if of_bytes else map(str, values)
    return f"{{{','.join(items)}}}"


def in_powers(rows: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut rows into parts of a power of two each, `MOST` at most: so few statements are made."""
    at = 0
    while at < len(rows):
        size = min(MOST, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size


_HOW: Mapping[Bulk, Callable[[BulkUpdate, Connection, Sequence[Row]], None]] = {
    Bulk.ONE_BY_ONE: BulkUpdate.run_one_by_one,
    Bulk.FROM_ARRAYS: BulkUpdate.run_from_arrays,
    Bulk.FROM_ROWS: BulkUpdate.run_from_rows,
}
