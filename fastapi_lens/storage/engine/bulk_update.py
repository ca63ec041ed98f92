"""Updates of many rows of one table, each with its own values, the fastest way per database."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.dialects import dialect_of
from fastapi_lens.storage.engine.prepared import Row
from fastapi_lens.storage.engine.row_update import RowUpdate, Rules, Updater


class BulkUpdate(RowUpdate):
    """An update of the rows of one table, on any database."""

    def __init__(
        self, table: sa.Table, values: Mapping[str, type[sa.types.TypeEngine[Any]]], rules: Rules
    ) -> None:
        """Compile nothing yet."""
        super().__init__(table, values, rules)
        self._updaters: dict[str, Updater] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Update the rows.

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
