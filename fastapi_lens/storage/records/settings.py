"""The rows of the settings, one for each section of an app.

Knows no section and no setting: a value is whatever JSON holds.
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
    """A section as it is stored.

    Attributes:
        values: By name of the setting; what is not there is as the code says.
        version: How often it was changed; 0 for one that never was.
        damaged: What is there instead of values; empty for a section that can be read.
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
            SettingRow(app=app, name=name).model_dump(),
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


def _stored(text: str, version: int) -> Stored:
    try:
        values: Any = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return Stored({}, version, text)
    return Stored(cast("dict[str, Any]", values), version)
