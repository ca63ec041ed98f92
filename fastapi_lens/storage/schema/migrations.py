"""Schema version and migration steps; safe when many processes start at once."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from fastapi_lens.errors import SchemaTooNewError, StorageError
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects import dialect_of
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.models import lens_metadata
from fastapi_lens.storage.schema.tables import (
    CALLER,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    EXCEPTIONS_COUNTED_SINCE,
    GONE,
    INBOX,
    META,
    OBSERVED,
    RELEASE,
    REQUEST,
    SCHEMA_STEP,
    SCHEMA_VERSION,
    SETTING,
    USE,
    USE_WEEK,
    WORKER,
)

SESSION_SALT = "session_salt"


def _create_tables(connection: Connection) -> None:
    lens_metadata.create_all(connection)
    for table in lens_metadata.sorted_tables:
        existing = _columns_of(connection, table)
        for index in table.indexes:
            # A table of an older release gets some columns, and their indexes, in a later step.
            if existing.issuperset(column.name for column in index.columns):
                # Of a table that already exists, because the process that created it was killed.
                index.create(connection, checkfirst=True)


def _add_log_and_settings(connection: Connection) -> None:
    """Add the request log, settings, audit log and throttle, and the worker's `log_seq`."""
    _create_tables(connection)
    if WORKER.c.log_seq.name not in _columns_of(connection, WORKER):
        # The same statement on each database.
        connection.exec_driver_sql(
            "ALTER TABLE lens_worker ADD COLUMN log_seq BIGINT DEFAULT 0 NOT NULL"
        )


def _add_ended_sessions(connection: Connection) -> None:
    """Create the table of ended sessions; earlier sessions become invalid."""
    _create_tables(connection)
    connection.execute(sa.delete(SETTING).where(SETTING.c.name == "sessions"))


def _index_workers(connection: Connection) -> None:
    """Create indexes for queries over many workers."""
    dialect_of(connection).allow_long_keys(connection, WORKER)
    for index in WORKER.indexes:
        index.create(connection, checkfirst=True)


def _widen_methods(connection: Connection) -> None:
    """Widen the method columns to `MAX_METHOD_LENGTH`, from 16 characters."""
    for table in (ENDPOINT, REQUEST):
        dialect_of(connection).widen(connection, table.c.method)


def _add_open_calls(connection: Connection) -> None:
    """Add the column of a worker's open calls."""
    _add_column(connection, WORKER, WORKER.c.open_calls)


def _add_inbox(connection: Connection) -> None:
    """Add the inbox, and the column for the CPU share of a worker's thread."""
    INBOX.create(connection, checkfirst=True)
    _add_column(connection, WORKER, WORKER.c.core_ppm)


def _drop_written_at(connection: Connection) -> None:
    """Drop a column of the inbox that nothing reads; only development versions created it."""
    if "written_at" in _columns_of(connection, INBOX):
        connection.exec_driver_sql(f"ALTER TABLE {INBOX.name} DROP COLUMN written_at")


def _add_observation(connection: Connection) -> None:
    """Add releases, observed minutes, calls of removed endpoints, and what a verdict is made of.

    What an endpoint of an older database lacks is 0: nothing before this step was observed, so no
    verdict takes it for silence.
    """
    for table in (GONE, RELEASE, OBSERVED):
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    for column in (
        *(ENDPOINT.c.shape_id, ENDPOINT.c.present_since, ENDPOINT.c.evidence_since),
        *(ENDPOINT.c.removed_at, ENDPOINT.c.last_used_at),
        *(ENDPOINT.c.first_release_id, ENDPOINT.c.last_release_id),
        *(ENDPOINT.c.first_called_release_id, ENDPOINT.c.last_called_release_id),
        ENDPOINT.c.overrides,
    ):
        _add_column(connection, ENDPOINT, column)
    for index in ENDPOINT.indexes:
        index.create(connection, checkfirst=True)
    shapeless = sa.select(ENDPOINT.c.id, ENDPOINT.c.app, ENDPOINT.c.method, ENDPOINT.c.path)
    # Those with a shape are left out: they were done before an interruption.
    for row in connection.execute(shapeless.where(ENDPOINT.c.shape_id == 0)).all():
        shape = shape_id(row.app, row.method, row.path)
        connection.execute(
            sa.update(ENDPOINT).where(ENDPOINT.c.id == row.id).values(shape_id=shape)
        )


def _add_callers(connection: Connection) -> None:
    """Add the ledger of callers, which does not know the callers of earlier calls."""
    for table in (CALLER, USE, USE_WEEK):
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    for column in (ENDPOINT.c.callers, ENDPOINT.c.attributed_until, ENDPOINT.c.unattributed_at):
        _add_column(connection, ENDPOINT, column)
    _add_column(connection, REQUEST, REQUEST.c.caller_id)


