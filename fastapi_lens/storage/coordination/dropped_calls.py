"""Calls that were lost, counted by worker and, after the deletion of workers, by app."""

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import META, WORKER


def lost_calls(
    app: sa.ColumnElement[str], note: sa.ColumnElement[str]
) -> tuple[sa.ScalarSelect[int], sa.ScalarSelect[str]]:
    """Parts of a SELECT: calls that the workers of an app have lost, and that deleted ones had.

    Either is null without any; `dropped_calls` adds them up.

    Args:
        app: The app's name.
        note: What `note_of` gives for it.
    """
    lost = sa.select(sa.func.sum(WORKER.c.dropped)).where(_losers(app))
    return lost.scalar_subquery(), _noted(note).scalar_subquery()


def dropped_calls(lost: int | None, forgotten: str | None) -> int:
    """Number of calls that the workers of an app have lost, deleted workers included."""
    return int(lost or 0) + int(forgotten or 0)


def count_losses(database: Database, connection: Connection, app: str, calls: int) -> None:
    """Count calls of an app as lost that no worker's row counts, in a write transaction."""
    connection.execute(database.insert_ignore(META), {"name": note_of(app), "value": "0"})
    # Locked, because others may count theirs at the same time.
    note = _noted(note_of(app)).with_for_update()
    lost = int(connection.execute(note).scalar_one()) + calls
    connection.execute(sa.update(META).where(META.c.name == note_of(app)).values(value=str(lost)))


def forget_losses(connection: Connection, app: str) -> None:
    """Delete the count of an app's lost calls that no worker's row has, in a write transaction."""
    connection.execute(sa.delete(META).where(META.c.name == note_of(app)))


def _losers(app: str | sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return (WORKER.c.app == app) & (WORKER.c.dropped > 0)


def _noted(note: str | sa.ColumnElement[str]) -> sa.Select[Any]:
    return sa.select(META.c.value).where(META.c.name == note)


def note_of(app: str) -> str:
    """The name under which the total is stored; fits the column for any app."""
    return f"dropped {hashlib.sha256(app.encode()).hexdigest()[:32]}"
