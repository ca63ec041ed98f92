"""The schema's version and the ordered steps to it, safe when many processes start at once."""

import secrets
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from fastapi_lens.errors import SchemaTooNewError, StorageError
from fastapi_lens.methods import MAX_METHOD_LENGTH
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import lens_metadata
from fastapi_lens.storage.tables import ENDPOINT, META, REQUEST, SCHEMA_VERSION, SETTING, WORKER

SESSION_SALT = "session_salt"


def _create_tables(connection: Connection) -> None:
    lens_metadata.create_all(connection)
    for table in lens_metadata.sorted_tables:
        for index in table.indexes:
            # Of a table that was there already, because the process that made it was killed.
            index.create(connection, checkfirst=True)


def _add_log_and_settings(connection: Connection) -> None:
    """The request log, settings, audit log and throttle, and the worker's fence of the log."""
    _create_tables(connection)
    columns = {column["name"] for column in sa.inspect(connection).get_columns(WORKER.name)}
    if WORKER.c.log_seq.name not in columns:
        # The same words on each database.
        connection.exec_driver_sql(
            "ALTER TABLE lens_worker ADD COLUMN log_seq BIGINT DEFAULT 0 NOT NULL"
        )


def _add_ended_sessions(connection: Connection) -> None:
    """Create the table of ended sessions; earlier sessions become invalid."""
    _create_tables(connection)
    connection.execute(sa.delete(SETTING).where(SETTING.c.name == "sessions"))


_HAVE_LONG_KEYS = sa.DDL(  # type: ignore[no-untyped-call]  # It has no types.
    "ALTER TABLE %(table)s ROW_FORMAT=DYNAMIC"
).execute_if(dialect="mysql")
"""For a table created where another row format is the default, see `LensModel`."""


def _index_workers(connection: Connection) -> None:
    """Create indexes for queries over many workers."""
    _HAVE_LONG_KEYS(WORKER, connection)
    for index in WORKER.indexes:
        index.create(connection, checkfirst=True)


_WIDEN = {
    "postgresql": "ALTER TABLE {table} ALTER COLUMN method TYPE VARCHAR({length})",
    "mysql": "ALTER TABLE {table} MODIFY method VARCHAR({length}) NOT NULL",
}
"""Statement by dialect. SQLite ignores lengths."""


def _widen_methods(connection: Connection) -> None:
    """Widen the method columns to `MAX_METHOD_LENGTH`, from 16 characters."""
    statement = _WIDEN.get(connection.dialect.name)
    if statement is not None:
        for table in (ENDPOINT, REQUEST):
            length = MAX_METHOD_LENGTH
            connection.exec_driver_sql(statement.format(table=table.name, length=length))


def _add_open_calls(connection: Connection) -> None:
    """Add the column of a worker's open calls."""
    column = WORKER.c.open_calls
    if column.name not in {one["name"] for one in sa.inspect(connection).get_columns(WORKER.name)}:
        words = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {WORKER.name} ADD COLUMN {words}")


STEPS: tuple[Callable[[Connection], None], ...] = (
    _create_tables,
    _add_log_and_settings,
    _add_ended_sessions,
    _index_workers,
    _widen_methods,
    _add_open_calls,
)
"""Step n brings the schema from version n to n + 1; steps are only ever appended.

Each has to work also where it was interrupted between any two statements, since MariaDB commits
every change of a table at once, and where the first step has made the tables as they are today.
"""


def known_version() -> int:
    """The schema version of this release."""
    return len(STEPS)


def migrate(database: Database) -> None:
    """Bring the database to this release's schema; cheap when it is there already.

    Raises:
        SchemaTooNewError: A newer release has migrated this database.
        StorageError: The database cannot be reached or refuses.
    """
    version = _version_or_none(database)
    if version == known_version():
        return
    _refuse_newer(version or 0)
    with database.exclusive() as connection:
        version = _version(connection) if sa.inspect(connection).has_table(META.name) else 0
        _refuse_newer(version)
        for number, step in enumerate(STEPS[version:], version + 1):
            step(connection)
            _note_version(database, connection, number)
        _remember_salt(database, connection)


def require_schema(connection: Connection) -> None:
    """Make sure that the database has this release's schema while one writes.

    Raises:
        SchemaTooNewError: A newer release has migrated this database meanwhile.
        StorageError: It is older, as that of a backup is; `migrate` mends it.
    """
    version = _version(connection)
    _refuse_newer(version)
    if version < known_version():
        raise StorageError(f"the database has gone back to schema version {version}")


def _refuse_newer(version: int) -> None:
    if version > known_version():
        raise SchemaTooNewError(version, known_version())


def _note_version(database: Database, connection: Connection, version: int) -> None:
    # All workers keep the salt that they have: a session has to hold in each of them.
    salt = database.remembered.get(SESSION_SALT) or secrets.token_hex(16)
    connection.execute(
        database.insert_ignore(META),
        [{"name": SCHEMA_VERSION, "value": "0"}, {"name": SESSION_SALT, "value": salt}],
    )
    connection.execute(
        sa.update(META).where(META.c.name == SCHEMA_VERSION).values(value=str(version))
    )


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


def _version_or_none(database: Database) -> int | None:
    try:
        with database.read() as connection:
            _remember_salt(database, connection)
            return _version(connection)
    except StorageError:
        return None  # No table yet, or no database: the locked path below tells which.


def _remember_salt(database: Database, connection: Connection) -> None:
    rows = connection.execute(
        sa.select(META.c.name, META.c.value).where(META.c.name == SESSION_SALT)
    )
    database.remembered.update((row.name, row.value) for row in rows)


def _version(connection: Connection) -> int:
    value = connection.execute(
        sa.select(META.c.value).where(META.c.name == SCHEMA_VERSION)
    ).scalar_one_or_none()
    return 0 if value is None else int(value)
