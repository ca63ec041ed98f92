"""Engines: how connections of each kind of database are opened, prepared and given up.

Knows no table, and nothing of what is done with them.
"""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Dialect, Engine, ExceptionContext
from sqlalchemy.exc import DataError, IntegrityError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from fastapi_lens.errors import DamagedFileError, RefusedError
from fastapi_lens.storage.files import DatabaseFile

BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 512
"""Of pages that each connection of SQLite keeps: a quarter of its default. A process has four or
five connections, whose pages the operating system keeps as well; flushes are as quick."""

CONNECT_TIMEOUT_SECONDS = 5
_PATIENCE: Mapping[str, Mapping[str, int]] = {
    "postgresql": {
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 15_000,
    },
    # Longer than it may wait for a lock, see `exclusive`.
    "mysql": {"read_timeout": 90, "write_timeout": 30},
}
"""How long a connection waits for a host that does not answer any more: seconds, and
milliseconds for ``tcp_user_timeout``. Else it would be the quarter of an hour of TCP."""

SILENCE_SECONDS = 60
"""A server ends a connection that says nothing for so long while it holds locks: its host may be
gone, and everybody else waits for them."""

_SILENCE: Mapping[str, str] = {
    "postgresql": f"SET idle_in_transaction_session_timeout = '{SILENCE_SECONDS}s'",
    "mysql": f"SET SESSION wait_timeout = {SILENCE_SECONDS}",
}

HELD = "fastapi_lens_held"
"""Where a connection notes which file it has open; see `files.Held`."""


def create_engine(url: URL, file: DatabaseFile | None, *, in_memory: bool) -> Engine:
    """An engine that opens nothing yet.

    Args:
        url: With a driver that is installed.
        file: The file of a SQLite database, where there is one to watch.
        in_memory: Whether it is a SQLite database in memory, which has one connection.
    """
    if url.get_backend_name() != "sqlite":
        return _of_server(url)
    options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
    options["connect_args"] = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
    engine = sa.create_engine(url if file is None else url.set(database=str(file.path)), **options)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "invalidate", _let_go)
    if file is None:
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        _watch(engine, file)
    if not in_memory:
        event.listen(engine, "handle_error", _connect_anew)
    return engine


def _of_server(url: URL) -> Engine:
    backend = url.get_backend_name()
    patience = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **_PATIENCE[backend]}
    # What the URL itself says wins.
    arguments = {name: value for name, value in patience.items() if name not in url.query}
    engine = sa.create_engine(
        url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args=arguments
    )

    def limit_silence(connection: Any, _record: ConnectionPoolEntry) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SILENCE[backend])
        connection.commit()

    event.listen(engine, "begin", _begin_on_server)
    event.listen(engine, "connect", limit_silence)
    event.listen(engine, "handle_error", _connect_anew)
    return engine


def _begin_on_server(connection: Connection) -> None:
    # Not SQLAlchemy's option for it, which on MariaDB asks the server four times more.
    if not connection.get_execution_options().get("lens_writes", True):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _connect_anew(context: ExceptionContext) -> RefusedError | None:
    """Trust no connection after an error: the next use opens a new one.

    It may have outlived its database, or remember that a file could not be written to. Only on
    MariaDB SQLAlchemy asks whether there is a table in a way that fails when there is none.
    """
    if isinstance(context.original_exception, (UnicodeError, OverflowError)):
        # Of a driver, which makes bytes of the values before it sends them.
        return RefusedError(str(context.original_exception))
    if isinstance(context.sqlalchemy_exception, (DataError, IntegrityError)):
        return None
    running: Any = context.execution_context
    options: Any = getattr(running, "execution_options", {})
    context.is_disconnect |= not options.get("skip_user_error_events", False)
    return None


def _watch(engine: Engine, file: DatabaseFile) -> None:
    """Let no connection be used whose file is not the one at the path."""

    def connect(dialect: Dialect, record: ConnectionPoolEntry, args: Any, options: Any) -> Any:
        identity = file.make_ready()
        connection: Any = dialect.connect(*args, **options)
        try:
            _prepare_sqlite(connection, record)
            # Opens the log, too.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            record.info[HELD] = file.held(identity)
        except BaseException:
            connection.close()
            raise
        return connection

    def checkout(_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        try:
            current = file.is_current(record.info[HELD])
        except DamagedFileError:
            # Before the connection is closed, which would write its log into that file.
            if not file.ours or not file.set_aside():
                raise
            current = False
        if not current:
            raise InvalidatePoolError

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkout", checkout)


def _let_go(connection: Any, _record: ConnectionPoolEntry, _error: Any) -> None:
    """Give SQLite's locks back before a connection is closed.

    It closes for good when its last statement is gone; whoever keeps the exception keeps that.
    """
    with suppress(sqlite3.Error):
        connection.rollback()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Settings of a new SQLite connection."""
    connection.isolation_level = None  # We say BEGIN ourselves, see _begin_sqlite.
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    # Takes effect in a new file only; lets retention give space back without a full VACUUM.
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")


def _switch_to_wal(connection: Any) -> None:
    """Retry the switch to WAL, which ignores busy_timeout while others open the same file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read lock later fails instead of waiting.
    writes = connection.get_execution_options().get("lens_writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
