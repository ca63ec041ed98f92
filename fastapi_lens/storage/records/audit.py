"""Rows of the audit log: adding and reading entries. Knows no action.

Entries are never changed, and only the limits delete them.
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
"""Longest retention of an entry, in seconds."""

AUDIT_KEPT_EACH = 1_000
"""Entries kept per action and app, so that many failed sign-ins do not displace changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An entry of the audit log.

    Attributes:
        at_us: Microseconds since the epoch.
        actor: Name of the key or session.
        client: The client's address.
        action: One word: ``save``, ``sign_in`` …
        target: The object of the action.
        before: The value before, as text; empty if that would say nothing.
        after: The value after.
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
    """A stored entry of the audit log.

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
    """Add an audit entry.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        add_entry(database, connection, app, entry)


def count_entries(database: Database, app: str, action: str, *, since_us: int) -> int:
    """Number of audit entries of an action, at this microsecond or later.

    Raises:
        StorageError: The database cannot be read.
    """
    # An id begins with its time, so the primary key is also the index by time.
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
    # SQLAlchemy keeps the count of inserted rows only on request.
    add, added = database.insert_ignore(AUDIT).execution_options(preserve_rowcount=True), 0
    while not added:
        # Two entries of the same microsecond may get the same random number. This INSERT then adds
        # nothing, and the next number is tried.
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
        database: The database with the entries.
        app: The app of the entries.
        before: Exclusive upper limit of the ids; None for the newest.
        target: Only entries about this object; None for all.
        actions: Only these actions; None for all.
        limit: Most entries to return.

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
