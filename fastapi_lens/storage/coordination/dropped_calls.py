"""Dropped calls, counted by worker and, after the deletion of workers, by app."""

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import META, WORKER


def dropped_by_workers(
    app: sa.ColumnElement[str], note: sa.ColumnElement[str]
) -> tuple[sa.ScalarSelect[int], sa.ScalarSelect[str]]:
    """Parts of a SELECT: calls that the workers of an app have dropped, and that deleted ones had.

    Either is null without any; `dropped_calls` adds them up.

    Args:
        app: The app's name.
        note: The result of `note_of` for it.
    """
    dropped = sa.select(sa.func.sum(WORKER.c.dropped)).where(has_dropped(app))
    return dropped.scalar_subquery(), _noted(note).scalar_subquery()


def dropped_calls(dropped: int | None, forgotten: str | None) -> int:
    """Number of calls that the workers of an app have dropped, deleted workers included."""
    return int(dropped or 0) + int(forgotten or 0)


def count_dropped(database: Database, connection: Connection, app: str, calls: int) -> None:
    """Count dropped calls of an app that no worker's row counts, in a write transaction."""
    # Only a row that exists can be locked.
    connection.execute(database.insert_ignore(META), {"name": note_of(app), "value": "0"})
    # Locked, because other workers may add to it at the same time.
    note = _noted(note_of(app)).with_for_update()
    dropped = int(connection.execute(note).scalar_one()) + calls
    row = sa.update(META).where(META.c.name == note_of(app))
    connection.execute(row.values(value=str(dropped)))


def forget_dropped(connection: Connection, app: str) -> None:
    """Delete an app's count of dropped calls that no worker's row has, in a write transaction."""
    connection.execute(sa.delete(META).where(META.c.name == note_of(app)))


def has_dropped(app: str | sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """A condition: a worker of an app has dropped calls."""
    return (WORKER.c.app == app) & (WORKER.c.dropped > 0)


def _noted(note: str | sa.ColumnElement[str]) -> sa.Select[Any]:
    return sa.select(META.c.value).where(META.c.name == note)


def note_of(app: str) -> str:
    """The name under which the total is stored; fits the column for any app."""
    return f"dropped {hashlib.sha256(app.encode()).hexdigest()[:32]}"
