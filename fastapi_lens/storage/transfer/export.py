"""Reading everything that has to move to another database, as it stands at one moment. No file.

All of it comes from one read transaction and in primary-key order, a few rows at a time.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.records.import_notes import import_notes
from fastapi_lens.storage.schema.migrations import SESSION_SALT
from fastapi_lens.storage.schema.tables import (
    ENDPOINT,
    META,
    WORKER,
)

_FETCHED_ROWS = 1_000

Origins = Mapping[str, Sequence[str]]
"""By app, whose counts are in a database: its own sign first, then those that were imported."""


def app_names(connection: Connection) -> list[str]:
    """The apps that have endpoints or workers here, sorted."""
    both = sa.union(sa.select(ENDPOINT.c.app), sa.select(WORKER.c.app))
    return sorted(connection.execute(both).scalars())


def endpoint_keys(connection: Connection, app: str) -> list[tuple[int, str, str]]:
    """The endpoints of an app: id, method and path, by id."""
    rows = sa.select(ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path)
    found = connection.execute(rows.where(ENDPOINT.c.app == app).order_by(ENDPOINT.c.id))
    return [(row.id, row.method, row.path) for row in found]


def origins(connection: Connection, apps: Sequence[str]) -> dict[str, list[str]]:
    """Whose counts these apps have here.

    A sign stands for one app in one database. It is made of the database's random salt, and
    tells nothing of it.
    """
    salt = connection.execute(
        sa.select(META.c.value).where(META.c.name == SESSION_SALT)
    ).scalar_one()
    found = {app: [own_sign(salt, app)] for app in apps}
    for note in import_notes(connection).values():
        for app, signs in note["origins"].items():
            if app in found:
                found[app] += [sign for sign in signs if sign not in found[app]]
    return found


def own_sign(salt: str, app: str) -> str:
    """The sign of one app in the database with this salt."""
    return hashlib.sha256(f"fastapi_lens origin\0{salt}\0{app}".encode()).hexdigest()[:32]


def count_rows(connection: Connection, table: sa.Table, apps: Sequence[str]) -> int:
    """How many rows of a table belong to these apps."""
    rows = sa.select(sa.func.count()).select_from(table).where(_belongs(table, apps))
    return int(connection.execute(rows).scalar_one())


def rows_of(connection: Connection, table: sa.Table, apps: Sequence[str]) -> Iterator[list[Any]]:
    """The rows of a table that belong to these apps, in primary-key order."""
    rows = sa.select(table).where(_belongs(table, apps)).order_by(*table.primary_key)
    # One at a time from the server, too, instead of all of them in memory.
    for row in connection.execute(rows.execution_options(yield_per=_FETCHED_ROWS)):
        yield list(row)


def _belongs(table: sa.Table, apps: Sequence[str]) -> sa.ColumnElement[bool]:
    if "app" in table.c:
        return table.c.app.in_(apps)
    mine = sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app.in_(apps))
    belongs: sa.ColumnElement[bool] = table.c.endpoint_id.in_(mine)
    return belongs
