"""MariaDB, and MySQL, by PyMySQL. Knows no table of the lens."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.schema import CreateColumn

from fastapi_lens.errors import StorageError
from fastapi_lens.storage.engine.dialects.base import (
    CONNECT_TIMEOUT_SECONDS,
    LOCK_SECONDS,
    MIGRATION_SECONDS,
    SILENCE_SECONDS,
    STATEMENT_SECONDS,
    WRITES,
    Dialect,
    RowBytes,
    beside,
    connect,
    connect_anew,
    driver_errors,
)
from fastapi_lens.storage.engine.prepared import Row
from fastapi_lens.storage.engine.row_update import RowUpdate, Updater
from fastapi_lens.storage.engine.sqlite_file import DatabaseFile

_MIGRATION_LOCK = "lens_migration"
_DEADLOCK_ARGS = (1213,)
"""How PyMySQL's words for it begin."""

_OUT_OF_RANGE_ARGS = (1690,)

_ARGUMENTS = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # Else a host that does not answer any more is waited for as long as TCP does: 15 minutes.
    # Longer than it may wait for a lock, see `exclusive`.
    "read_timeout": 90,
    "write_timeout": 30,
}


MOST = 256
"""Rows that one statement changes; a power of two."""

Item = TypeVar("Item")


def _limits(*, silence: int, lock: int, statement: int) -> str:
    """A statement that limits what a session waits for; all in seconds, 0 for no limit.

    MariaDB reads the comment with an M, MySQL the other one, whose number MariaDB skips. Each
    would refuse the other's variable. That of MySQL holds for SELECT only.
    """
    return (
        f"SET SESSION wait_timeout = {silence}, lock_wait_timeout = {lock}, "
        f"innodb_lock_wait_timeout = {lock} /*M! , max_statement_time = {statement} */ "
        f"/*!50708 , max_execution_time = {statement * 1_000} */"
    )


_LIMITS = _limits(silence=SILENCE_SECONDS, lock=LOCK_SECONDS, statement=STATEMENT_SECONDS)
# It says nothing while the other connection works.
_MIGRATION_LIMITS = _limits(silence=86_400, lock=MIGRATION_SECONDS, statement=0)


class MariadbDialect(Dialect):
    """MariaDB and MySQL."""

    name = "mysql"
    row_bytes = RowBytes(140, 260, 660, request=130, exception=400, audit=290)
    # Whole seconds, but right in the hour that a change of the zone repeats.
    clock_us = sa.literal_column("unix_timestamp() * 1000000 + 500000", sa.BigInteger())

    def create_engine(self, url: URL, _file: DatabaseFile | None, /) -> Engine:
        """One that prepares each session, since there is no pool in between."""
        with driver_errors():
            engine = sa.create_engine(url, pool_pre_ping=True, connect_args=beside(url, _ARGUMENTS))
        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "handle_error", connect_anew)
        return engine

    @contextmanager
    def exclusive(
        self, write: Callable[[], AbstractContextManager[Connection]]
    ) -> Generator[Connection]:
        """With a named lock, held by another connection until the transaction is committed."""
        with write() as holder:
            _detach(holder)
            lock = sa.select(sa.func.get_lock(_MIGRATION_LOCK, MIGRATION_SECONDS))
            if not holder.execute(lock).scalar():
                raise StorageError("another process is migrating the database and does not end")
            with write() as connection:
                _detach(connection)
                yield connection

    def insert_ignore(self, table: sa.Table) -> Any:
        """INSERT IGNORE."""
        return mysql.insert(table).prefix_with("IGNORE")

    def updater(self, update: RowUpdate) -> Updater:
        """With one statement for some hundred rows, which are written out and joined."""
        texts: dict[int, str] = {}

        def run(connection: Connection, rows: Sequence[Row]) -> None:
            for part in in_powers(rows):
                text = texts.get(len(part))
                if text is None:
                    text = texts[len(part)] = _from_rows(update, connection, len(part))
                values = (row[name] for row in part for name in update.types)
                sent = (value.hex() if isinstance(value, bytes) else value for value in values)
                connection.exec_driver_sql(text, tuple(sent))

        return run

    def size_bytes(self, connection: Connection) -> int | None:
        """The size of the tables in the default database, as its statistics have it."""
        total = connection.execute(
            sa.text(
                "SELECT sum(data_length + index_length) FROM information_schema.tables "
                "WHERE table_schema = database() AND table_name LIKE 'lens\\_%'"
            )
        ).scalar()
        return None if total is None else int(total)

    def is_deadlock(self, error: BaseException, /) -> bool:
        """By its number."""
        return error.args[:1] == _DEADLOCK_ARGS

    def is_refusal(self, error: BaseException, /) -> bool:
        """A sum that is too large, which PyMySQL takes for an error of the connection."""
        return error.args[:1] == _OUT_OF_RANGE_ARGS

    def widen(self, connection: Connection, column: sa.Column[str]) -> None:
        """Which wants all that is said of the column."""
        words = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} MODIFY {words}")

    def allow_long_keys(self, connection: Connection, table: sa.Table) -> None:
        """For a table that was made where another format is the default."""
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ROW_FORMAT=DYNAMIC")


def _from_rows(update: RowUpdate, connection: Connection, count: int) -> str:
    told = sa.table("told", *(sa.column(name, kind) for name, kind in update.types.items()))

    def text(clause: sa.ColumnElement[Any]) -> str:
        options = {"literal_binds": True}
        return str(clause.compile(dialect=connection.dialect, compile_kwargs=options))

    # A literal of bytes is text to the server, of older drivers at least.
    marks = {
        name: "UNHEX(%s)" if isinstance(kind, sa.LargeBinary) else "%s"
        for name, kind in update.types.items()
    }
    first = ", ".join(f"{mark} AS {name}" for name, mark in marks.items())
    others = ", ".join(marks.values())
    rows = " UNION ALL ".join([f"SELECT {first}", *[f"SELECT {others}"] * (count - 1)])
    rules = update.rules(lambda name: told.c[name])
    matches = " AND ".join(map(text, update.matches(lambda name: told.c[name])))
    changes = ", ".join(f"{update.table.c[name]} = {text(rule)}" for name, rule in rules.items())
    # Made of names alone; all values are parameters.
    return f"UPDATE {update.table.name} JOIN ({rows}) AS told ON {matches} SET {changes}"  # noqa: S608


def in_powers(rows: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut rows into parts of a power of two each, `MOST` at most: so few statements are made."""
    at = 0
    while at < len(rows):
        size = min(MOST, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size


def _prepare(connection: Any, _record: Any) -> None:
    """Settings of a new connection."""
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS)
        cursor.execute("SHOW VARIABLES WHERE variable_name IN ('log_bin', 'binlog_format')")
        binary_log = {name.lower(): value for name, value in cursor.fetchall()}
        # A server that logs statements refuses all writes in READ COMMITTED.
        by_statement = binary_log == {"log_bin": "ON", "binlog_format": "STATEMENT"}
        level = "REPEATABLE READ" if by_statement else "READ COMMITTED"
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    connection.commit()


def _detach(connection: Connection) -> None:
    """Have a connection of one's own, which is closed at the end, and may wait for longer."""
    connection.detach()
    connection.exec_driver_sql(_MIGRATION_LIMITS)


def _begin(connection: Connection) -> None:
    # Not SQLAlchemy's option for it, which asks the server four times more.
    if not connection.get_execution_options().get(WRITES, True):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
