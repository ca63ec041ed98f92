"""A table that another program has locked: the lens waits for seconds, and says so."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import table_rows
from fastapi_lens.errors import DamagedFileError, RefusedError, StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects.base import (
    LOCK_SECONDS,
    MIGRATION_SECONDS,
    STATEMENT_SECONDS,
)
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import LEASE

ROW = {"name": "prune", "owner": "w1", "expires_at": 7}


@contextmanager
def locked(url: str) -> Generator[None]:
    """Lock the table for everybody else, as a backup or a change of the table does."""
    engine = sa.create_engine(url)
    words = {
        "postgresql": "LOCK TABLE lens_lease IN ACCESS EXCLUSIVE MODE",
        "mysql": "LOCK TABLES lens_lease WRITE",
    }
    with engine.begin() as connection:
        connection.exec_driver_sql(words[engine.dialect.name])
        yield
        if engine.dialect.name == "mysql":
            connection.exec_driver_sql("UNLOCK TABLES")
    engine.dispose()


def write(database: Database) -> None:
    with database.write() as connection:
        connection.execute(database.insert_ignore(LEASE), ROW)


@pytest.mark.parametrize("use", [write, lambda database: table_rows(database, LEASE)])
def test_a_locked_table_is_waited_for_as_long_as_a_lock_may_last(
    server_url: str, use: object
) -> None:
    assert callable(use)
    database = Database(server_url)
    migrate(database)
    # The wait ends while the table is still locked.
    with locked(server_url), pytest.raises(StorageError, match=r"(?i)lock|timeout") as caught:
        use(database)
    assert not isinstance(caught.value, (RefusedError, DamagedFileError))
    write(database)
    assert len(table_rows(database, LEASE)) == 1
    database.close()


def test_a_row_that_another_program_has_changed_is_waited_for_as_briefly(server_url: str) -> None:
    database, other = Database(server_url), Database(server_url)
    migrate(database)
    write(database)
    change = sa.update(LEASE).values(expires_at=8)
    with other.write() as holding:
        holding.execute(change)
        # The wait ends while the other one still holds the row.
        with pytest.raises(StorageError), database.write() as connection:
            connection.execute(change)
    database.close()
    other.close()


ASKED = {
    "postgresql": (
        "SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')"
    ),
    "mysql": (
        "SHOW VARIABLES WHERE variable_name IN "
        "('lock_wait_timeout', 'innodb_lock_wait_timeout', 'max_statement_time')"
    ),
}


def limits(connection: sa.Connection) -> tuple[float, float]:
    """Seconds of a lock and of a statement."""
    rows = connection.exec_driver_sql(ASKED[connection.dialect.name])
    found = {name: float(value) for name, value in rows}
    if "lock_timeout" in found:
        return found["lock_timeout"] / 1_000, found["statement_timeout"] / 1_000
    assert found["lock_wait_timeout"] == found["innodb_lock_wait_timeout"]
    return found["lock_wait_timeout"], found["max_statement_time"]


def test_statements_are_limited_and_migrations_wait_for_longer(server_url: str) -> None:
    database = Database(server_url)
    with database.read() as reading, database.write() as writing:
        assert limits(reading) == limits(writing) == (LOCK_SECONDS, STATEMENT_SECONDS)
    with database.exclusive() as connection:
        assert limits(connection) == (MIGRATION_SECONDS, 0)
    with database.write() as writing:
        assert limits(writing) == (LOCK_SECONDS, STATEMENT_SECONDS)
    database.close()
