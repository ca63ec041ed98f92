"""Update of many rows of one table, each with its own values. Knows no database."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.prepared import Prepared, Row

New = Callable[[str], sa.ColumnElement[Any]]
"""A function from the name of a value to the expression for it."""

Rules = Callable[[New], Mapping[str, sa.ColumnElement[Any]]]
"""A function from the values of a row to the new values of its columns."""

Updater = Callable[[Connection, Sequence[Row]], None]
"""A function that updates at least one row, in a transaction."""


class RowUpdate:
    """One kind of update of a table's rows.

    Args:
        table: The table; rows are found by its primary key. Missing rows are not created.
        values: The names of the values, each with its type. Values for the primary key,
            ``key_<column>``, are added before them.
        rules: Returns the new values of the columns.

    Attributes:
        types: The type of each value, including those of the key.
    """

    def __init__(
        self, table: sa.Table, values: Mapping[str, type[sa.types.TypeEngine[Any]]], rules: Rules
    ) -> None:
        """Compile nothing yet."""
        self.table = table
        self.rules = rules
        self.types: Mapping[str, sa.types.TypeEngine[Any]] = {
            **{f"key_{column.name}": column.type for column in table.primary_key},
            **{name: kind() for name, kind in values.items()},
        }

    def statement(self, new: New) -> sa.Update:
        """The UPDATE with these expressions as values."""
        return sa.update(self.table).where(*self.matches(new)).values(dict(self.rules(new)))

    def one_by_one(self) -> Updater:
        """An updater that runs one statement for each row."""

        def bound(name: str) -> sa.ColumnElement[Any]:
            return sa.bindparam(name, type_=self.types[name])

        return Prepared(self.statement(bound)).run_all

    def matches(self, new: New) -> list[sa.ColumnElement[bool]]:
        """Conditions that find the row of such values."""
        return [column == new(f"key_{column.name}") for column in self.table.primary_key]
