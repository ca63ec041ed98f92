"""Changes of a stored section of the settings by a form, with their audit entries. No HTML.

A form names the version that it changes, so that nobody overwrites what somebody else saved.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.audit_lines import changed_by
from fastapi_lens.storage.records.audit import AuditEntry, read_audit
from fastapi_lens.storage.records.settings import Stored, write_section


def save_values(
    context: Context, section: str, values: Mapping[str, Any], entry: AuditEntry
) -> bool:
    """Store a section, and apply it in this worker; false if somebody else changed it meanwhile.

    Args:
        context: The request, whose form names the version that it changes.
        section: Its name.
        values: All values of the section.
        entry: The entry for the audit log.

    Raises:
        StorageError: The database cannot be written.
    """
    version = context.form.get("version", "")
    known = int(version) if re.fullmatch("[0-9]{1,9}", version) else -1
    lens = context.lens
    written = write_section(lens.database, lens.app_name, section, Stored(values, known), entry)
    # Also after a conflict, because the form must show the present values.
    lens.refresh_settings()
    return written


def latest_change(
    context: Context, *, target: str | None = None, actions: Collection[str] | None = None
) -> str:
    """The author of the latest change, as a sentence without its full stop.

    Args:
        context: The request.
        target: Only changes of this object; None for all.
        actions: Only these actions; None for all.

    Raises:
        StorageError: The database cannot be read.
    """
    lens = context.lens
    last = read_audit(lens.database, lens.app_name, target=target, actions=actions, limit=1)
    return changed_by(next(iter(last), None), now=context.now)
