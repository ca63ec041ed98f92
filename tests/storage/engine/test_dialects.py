"""Differences between databases are in one module each; no other code asks for the dialect."""

import ast
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

import fastapi_lens
from benchmarks.support.mariadb import MariadbServer
from benchmarks.support.ports import free_port
from benchmarks.support.rows import FlakyDatabase, delta, facts, rows_in, rows_of, worker
from benchmarks.support.writing import Writer
from fastapi_lens.errors import StorageError, UnavailableError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects import dialect_of, mariadb, postgresql, sqlite
from fastapi_lens.storage.engine.dialects.base import WRITES, Dialect
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import ENDPOINT, LEASE, WORKER
from fastapi_lens.storage.writing.batches import Batch

PACKAGE = Path(fastapi_lens.__file__).parent
NAMES = frozenset({"sqlite", "postgresql", "postgres", "mysql", "mariadb"})
MAY_NAME = {"config/checks.py", "storage/engine/dialects"}
"""Where the schemes of URLs are read, and where the differences are."""

DECLARES = frozenset({"with_variant", "create"})
"""Functions that are told a name, and decide nothing by it: SQLAlchemy's types and URLs."""

OWN_WORDS = ("unhex", "unnest", "array", "on conflict", "on duplicate", "pg_", "information_schema")
"""Words of SQL that not all databases know; those about a file are behind `is_file`."""


def named_in(tree: ast.AST) -> Iterator[int]:
    """Lines with the name of a database, or a word of its own, that do not only declare a type."""
    for node in ast.iter_child_nodes(tree):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in DECLARES
        ):
            continue
        word = getattr(node, "attr", None) or getattr(node, "value", None)
        if isinstance(word, str) and (word in NAMES or word.lower().startswith(OWN_WORDS)):
            yield cast("ast.expr", node).lineno
        yield from named_in(node)


def test_no_other_module_asks_which_database_it_is() -> None:
    found = [
        f"{name}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if not (name := path.relative_to(PACKAGE).as_posix()).startswith(tuple(MAY_NAME))
        for line in named_in(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_a_connection_knows_its_kind_of_database(database: Database) -> None:
    with database.read() as connection:
        assert dialect_of(connection) is database.dialect


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_is_not_there_may_be_there_later(driver: str) -> None:
    database = Database(f"{driver}://lens@127.0.0.1:{free_port()}/lens")
    with pytest.raises(UnavailableError), database.read():
        pass
    database.close()


def test_a_missing_table_is_not_there_later_either(postgres_url: str) -> None:
    database = Database(postgres_url)
    with pytest.raises(StorageError) as caught, database.read() as connection:
        connection.execute(sa.select(LEASE))
    assert type(caught.value) is StorageError
    database.close()


def test_an_error_of_our_own_is_no_error_of_the_database(sqlite_database: FlakyDatabase) -> None:
    with pytest.raises(TypeError, match="ours"), sqlite_database.write():
        raise TypeError("ours")


@pytest.mark.mariadb
def test_a_mariadb_that_logs_statements_takes_all_writes() -> None:
    settings = {"log-bin": "log", "server-id": "1", "binlog-format": "STATEMENT"}
    with MariadbServer(settings=settings) as server:
        database = Database(server.create_database())
        migrate(database)
        writer = Writer(database, worker())
        one = facts("/orders")
        deltas = [delta(one.id)]
        writer.register([one], applied=0, now_us=1)
        writer.write(Batch(1, tuple(deltas)))
        assert rows_in(database) == rows_of(deltas)
        database.close()


class Session:
    """Takes down what would be sent to a MariaDB, also where the suite has none."""

    dialect = mysql.dialect()

    def __init__(self, binlog_format: str = "MIXED", *, writes: bool = True) -> None:
        self.sent: list[str] = []
        self._variables = [("log_bin", "ON"), ("binlog_format", binlog_format)]
        self._writes = writes

    def cursor(self) -> AbstractContextManager["Session"]:
        return nullcontext(self)

    def execute(self, statement: str) -> None:
        self.sent.append(statement)

    exec_driver_sql = execute

    def fetchall(self) -> list[tuple[str, str]]:
        return self._variables

    def commit(self) -> None:
        self.sent.append("commit")

    def get_execution_options(self) -> dict[str, bool]:
        return {WRITES: self._writes}


LIMITS = (
    "SET SESSION wait_timeout = 60, lock_wait_timeout = 3, innodb_lock_wait_timeout = 3 "
    "/*M! , max_statement_time = 30 */ /*!50708 , max_execution_time = 30000 */"
)


@pytest.mark.parametrize(
    ("binlog_format", "level"),
    [("ROW", "READ COMMITTED"), ("MIXED", "READ COMMITTED"), ("STATEMENT", "REPEATABLE READ")],
)
def test_a_session_of_mariadb_is_prepared_in_words_that_mysql_takes_as_well(
    binlog_format: str, level: str
) -> None:
    session = Session(binlog_format)
    mariadb.prepare_session(session, None)
    assert session.sent == [
        LIMITS,
        "SHOW VARIABLES WHERE variable_name IN ('log_bin', 'binlog_format')",
        f"SET SESSION TRANSACTION ISOLATION LEVEL {level}",
        "commit",
    ]


def test_a_question_to_mariadb_sees_one_state_and_changes_nothing() -> None:
    reading, writing = Session(writes=False), Session()
    for session in (reading, writing):
        mariadb.begin_transaction(cast("sa.Connection", session))
    assert reading.sent == ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"]
    assert writing.sent == []


def test_a_table_on_mariadb_is_changed_in_its_own_words() -> None:
    session, kind = Session(), mariadb.MariadbDialect()
    connection = cast("sa.Connection", session)
    kind.widen(connection, ENDPOINT.c.method)
    kind.allow_long_keys(connection, WORKER)
    assert session.sent == [
        "ALTER TABLE lens_endpoint MODIFY method VARCHAR(64) NOT NULL",
        "ALTER TABLE lens_worker ROW_FORMAT=DYNAMIC",
    ]


@pytest.mark.parametrize(
    ("kind", "error", "answer"),
    [
        (mariadb.MariadbDialect(), pymysql.err.OperationalError(1213, "Deadlock"), True),
        (mariadb.MariadbDialect(), pymysql.err.OperationalError(1205, "Lock wait"), False),
        (postgresql.PostgresqlDialect(), psycopg.errors.DeadlockDetected(), True),
        (postgresql.PostgresqlDialect(), psycopg.errors.LockNotAvailable(), False),
        (sqlite.SqliteDialect(), sqlite3.OperationalError("database is locked"), False),
    ],
)
def test_a_deadlock_is_told_from_a_lock(kind: Dialect, error: Exception, answer: object) -> None:
    assert kind.is_deadlock(error) is answer
