"""Reads all rows to move to another database, in a consistent state. Writes no file.

All rows come from one read transaction and in primary-key order, a few at a time.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.records.import_notes import import_notes
from fastapi_lens.storage.schema.identities import dropped_id
from fastapi_lens.storage.schema.migrations import SESSION_SALT
from fastapi_lens.storage.schema.tables import (
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    META,
    OBSERVED,
    RELEASE,
    WORKER,
)

_FETCHED_ROWS = 1_000

Origins = Mapping[str, Sequence[str]]
"""By app, the origins of its counts: its own sign first, then the signs of imported ones."""


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
    """The origins of the counts that these apps have here.

    A sign identifies one app in one database. It is a hash of the database's random salt, which
    it does not reveal.
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
    """The number of rows of a table that belong to these apps."""
    rows = sa.select(sa.func.count()).select_from(table).where(_belongs(table, apps))
    return int(connection.execute(rows).scalar_one())


def rows_of(connection: Connection, table: sa.Table, apps: Sequence[str]) -> Iterator[list[Any]]:
    """The rows of a table that belong to these apps, in primary-key order."""
    rows = sa.select(table).where(_belongs(table, apps)).order_by(*table.primary_key)
    # Fetched in parts, because all of them may not fit into memory.
    for row in connection.execute(rows.execution_options(yield_per=_FETCHED_ROWS)):
        yield list(row)


def _belongs(table: sa.Table, apps: Sequence[str]) -> sa.ColumnElement[bool]:
    if "app" in table.c:
        return table.c.app.in_(apps)
    if table is OBSERVED:
        releases = sa.select(RELEASE.c.id).where(RELEASE.c.app.in_(apps))
        # Hours with lost calls stand under an id without a row of a release.
        return OBSERVED.c.release_id.in_(releases) | OBSERVED.c.release_id.in_(
            list(map(dropped_id, apps))
        )
    if table is EXCEPTION_COUNT:
        kinds = sa.select(EXCEPTION.c.id).where(EXCEPTION.c.app.in_(apps))
        return EXCEPTION_COUNT.c.failure_id.in_(kinds)
    endpoints = sa.select(ENDPOINT.c.id).where(ENDPOINT.c.app.in_(apps))
    belongs: sa.ColumnElement[bool] = table.c.endpoint_id.in_(endpoints)
    return belongs