def _add_exception_counts(connection: Connection) -> None:
    """Add the counts of exceptions by minute and hour, which begin now."""
    dialect_of(connection).allow_long_keys(connection, EXCEPTION)
    for table in (EXCEPTION, EXCEPTION_COUNT):
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    # Not `insert_ignore`, which needs a database: an interrupted step may have written the fact.
    connection.execute(sa.delete(META).where(META.c.name == EXCEPTIONS_COUNTED_SINCE))
    since = str(microseconds(time.time()))
    connection.execute(sa.insert(META).values(name=EXCEPTIONS_COUNTED_SINCE, value=since))


def _add_column(connection: Connection, table: sa.Table, column: sa.Column[Any]) -> None:
    """Add a column that may be left out of a row to a table, unless it exists."""
    if column.name not in _columns_of(connection, table):
        # SQLAlchemy has no statement that adds a column.
        words = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {words}")


def _columns_of(connection: Connection, table: sa.Table) -> set[str]:
    """The names of the columns that a table has in the database."""
    return {column["name"] for column in sa.inspect(connection).get_columns(table.name)}


STEPS: tuple[Callable[[Connection], None], ...] = (
    _create_tables,
    _add_log_and_settings,
    _add_ended_sessions,
    _index_workers,
    _widen_methods,
    _add_open_calls,
    _add_inbox,
    _drop_written_at,
    _add_observation,
    _add_callers,
    _add_exception_counts,
)
"""Step n migrates the schema from version n to n + 1; steps are only ever appended.

Each step must also work after an interruption between any two statements, because MariaDB commits
each ALTER TABLE at once, and after the first step has created the tables in their present form.
"""

WRITTEN_AS = 2
"""The schema version that the database shows to all releases. Later steps only add tables, and
columns that are nullable or have a default: workers of the older release continue to write to the
same rows while others are upgraded. A step after which they must not write gets its own number."""


def known_version() -> int:
    """The schema version of this release."""
    return len(STEPS)


def migrate(database: Database) -> None:
    """Migrate the database to this release's schema; cheap if that is already done.

    Raises:
        SchemaTooNewError: A newer release has migrated this database.
        StorageError: The database cannot be reached or refuses.
    """
    done = _done_or_none(database)
    if done is not None and done >= known_version():
        return
    with database.exclusive() as connection:
        # Read again, because another process may have migrated while this one waited.
        done = _done(connection) if sa.inspect(connection).has_table(META.name) else 0
        for number, step in enumerate(STEPS[done:], done + 1):
            step(connection)
            # After each one, so that an interrupted migration continues there.
            _note_done(database, connection, number)
        _remember_salt(database, connection)


def require_schema(connection: Connection) -> None:
    """Check in a write transaction that the database has this release's schema.

    Raises:
        SchemaTooNewError: A newer release has migrated this database meanwhile.
        StorageError: It is older, for example from a backup; `migrate` updates it.
    """
    done = _done(connection)
    if done < known_version():
        raise StorageError(f"the database has gone back to schema version {done}")


def _note_done(database: Database, connection: Connection, step: int) -> None:
    # The remembered salt is kept: a session must be valid in every worker.
    salt = database.remembered.get(SESSION_SALT) or secrets.token_hex(16)
    facts = {SCHEMA_VERSION: str(min(step, WRITTEN_AS)), SCHEMA_STEP: str(step)}
    connection.execute(
        database.insert_ignore(META),
        [
            *({"name": name, "value": "0"} for name in facts),
            {"name": SESSION_SALT, "value": salt},
        ],
    )
    for name, value in facts.items():
        connection.execute(sa.update(META).where(META.c.name == name).values(value=value))


def session_salt(database: Database) -> bytes:
    """The random salt that all workers of this database derive session keys with.

    Raises:
        StorageError: The database cannot be read or has not been migrated yet.
    """
    with database.read() as connection:
        salt = connection.execute(
            sa.select(META.c.value).where(META.c.name == SESSION_SALT)
        ).scalar_one()
    return bytes.fromhex(salt)


def _done_or_none(database: Database) -> int | None:
    try:
        with database.read() as connection:
            _remember_salt(database, connection)
            return _done(connection)
    except SchemaTooNewError:
        raise
    except StorageError:
        return None  # No table yet, or no database: the exclusive transaction finds out.


def _remember_salt(database: Database, connection: Connection) -> None:
    rows = connection.execute(
        sa.select(META.c.name, META.c.value).where(META.c.name == SESSION_SALT)
    )
    database.remembered.update((row.name, row.value) for row in rows)


def _done(connection: Connection) -> int:
    """The number of completed steps.

    Raises:
        SchemaTooNewError: A newer release has completed a step after which this one must not
            write.
    """
    rows = connection.execute(
        sa.select(META.c.name, META.c.value).where(META.c.name.in_((SCHEMA_VERSION, SCHEMA_STEP)))
    )
    facts = {row.name: int(row.value) for row in rows}
    version = facts.get(SCHEMA_VERSION, 0)
    if version > known_version():
        raise SchemaTooNewError(version, known_version())
    if version == WRITTEN_AS:
        return max(version, facts.get(SCHEMA_STEP, 0))
    # An older database: the last step has to set the version that all releases share.
    return min(version, known_version() - 1)
