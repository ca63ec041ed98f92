"""The audit log: read, and kept from growing. Entries are added by `settings.add_audit_entry`.

Nothing here changes an entry, and only the bound deletes one.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.settings import AuditEntry
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
