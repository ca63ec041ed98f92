"""What the command line does to a database, for its audit log."""

import getpass
import socket
from datetime import UTC, datetime

from fastapi_lens.admin.audit import PURGE, Author
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import add_audit_entry
from fastapi_lens.storage.retention.purge import Choice

ACTOR = "command line"


def note_purge(database: Database, choice: Choice, told: str, *, now: float) -> None:
    """Note what is about to be deleted, by which user of which host.

    Args:
        database: What it is deleted from, and where it is noted.
        choice: What was chosen.
        told: The same in words, with how much it is.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be written; nothing is deleted then.
    """
    author = Author(f"{ACTOR}{_user()}", socket.gethostname(), now)
    entry = author.did(PURGE, target=_scope_of(choice), before=told)
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
    except (KeyError, OSError):  # In a container, a user may have a number only.
        return ""
