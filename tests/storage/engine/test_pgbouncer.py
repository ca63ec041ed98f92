"""PostgreSQL behind PgBouncer in transaction mode: the next transaction is in any session."""

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from benchmarks.support.rows import table_rows
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import LEASE

ROW = {"owner": "w1", "expires_at": 7}
LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


def limits_of_a_session(url: str) -> list[str]:
    """Limits that the next client of the pool's session would get."""
    at = make_url(url)
    with psycopg.connect(
        host=at.host, port=at.port, user=at.username, dbname=at.database, prepare_threshold=None
    ) as other:
        rows = [other.execute(f"SHOW {name}".encode()).fetchone() for name in LIMITS]
    return [str(row[0]) for row in rows if row is not None]


def test_two_databases_share_one_session_of_a_pool(pgbouncer: str) -> None:
    before = limits_of_a_session(pgbouncer)
    databases = [Database(pgbouncer) for _ in range(2)]
    migrate(databases[0])
    # More often than psycopg would need to prepare a statement.
    for turn in range(8):
        for number, database in enumerate(databases):
            with database.write() as connection:
                connection.execute(sa.insert(LEASE), {"name": f"{number}-{turn}", **ROW})
            assert len(table_rows(database, LEASE)) == 2 * turn + number + 1
    for database in databases:
        database.close()
    assert limits_of_a_session(pgbouncer) == before


@pytest.mark.parametrize(("named", "used"), [("2", 2), ("none", None)])
def test_a_url_may_say_when_statements_are_prepared(
    postgres_url: str, named: str, used: int | None
) -> None:
    database = Database(f"{postgres_url}?prepare_threshold={named}")
    migrate(database)
    for _ in range(4):
        assert table_rows(database, LEASE) == []
    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        assert driver.prepare_threshold == used
    database.close()


def test_no_other_word_says_when_statements_are_prepared(postgres_url: str) -> None:
    with (
        pytest.raises(StorageError, match="a number or none, not often"),
        Database(f"{postgres_url}?prepare_threshold=often").read(),
    ):
        pass
