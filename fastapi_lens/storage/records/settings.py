"""Rows of the settings, one for each section of an app.

Knows no section and no setting: a value is any JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry, add_entry
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import SettingRow
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import SETTING


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored section.

    Attributes:
        values: Values by name of the setting; missing ones have their default from the code.
        version: Number of its changes; 0 if it was never changed.
        damaged: The stored text if it cannot be parsed; empty for a readable section.
    """

    values: Mapping[str, Any]
    version: int
    damaged: str = ""


def read_sections(database: Database, app: str) -> dict[str, Stored]:
    """The sections of an app that were ever changed, by name.

    Not as objects, because each flush reads them.

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
    """Change a section, and audit the change.

    Args:
        database: The database to write to.
        app: The app of the section.
        name: Its name.
        section: The new values, and the version that they replace.
        entry: The entry for the audit log.

    Returns:
        False if somebody else has changed it since that version; nothing is changed then.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        # A section that was never changed gets the version 0, which the UPDATE then compares.
        connection.execute(
            database.insert_ignore(SETTING),
            SettingRow(app=app, name=name).model_dump(),
        )
        changed = connection.execute(
            sa.update(SETTING)
            .where(
                SETTING.c.app == app, SETTING.c.name == name, SETTING.c.version == section.version
            )
            .values(value=json.dumps(section.values), version=section.version + 1)
        )
        # Otherwise the end of the block would commit the new row.
        if changed.rowcount != 1:
            connection.rollback()
            return False
        add_entry(database, connection, app, entry)
        note_change(database, connection)
        return True


def _stored(text: str, version: int) -> Stored:
    try:
        values: Any = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return Stored({}, version, text)
    return Stored(cast("dict[str, Any]", values), version)
