"""Endpoints that an app has removed from its routes."""

from dataclasses import dataclass

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.sanitized_rows import sound_rows
from fastapi_lens.storage.schema.tables import ENDPOINT

MOST_REMOVED = 500
"""Most removed endpoints of an app whose calls are counted: the latest removed ones."""


@dataclass(frozen=True, slots=True)
class RemovedEndpoint:
    """An endpoint that is no longer in the routes.

    Attributes:
        path: Its template, without converters.
        kind: ``http``, ``websocket`` or ``mount``.
    """

    id: int
    method: str
    path: str
    kind: str


def removed_endpoints(database: Database, app: str) -> tuple[RemovedEndpoint, ...]:
    """The removed endpoints of an app, the latest removed first, at most `MOST_REMOVED`.

    Raises:
        StorageError: The database cannot be read.
    """
    latest = (
        sa.select(ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path, ENDPOINT.c.kind)
        .where(ENDPOINT.c.app == app, ENDPOINT.c.removed_at > 0)
        .order_by(ENDPOINT.c.removed_at.desc(), ENDPOINT.c.id)
        .limit(MOST_REMOVED)
    )
    with database.read() as connection:
        rows = sound_rows(connection.execute(latest), ENDPOINT)
    return tuple(RemovedEndpoint(row.id, row.method, row.path, row.kind) for row in rows)
