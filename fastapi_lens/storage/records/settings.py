"""The rows of the settings, one for each section of an app, and of the audit log.

Knows no section and no setting: a value is whatever JSON holds.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import AUDIT, SETTING


@dataclass(frozen=True, slots=True)
class Stored:
    """A section as it is stored.

    Attributes:
        values: By name of the setting; what is not there is as the code says.
        version: How often it was changed; 0 for one that never was.
        damaged: What is there instead of values; empty for a section that can be read.
    """

    values: Mapping[str, Any]
    version: int
    damaged: str = ""


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


def read_sections(database: Database, app: str) -> dict[str, Stored]:
    """The sections of an app that were ever changed, by name.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        rows = connection.execute(
            sa.select(SETTING.c.name, SETTING.c.value, SETTING.c.version).where(
                SETTING.c.app == app
            )
        )
        return {row.name: _stored(row.value, whole(row.version)) for row in rows}


def write_section(
    database: Database, app: str, name: str, section: Stored, entry: AuditEntry
) -> bool:
    """Change a section, and note who did it.

    Args:
        database: Where it is.
        app: Whose section.
        name: Its name.
        section: The new values, and the version that they are a change of.
        entry: For the audit log.

    Returns:
        False, with nothing changed, where somebody else has changed it since that version.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        connection.execute(
            database.insert_ignore(SETTING),
            {"app": app, "name": name, "value": "{}", "version": 0},
        )
        changed = connection.execute(
            sa.update(SETTING)
            .where(
                SETTING.c.app == app, SETTING.c.name == name, SETTING.c.version == section.version
            )
            .values(value=json.dumps(section.values), version=section.version + 1)
        )
        if changed.rowcount != 1:
            connection.rollback()
            return False
        add_entry(database, connection, app, entry)
        note_change(database, connection)
        return True


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


def _stored(text: str, version: int) -> Stored:
    try:
        values: Any = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return Stored({}, version, text)
    return Stored(cast("dict[str, Any]", values), version)


def add_entry(database: Database, connection: Connection, app: str, entry: AuditEntry) -> None:
    """Add an audit entry in the transaction of the audited change."""
    row = {
        "app": app,
        "actor": storable(entry.actor),
        "client": storable(entry.client),
        "action": entry.action,
        "target": storable(entry.target),
        "before": storable(entry.before),
        "after": storable(entry.after),
    }
    add, added = database.insert_ignore(AUDIT).execution_options(preserve_rowcount=True), 0
    while not added:
        # Two entries of one microsecond may have drawn the same number.
        identity = entry.at_us << REQUEST_ID_BITS | secrets.randbits(REQUEST_ID_BITS)
        added = connection.execute(add, {**row, "id": identity}).rowcount
