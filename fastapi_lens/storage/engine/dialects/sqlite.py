"""SQLite: a file that is watched, or a database in memory. Knows no table of the lens."""

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from fastapi_lens.config.checks import file_path, is_file_uri, is_in_memory
from fastapi_lens.errors import DamagedFileError
from fastapi_lens.storage.engine.dialects.base import (
    WRITES,
    Dialect,
    RowBytes,
    connect,
    connect_anew,
    driver_errors,
    refused,
)
from fastapi_lens.storage.engine.row_update import RowUpdate, Updater
from fastapi_lens.storage.engine.sqlite_file import DatabaseFile

BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 512
"""Page cache of each connection: a quarter of SQLite's default. A process has four or five
connections, and the operating system caches the file as well; flushes are as fast."""

HELD = "fastapi_lens_held"
"""Key of the connection's info for the file that it has open; see `sqlite_file.OpenFile`."""


class SqliteDialect(Dialect):
    """SQLite."""

    name = "sqlite"
    is_file = True
    # The planner would use the bounds in place of the list, and read more.
    follows_bounds = False
    bytes_of = "CAST({} AS BLOB)"
    row_bytes = RowBytes(
        43,
        25,
        330,
        request=110,
        exception=240,
        exception_count=48,
        audit=260,
        use=85,
        use_week=32,
        caller=120,
    )
    clock_us = sa.literal_column("NULL", sa.BigInteger())

    def file_of(self, url: URL, /) -> DatabaseFile | None:
        """The file to watch; None in memory, and if the name is a SQLite URI."""
        path = None if is_file_uri(url) else file_path(url)
        return None if path is None else DatabaseFile(Path(path).absolute())

    def create_engine(self, url: URL, file: DatabaseFile | None, /) -> Engine:
        """An engine that opens a new connection after each error, unless it is in memory."""
        in_memory = is_in_memory(url)
        # All threads share the only connection, in which the data lives.
        options: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {}
        # The pool passes a connection from thread to thread, but never to two at a time.
        options["connect_args"] = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
        with driver_errors():
            engine = sa.create_engine(
                url if file is None else url.set(database=str(file.path)), **options
            )
        event.listen(engine, "begin", _begin)
        event.listen(engine, "invalidate", _rollback_on_invalidate)
        if file is None:
            event.listen(engine, "do_connect", connect)
            event.listen(engine, "connect", _prepare)
        else:
            _watch(engine, file)
        event.listen(engine, "handle_error", refused if in_memory else connect_anew)
        return engine

    @contextmanager
    def exclusive(
        self, write: Callable[[], AbstractContextManager[Connection]]
    ) -> Generator[Connection]:
        """A write transaction: SQLite allows only one at a time."""
        with write() as connection:
            yield connection

    def insert_ignore(self, table: sa.Table) -> Any:
        """INSERT … ON CONFLICT DO NOTHING."""
        return sqlite.insert(table).on_conflict_do_nothing()

    def updater(self, update: RowUpdate) -> Updater:
        """An updater for row after row: without a server, more statements cost no round trips."""
        return update.one_by_one()

    def size_bytes(self, connection: Connection) -> int:
        """The size of the whole file."""
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return int(pages * page)

    def damage(self, connection: Connection, /) -> str | None:
        """The first damage that SQLite finds."""
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        return None if found == "ok" else str(found)


def _watch(engine: Engine, file: DatabaseFile) -> None:
    """Discard connections whose file is no longer the one at the path."""

    def open_file(dialect: sa.Dialect, record: ConnectionPoolEntry, args: Any, options: Any) -> Any:
        identity = file.make_ready()
        connection: Any = connect(dialect, record, args, options)
        try:
            _prepare(connection, record)
            # Also opens the log.
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
            # Before the connection is closed, because closing would write its log into that file.
            if not file.ours or not file.set_aside():
                raise
            current = False
        if not current:
            raise InvalidatePoolError

    event.listen(engine, "do_connect", open_file)
    event.listen(engine, "checkout", checkout)


def _rollback_on_invalidate(connection: Any, _record: ConnectionPoolEntry, _error: Any) -> None:
    """Release SQLite's locks before a connection is closed.

    The library closes it only after its last statement is deleted, which a kept exception delays.
    """
    with suppress(sqlite3.Error):
        connection.rollback()


def _prepare(connection: Any, _record: Any) -> None:
    """Settings of a new connection."""
    connection.isolation_level = None  # BEGIN is explicit, see `_begin`.
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    # Only for a new file: lets the retention give space back without a full VACUUM.
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    # After auto_vacuum, which has no effect once the file has a page.
    _switch_to_wal(connection)
    # A power cut may lose the last commits, but cannot damage a file with a write-ahead log.
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


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read lock later fails instead of waiting.
    writes = connection.get_execution_options().get(WRITES, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
