"""Entries of the audit log as people read them. Pure text; no I/O, no HTML."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi_lens.admin.audit import sentence_of
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.labels import actor_label
from fastapi_lens.config.lens_config import SETTINGS
from fastapi_lens.reporting.model import key_from_id
from fastapi_lens.settings.fields import shown, text_of
from fastapi_lens.storage.records.audit import AuditEntry, Noted

NOT_SET = "not set"
SOMEBODY = "Somebody"


@dataclass(frozen=True, slots=True)
class Difference:
    """Change of one setting or object.

    Attributes:
        name: Of the setting; empty where the entry is about one thing alone.
        before: Empty where it was not there.
        after: Empty where it is not there any more.
    """

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An entry of the audit log as a row of a table.

    Attributes:
        key: Of the entry, as addresses have it.
        at: Epoch seconds.
        action: In words.
    """

    key: str
    at: float
    entry: AuditEntry
    action: str
    differences: Sequence[Difference]


def audit_lines(found: Iterable[Noted]) -> list[AuditLine]:
    """Entries as rows."""
    return [
        AuditLine(
            key=key_from_id(one.id),
            at=one.at,
            entry=one.entry,
            action=sentence_of(one.entry.action),
            differences=differences(one.entry.before, one.entry.after),
        )
        for one in found
    ]


def differences(before: str, after: str) -> list[Difference]:
    """The differences between two states: by setting if they are JSON objects."""
    old, new = _object(before), _object(after)
    if old is None or new is None:
        return [Difference("", before, after)] if before or after else []
    return [
        Difference(name, _word(name, old.get(name)), _word(name, new.get(name)))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def changed_by(last: Noted | None, *, now: float) -> str:
    """Author, address and age of a change: ``alice (10.0.0.1) … 12 s ago``."""
    if last is None:
        return f"{SOMEBODY} changed this meanwhile"
    client = f" ({last.entry.client})" if last.entry.client else ""
    actor = actor_label(last.entry.actor) or SOMEBODY
    return f"{actor}{client} changed this meanwhile, {formats.ago(last.at, now)}"


def _object(text: str) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(text)
    # Entries may be plain text; deep nesting ends in a RecursionError.
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _word(name: str, value: object) -> str:
    # Entries outlive settings: a name may be that of an earlier release.
    setting = SETTINGS.get(name)
    return text_of(value) or NOT_SET if setting is None else shown(setting, value)
