"""Calls by caller, as the tables have them."""

from collections import defaultdict

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, USE
from fastapi_lens.storage.writing.drain import drain_all

Callers = dict[tuple[str, str], int]
"""Calls by kind and name of the caller; ``("", "")`` are those beyond the bounds."""


def calls_by_caller(database: Database) -> dict[tuple[str, str], Callers]:
    """The calls of each endpoint with callers, by method and path."""
    drain_all(database)
    wanted = (
        sa.select(ENDPOINT.c.method, ENDPOINT.c.path, CALLER.c.kind, CALLER.c.name, USE.c.calls)
        .join(USE, USE.c.endpoint_id == ENDPOINT.c.id)
        .outerjoin(CALLER, CALLER.c.id == USE.c.caller_id)
    )
    found: defaultdict[tuple[str, str], Callers] = defaultdict(dict)
    with database.read() as connection:
        for method, path, kind, name, calls in connection.execute(wanted):
            found[method, path][kind or "", name or ""] = calls
    return dict(found)
