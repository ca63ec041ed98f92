"""The endpoints of an app that pages show: those that are recorded. Reads their rows only."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import id_from_key
from fastapi_lens.reporting.totals.bucket_rows import fetched
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.tables import ENDPOINT


class ShownEndpoints:
    """The recorded endpoints of one app, for rows of other tables that name an endpoint.

    Args:
        app: Returns the app's name.
        is_recorded: Returns true if an endpoint (method, path) is recorded.
    """

    def __init__(self, app: Callable[[], str], is_recorded: Callable[[str, str], bool]) -> None:
        """Read nothing yet."""
        self._app = app
        self._recorded = is_recorded

    def holds(self, method: Any, path: Any) -> bool:
        """True if an endpoint is shown, or is deleted, so that no rule applies to it."""
        is_known = isinstance(method, str) and isinstance(path, str)
        return not is_known or self._recorded(method, path)

    def ours(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """A condition: a row belongs to the app."""
        return table.c.app == self._app()

    def conditions(
        self, connection: Connection, table: sa.Table, endpoint: str
    ) -> list[sa.ColumnElement[bool]]:
        """Conditions for the rows of one endpoint, or of all shown endpoints of the app.

        Args:
            connection: In a transaction.
            table: The table of the rows.
            endpoint: Key of the endpoint, which the caller checks in the rows; empty for all.
        """
        ours = self.ours(table)
        if endpoint:
            return [ours, table.c.endpoint_id == id_from_key(endpoint)]
        hidden = self.hidden(connection)
        return [ours, *([table.c.endpoint_id.not_in(hidden)] if hidden else [])]

    def hidden(self, connection: Connection, *conditions: sa.ColumnElement[bool]) -> list[int]:
        """The ids of the endpoints of the app that are not shown."""
        return read_hidden(connection, self._app(), self.holds, *conditions)


def read_hidden(
    connection: Connection,
    app: str,
    is_recorded: Callable[[str, str], bool],
    *conditions: sa.ColumnElement[bool],
) -> list[int]:
    """The ids of an app's endpoints that are not recorded.

    Args:
        connection: In a transaction.
        app: The name of the app.
        is_recorded: Returns true if an endpoint (method, path) is recorded.
        conditions: Conditions on the endpoints.
    """
    facts = sa.select(ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path)
    rows = fetched(connection, facts.where(ENDPOINT.c.app == app, *conditions))
    return [identity for identity, method, path in yield_gil(rows) if not is_recorded(method, path)]
