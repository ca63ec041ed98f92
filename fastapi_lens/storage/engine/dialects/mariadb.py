"""MariaDB and MySQL with PyMySQL. Knows no table of the lens."""

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
"""First arguments of PyMySQL's error for it."""

_OUT_OF_RANGE_ARGS = (1690,)

_ARGUMENTS = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # Without these, an unresponsive host would block for TCP's 15 minutes. Longer than the wait
    # for a lock, see `exclusive`.
    "read_timeout": 90,
    "write_timeout": 30,
}


MOST = 256
"""Most rows of one statement; a power of two."""

Item = TypeVar("Item")


def _limits(*, silence: int, lock: int, statement: int) -> str:
    """A statement that limits the waits of a session; all in seconds, 0 for no limit.

    MariaDB executes the comment with an M, MySQL the one with its version number. Each would
    refuse the other's variable. MySQL's limit applies to SELECT only.
    """
    return (
        f"SET SESSION wait_timeout = {silence}, lock_wait_timeout = {lock}, "
        f"innodb_lock_wait_timeout = {lock} /*M! , max_statement_time = {statement} */ "
        f"/*!50708 , max_execution_time = {statement * 1_000} */"
    )


_LIMITS = _limits(silence=SILENCE_SECONDS, lock=LOCK_SECONDS, statement=STATEMENT_SECONDS)
# The connection with the lock is idle while the other one works.
_MIGRATION_LIMITS = _limits(silence=86_400, lock=MIGRATION_SECONDS, statement=0)


class MariadbDialect(Dialect):
    """MariaDB and MySQL."""

    name = "mysql"
    row_bytes = RowBytes(
        140,
        260,
        660,
        request=130,
        exception=400,
        exception_count=300,
        audit=290,
        use=400,
        use_week=130,
        caller=165,
    )
    # Whole seconds, but correct in the hour that the end of daylight saving time repeats.
    clock_us = sa.literal_column("unix_timestamp() * 1000000 + 500000", sa.BigInteger())

    def create_engine(self, url: URL, _file: DatabaseFile | None, /) -> Engine:
        """An engine that prepares each session, because no external pool is in between."""
        with driver_errors():
            # The server ends idle connections, see SILENCE_SECONDS, which the pool does not notice.
            engine = sa.create_engine(url, pool_pre_ping=True, connect_args=beside(url, _ARGUMENTS))
        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", prepare_session)
        event.listen(engine, "begin", begin_transaction)
        event.listen(engine, "handle_error", connect_anew)
        return engine

    @contextmanager
    def exclusive(
        self, write: Callable[[], AbstractContextManager[Connection]]
    ) -> Generator[Connection]:
        """A transaction under a named lock, which another connection holds until the commit."""
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
        """An updater with one statement for up to `MOST` rows, which it joins."""
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
        """The size of the tables in the default database, from its statistics."""
        total = connection.execute(
            sa.text(
                "SELECT sum(data_length + index_length) FROM information_schema.tables "
                "WHERE table_schema = database() AND table_name LIKE 'lens\\_%'"
            )
        ).scalar()
        return None if total is None else int(total)

    def is_deadlock(self, error: BaseException, /) -> bool:
        """True for the error number of a deadlock."""
        return error.args[:1] == _DEADLOCK_ARGS

    def is_refusal(self, error: BaseException, /) -> bool:
        """True for a sum that is too large, which PyMySQL reports as a connection error."""
        return error.args[:1] == _OUT_OF_RANGE_ARGS

    def widen(self, connection: Connection, column: sa.Column[str]) -> None:
        """Lengthen a column; MariaDB needs its whole definition."""
        words = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} MODIFY {words}")

    def allow_long_keys(self, connection: Connection, table: sa.Table) -> None:
        """Change the row format of a table that was created under another default."""
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ROW_FORMAT=DYNAMIC")


def _from_rows(update: RowUpdate, connection: Connection, count: int) -> str:
    incoming = sa.table("incoming", *(sa.column(name, kind) for name, kind in update.types.items()))

    def text(clause: sa.ColumnElement[Any]) -> str:
        options = {"literal_binds": True}
        return str(clause.compile(dialect=connection.dialect, compile_kwargs=options))

    # Older drivers send a literal of bytes as text.
    marks = {
        name: "UNHEX(%s)" if isinstance(kind, sa.LargeBinary) else "%s"
        for name, kind in update.types.items()
    }
    first = ", ".join(f"{mark} AS {name}" for name, mark in marks.items())
    others = ", ".join(marks.values())
    rows = " UNION ALL ".join([f"SELECT {first}", *[f"SELECT {others}"] * (count - 1)])
    rules = update.rules(lambda name: incoming.c[name])
    matches = " AND ".join(map(text, update.matches(lambda name: incoming.c[name])))
    changes = ", ".join(f"{update.table.c[name]} = {text(rule)}" for name, rule in rules.items())
    # Built from names only; all values are parameters.
    joined = f"{update.table.name} JOIN ({rows}) AS incoming ON {matches}"
    return f"UPDATE {joined} SET {changes}"  # noqa: S608


def in_powers(rows: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Split rows into parts of powers of two, up to `MOST`, so that few statements are built."""
    at = 0
    while at < len(rows):
        size = min(MOST, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size


def prepare_session(connection: Any, _record: Any) -> None:
    """Settings of a new connection."""
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS)
        cursor.execute("SHOW VARIABLES WHERE variable_name IN ('log_bin', 'binlog_format')")
        binary_log = {name.lower(): value for name, value in cursor.fetchall()}
        # A server with a statement-based binary log refuses all writes in READ COMMITTED.
        by_statement = binary_log == {"log_bin": "ON", "binlog_format": "STATEMENT"}
        level = "REPEATABLE READ" if by_statement else "READ COMMITTED"
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    # The driver begins without autocommit, so this ends what the queries have begun.
    connection.commit()


def _detach(connection: Connection) -> None:
    """Take a connection out of the pool: it may wait for longer, and is closed at the end."""
    connection.detach()
    connection.exec_driver_sql(_MIGRATION_LIMITS)


def begin_transaction(connection: Connection) -> None:
    """Have the server refuse changes in a transaction that only reads."""
    # Not SQLAlchemy's option, which costs four more round trips.
    if not connection.get_execution_options().get(WRITES, True):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
