"""The audit log: read, and kept from growing. Entries are added by `settings.add_audit_entry`.

Nothing here changes an entry, and only the bound deletes one.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.settings import AuditEntry
from fastapi_lens.storage.retention.chunks import Pace, Past, Slice, past_slices
from fastapi_lens.storage.retention.log_deletion import request_id_at
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS, Tier
from fastapi_lens.storage.schema.sanitized_rows import sound_rows
from fastapi_lens.storage.schema.tables import AUDIT

AUDIT_KEPT_SECONDS = 400 * Tier.DAY.value
"""Seconds that an entry is kept at most."""

AUDIT_KEPT_EACH = 1_000
"""Entries of each action of an app that are kept: many failed sign-ins push out no change."""


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
    rows = sa.select(AUDIT).where(AUDIT.c.app == app)
    if before is not None:
        rows = rows.where(AUDIT.c.id < before)
    if target is not None:
        rows = rows.where(AUDIT.c.target == target)
    if actions is not None:
        rows = rows.where(AUDIT.c.action.in_(actions))
    with database.read() as connection:
        found = connection.execute(rows.order_by(AUDIT.c.id.desc()).limit(limit))
        return [
            Noted(
                row.id,
                AuditEntry(
                    at_us=row.id >> REQUEST_ID_BITS,
                    actor=row.actor,
                    client=row.client,
                    action=row.action,
                    target=row.target,
                    before=row.before,
                    after=row.after,
                ),
            )
            for row in sound_rows(found, AUDIT)
        ]


def audit_slices(database: Database, *, now: float, pace: Pace) -> Iterator[Slice]:
    """Delete what is too old or too much, of all apps; gives each slice when it is done.

    Raises:
        StorageError: The database cannot be written.
    """
    oldest = request_id_at(microseconds(now - AUDIT_KEPT_SECONDS))
    yield from past_slices(database, _past(sa.true(), oldest), pace)
    for past in _too_many(database):
        yield from past_slices(database, past, pace)


def _too_many(database: Database) -> list[Past]:
    """For each action of an app that has too many entries, those that go."""
    kinds = (
        sa.select(AUDIT.c.app, AUDIT.c.action)
        .group_by(AUDIT.c.app, AUDIT.c.action)
        .having(sa.func.count() > AUDIT_KEPT_EACH)
    )
    found: list[Past] = []
    with database.read() as connection:
        for app, action in connection.execute(kinds).all():
            mine = (AUDIT.c.app == app) & (AUDIT.c.action == action)
            newest_first = sa.select(AUDIT.c.id).where(mine).order_by(AUDIT.c.id.desc())
            first_kept = newest_first.limit(1).offset(AUDIT_KEPT_EACH - 1)
            found.append(_past(mine, connection.execute(first_kept).scalar_one()))
    return found


def _past(where: sa.ColumnElement[bool], limit: int) -> Past:
    return Past(AUDIT, where, AUDIT.c.id, AUDIT.c.id, limit)
