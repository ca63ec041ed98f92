"""Rows of sessions that ended before they expired. Knows no cookies and no expiry rule."""

import secrets
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import col, select

from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry, add_entry
from fastapi_lens.storage.records.objects import read_objects
from fastapi_lens.storage.schema.models import EndedSessionRow
from fastapi_lens.storage.schema.tables import ENDED_SESSION

MAX_EACH = 1_000
"""Logouts kept per key at a time; one more ends all sessions of the key instead."""

ALL_ENDED = "too many log-outs: all sessions of this key have ended"

_WHOLE_KEY = ""
_TABLE = ENDED_SESSION.c


@dataclass(frozen=True, slots=True)
class Ended:
    """The ended sessions of a key.

    Attributes:
        generation: Generation of the sessions that are valid; empty until all were first ended.
        is_ended: True if the session in question was logged out individually.
    """

    generation: str = ""
    is_ended: bool = False


@dataclass(frozen=True, slots=True)
class LogOut:
    """A session to end.

    Attributes:
        app: Name of its app.
        key: Name of its key.
        session: Its id.
        until_us: Time at which it would have expired, in microseconds since the epoch.
    """

    app: str
    key: str
    session: str
    until_us: int


def read_ended(database: Database, app: str, key: str, session: str = _WHOLE_KEY) -> Ended:
    """Read the ended sessions of a key, and if one of its sessions is among them.

    Raises:
        StorageError: The database cannot be read.
    """
    wanted = select(EndedSessionRow).where(
        *_of_key(app, key), col(EndedSessionRow.session).in_({_WHOLE_KEY, session})
    )
    with database.read() as connection:
        found = read_objects(connection, EndedSessionRow, wanted)
    rows = {row.session: row.generation for row in found}
    return Ended(rows.pop(_WHOLE_KEY, ""), bool(rows))


def end_session(
    database: Database, gone: LogOut, entry: AuditEntry, *, forget_before_us: int
) -> None:
    """End one session and audit it; delete ended sessions that would have expired by now.

    Args:
        database: The database to write to.
        gone: The session.
        entry: The entry for the audit log.
        forget_before_us: Ended sessions of the app that expire before this time are deleted.

    Raises:
        StorageError: The database cannot be written.
    """

    def work() -> None:
        with database.write() as connection:
            connection.execute(
                # It may exist: the button was clicked twice, or the transaction is repeated.
                database.insert_ignore(ENDED_SESSION),
                EndedSessionRow(
                    app=gone.app, key_name=gone.key, session=gone.session, until=gone.until_us
                ).model_dump(),
            )
            connection.execute(
                sa.delete(ENDED_SESSION).where(
                    _TABLE.app == gone.app,
                    _TABLE.session != _WHOLE_KEY,
                    _TABLE.until < forget_before_us,
                )
            )
            noted = entry
            if _count(connection, gone) > MAX_EACH:
                # No logout may be deleted before the session expires: it would be valid again.
                _end_all(database, connection, gone.app, gone.key)
                noted = replace(entry, after=ALL_ENDED)
            add_entry(database, connection, gone.app, noted)

    retry_on_deadlock(work)


def end_sessions_of(database: Database, app: str, key: str, entry: AuditEntry) -> None:
    """End all sessions of a key, and audit it.

    Raises:
        StorageError: The database cannot be written.
    """

    def work() -> None:
        with database.write() as connection:
            _end_all(database, connection, app, key)
            add_entry(database, connection, app, entry)

    retry_on_deadlock(work)


def _end_all(database: Database, connection: Connection, app: str, key: str) -> None:
    """Start a new generation of the key, which invalidates all earlier sessions."""
    whole = EndedSessionRow(app=app, key_name=key, session=_WHOLE_KEY)
    connection.execute(database.insert_ignore(ENDED_SESSION), whole.model_dump())
    connection.execute(
        sa.update(ENDED_SESSION)
        .where(*_of_key(app, key), _TABLE.session == _WHOLE_KEY)
        .values(generation=secrets.token_urlsafe(6))
    )
    # Sessions of earlier generations are invalid already.
    connection.execute(
        sa.delete(ENDED_SESSION).where(*_of_key(app, key), _TABLE.session != _WHOLE_KEY)
    )


def _count(connection: Connection, gone: LogOut) -> int:
    rows = sa.select(sa.func.count()).where(
        *_of_key(gone.app, gone.key), _TABLE.session != _WHOLE_KEY
    )
    return connection.execute(rows).scalar_one()


def _of_key(app: str, key: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _TABLE.app == app, _TABLE.key_name == key
