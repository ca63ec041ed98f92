"""A change of many rows of one table, each by values of its own. Knows no database."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.prepared import Prepared, Row

New = Callable[[str], sa.ColumnElement[Any]]
"""From the name of a value to the expression that stands for it."""

Rules = Callable[[New], Mapping[str, sa.ColumnElement[Any]]]
"""From the values of a row to what its columns become."""

Updater = Callable[[Connection, Sequence[Row]], None]
"""Changes at least one row, in a transaction."""


class RowUpdate:
    """One change of the rows of a table.

    Args:
        table: Whose rows; its primary key names them. Rows that are not there stay away.
        values: The names of the values, each with its type. Those of the primary key come before
            them: ``key_<column>``.
        rules: What the columns become.

    Attributes:
        types: The type of each value, those of the key among them.
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
        """The UPDATE whose values are these expressions."""
        return sa.update(self.table).where(*self.matches(new)).values(dict(self.rules(new)))

    def one_by_one(self) -> Updater:
        """With one statement that is run for row after row."""

        def bound(name: str) -> sa.ColumnElement[Any]:
            return sa.bindparam(name, type_=self.types[name])

        return Prepared(self.statement(bound)).run_all

    def matches(self, new: New) -> list[sa.ColumnElement[bool]]:
        """Conditions that find the row of such values."""
        return [column == new(f"key_{column.name}") for column in self.table.primary_key]
