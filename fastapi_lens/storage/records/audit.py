"""The rows of the audit log: added and read. Knows no action.

Nothing here changes an entry, and only the bound deletes one.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import col, select

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.records.objects import read_objects
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS, AuditRow, Tier
from fastapi_lens.storage.schema.sanitized_rows import sound_objects
from fastapi_lens.storage.schema.tables import AUDIT

AUDIT_KEPT_SECONDS = 400 * Tier.DAY.value
"""Seconds that an entry is kept at most."""

AUDIT_KEPT_EACH = 1_000
"""Entries of each action of an app that are kept: many failed sign-ins push out no change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What somebody did.

    Attributes:
        at_us: Microseconds since the epoch.
        actor: Whose key or session it was.
        client: The address it came from.
        action: One word: ``save``, ``sign_in`` …
        target: What it was done to.
        before: What was there before, as text; empty where that says nothing.
        after: What is there now.
    """

    at_us: int
    actor: str
    client: str
    action: str
    target: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry of the audit log as it is stored.

    Attributes:
        id: Greater for later ones.
    """

    id: int
    entry: AuditEntry

    @property
    def at(self) -> float:
        """Epoch seconds."""
        return self.entry.at_us / 1_000_000


def add_audit_entry(database: Database, app: str, entry: AuditEntry) -> None:
    """Note what somebody did.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        add_entry(database, connection, app, entry)


def count_entries(database: Database, app: str, action: str, *, since_us: int) -> int:
    """How many entries of an action an app has, of this microsecond and later ones.

    Raises:
        StorageError: The database cannot be read.
    """
    rows = sa.select(sa.func.count()).where(
        AUDIT.c.id >= since_us << REQUEST_ID_BITS, AUDIT.c.app == app, AUDIT.c.action == action
    )
    with database.read() as connection:
        return connection.execute(rows).scalar_one()


def add_entry(database: Database, connection: Connection, app: str, entry: AuditEntry) -> None:
    """Add an audit entry in the transaction of the audited change."""
    row = AuditRow(
        id=0,
        app=app,
        actor=storable(entry.actor),
        client=storable(entry.client),
        action=entry.action,
        target=storable(entry.target),
        before=storable(entry.before),
        after=storable(entry.after),
    )
    add, added = database.insert_ignore(AUDIT).execution_options(preserve_rowcount=True), 0
    while not added:
        # Two entries of one microsecond may have drawn the same number.
        row.id = entry.at_us << REQUEST_ID_BITS | secrets.randbits(REQUEST_ID_BITS)
        added = connection.execute(add, row.model_dump()).rowcount


def read_audit(
    database: Database,
    app: str,
    *,
    before: int | None = None,
    target: str | None = None,
    actions: Collection[str] | None = None,
    limit: int = 50,
) -> list[Noted]:
    """Entries of an app, the newest first.

    Args:
        database: Where they are.
        app: Whose entries.
        before: Id that theirs are less than; None for the newest.
        target: Only those about this; None for all.
        actions: Only these; None for all.
        limit: How many at most.

    Raises:
        StorageError: The database cannot be read.
    """
    wanted = select(AuditRow).where(AuditRow.app == app)
    if before is not None:
        wanted = wanted.where(AuditRow.id < before)
    if target is not None:
        wanted = wanted.where(AuditRow.target == target)
    if actions is not None:
        wanted = wanted.where(col(AuditRow.action).in_(actions))
    wanted = wanted.order_by(col(AuditRow.id).desc()).limit(limit)
    with database.read() as connection:
        found = read_objects(connection, AuditRow, wanted)
    return [_noted(row) for row in sound_objects(found, AUDIT)]


def _noted(row: AuditRow) -> Noted:
    entry = AuditEntry(
        at_us=row.id >> REQUEST_ID_BITS,
        actor=row.actor,
        client=row.client,
        action=row.action,
        target=row.target,
        before=row.before,
        after=row.after,
    )
    return Noted(row.id, entry)
