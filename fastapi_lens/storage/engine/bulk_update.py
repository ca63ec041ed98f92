"""Changing many rows of one table, each by values of its own, as each database does it quickest."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.dialects import dialect_of
from fastapi_lens.storage.engine.prepared import Row
from fastapi_lens.storage.engine.row_update import RowUpdate, Rules, Updater


class BulkUpdate(RowUpdate):
    """A change of the rows of a table that is run on any database."""

    def __init__(
        self, table: sa.Table, values: Mapping[str, type[sa.types.TypeEngine[Any]]], rules: Rules
    ) -> None:
        """Compile nothing yet."""
        super().__init__(table, values, rules)
        self._updaters: dict[str, Updater] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Change the rows.

        Args:
            connection: In a transaction.
            rows: Each with the columns of the key and all values, in primary-key order.
        """
        if not rows:
            return
        dialect = dialect_of(connection)
        updater = self._updaters.get(dialect.name)
        if updater is None:
            updater = self._updaters[dialect.name] = dialect.updater(self)
        updater(connection, rows)
