"""The time since which the history of endpoints is whole, while some of it is not counted."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.tables import ENDPOINT

LEAST_SECONDS, MARGIN_SECONDS = 120, 180
"""The evidence of an endpoint that is not counted begins between these seconds from now: the next
look of a worker is earlier, and not each look of each worker writes."""

AT_ONCE = 500
"""Endpoints of one transaction."""


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Endpoints whose responses are not all counted.

    Attributes:
        ids: Endpoints in the worker's routes that the code excludes.
        covers: Returns true if a rule covers an endpoint, given its method and path; None if no
            rule is active.
    """

    ids: Collection[int] = ()
    covers: Callable[[str, str], bool] | None = None


ALL_COUNTED = Uncounted()


class Evidence:
    """Keeps what is not counted from becoming evidence.

    Args:
        database: The database with the endpoints.
        app: The name of their app.
    """

    def __init__(self, database: Database, app: str) -> None:
        """Write nothing yet."""
        self._database = database
        self._app = storable(app)

    def note(self, uncounted: Uncounted, *, now_us: int) -> None:
        """Let the evidence of all rows of such endpoints begin soon.

        Rules cover endpoints that this worker does not know, too: of an older release, or without
        a call since it started.

        Args:
            uncounted: The endpoints.
            now_us: Microseconds since the epoch.

        Raises:
            StorageError: The database cannot be read or written.
        """
        if not uncounted.ids and uncounted.covers is None:
            return
        is_early = ENDPOINT.c.evidence_since < now_us + LEAST_SECONDS * 1_000_000
        until_us = now_us + MARGIN_SECONDS * 1_000_000
        ids = self._ids(uncounted, is_early)
        for begin in range(0, len(ids), AT_ONCE):
            part = ENDPOINT.c.id.in_(ids[begin : begin + AT_ONCE])
            with self._database.write() as connection:
                # Compared again, because another worker may have written a later time.
                changed = sa.update(ENDPOINT).where(part, is_early).values(evidence_since=until_us)
                connection.execute(changed)
                note_change(self._database, connection)

    def _ids(self, uncounted: Uncounted, is_early: sa.ColumnElement[bool]) -> list[int]:
        covers, excluded = uncounted.covers, uncounted.ids
        columns = ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path
        rows = sa.select(*columns).where(ENDPOINT.c.app == self._app, is_early)
        # Patterns of rules are matched in Python, so with rules every row is read.
        if covers is None:
            rows = rows.where(ENDPOINT.c.id.in_(excluded))
        with self._database.read() as connection:
            found = connection.execute(rows.order_by(ENDPOINT.c.id)).all()
        return [
            row.id
            for row in found
            if row.id in excluded or (covers is not None and covers(row.method, row.path))
        ]
