"""Notes of past imports, as rows of facts."""

import json
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.schema.tables import (
    META,
)
from fastapi_lens.text.json_values import is_list

IMPORT_NOTE = "import:"
"""Prefix of the names of import notes, see `transfer.import_.Importer`."""


def import_notes(connection: Connection) -> dict[str, dict[str, Any]]:
    """The notes of past imports, by their names in the table; unreadable notes are skipped."""
    rows = connection.execute(
        sa.select(META.c.name, META.c.value).where(META.c.name.startswith(IMPORT_NOTE))
    )
    read = ((name, import_note(value)) for name, value in rows)
    return {name: note for name, note in read if note is not None}


def import_note(text: str) -> dict[str, Any] | None:
    """Parse a note that `transfer.import_.Importer` wrote; None if the text is no such note."""
    try:
        found: Any = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    note = cast("dict[str, Any]", found)
    numbers = (note.get("applied"), note.get("rows"))
    if not all(isinstance(one, int) for one in numbers) or not _is_origins(note.get("origins")):
        return None
    return note


def _is_origins(value: Any) -> bool:
    """True if the value is a mapping of texts to texts, as `Origins` are."""
    if not isinstance(value, dict):
        return False
    lists: list[Any] = list(cast("dict[str, Any]", value).values())
    return all(map(_is_texts, lists))


def _is_texts(value: Any) -> bool:
    return is_list(value) and all(isinstance(text, str) for text in value)
