"""Audit log entries of the command line."""

import getpass
import socket
from datetime import UTC, datetime

from fastapi_lens.admin.audit import PURGE, Author
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import add_audit_entry
from fastapi_lens.storage.retention.purge import Choice

ACTOR = "command line"


def note_purge(database: Database, choice: Choice, amount: str, *, now: float) -> None:
    """Add an entry for a deletion that is about to begin, with the user and the host.

    Args:
        database: The database of the deletion.
        choice: The selection to delete.
        amount: Description of the number of rows.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be written; nothing is deleted then.
    """
    author = Author(f"{ACTOR}{_user()}", socket.gethostname(), now)
    entry = author.did(PURGE, target=_scope_of(choice), before=amount)
    add_audit_entry(database, choice.app, entry)


def _scope_of(choice: Choice) -> str:
    what = "everything" if choice.whole_app else f"{len(choice.ids):,} endpoints"
    if choice.before is None:
        return what
    day = datetime.fromtimestamp(choice.before, UTC).date().isoformat()
    return f"{what}, up to {day}"


def _user() -> str:
    try:
        return f": {getpass.getuser()}"
    except (KeyError, OSError):  # In a container, a user may have no name.
        return ""
