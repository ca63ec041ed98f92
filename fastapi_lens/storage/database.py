"""Engines and the differences between the databases. Knows no table of its own."""

import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Dialect, Engine, ExceptionContext, make_url
from sqlalchemy.exc import InvalidatePoolError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from fastapi_lens.errors import ConfigError, DamagedFileError, StorageError
from fastapi_lens.storage.files import DAMAGE, FOREIGN_TABLES, DatabaseFile, Held, primary_code

BUSY_TIMEOUT_MS = 5_000
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

_MIGRATION_LOCK = 7_305_809_914_202_117
_MIGRATION_LOCK_SECONDS = 60
_HELD = "fastapi_lens_held"


class Database:
    """One database and how to read and write it; safe to use from several threads.

    Opens nothing before the first `read` or `write`.

    Attributes:
        remembered: What a database that has to be made anew gets back, by name.
    """

    def __init__(self, url: str | URL) -> None:
        """Take a SQLAlchemy URL that names its driver.

        Raises:
            ConfigError: The driver is not installed.
        """
        self._url = make_url(url)
        _check_driver(self._url)
        self.dialect = self._url.get_backend_name()
        self.remembered: dict[str, str] = {}
        self._guard = threading.Lock()
        self._engine: Engine | None = None
        # One connection holds an in-memory database, so threads have to take turns.
        self._turns = threading.RLock() if self._in_memory else None
        self._file: DatabaseFile | None = None

    @property
    def _in_memory(self) -> bool:
        return _is_in_memory(self._url)

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that sees one consistent state and changes nothing.

        Raises:
            StorageError: The database cannot be reached or refuses.
        """
        with self._transaction(writing=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction, committed at the end of the block and rolled back on an error.

        Raises:
            StorageError: The database cannot be reached or refuses, or the acknowledgement of
                the commit got lost.
        """
        try:
            with self._transaction(writing=True) as connection:
                note_commit = self._before_writing(connection)
                yield connection
            note_commit()
        except DamagedFileError as error:
            # Never a file that was not ours before it was damaged.
            if self._file is not None and self._file.ours and self._file.set_aside():
                raise StorageError(f"{error.path} was damaged and has been moved away") from error
            raise

    @contextmanager
    def _transaction(self, *, writing: bool) -> Generator[Connection]:
        options: dict[str, Any] = {"lens_writes": writing}
        if self.dialect != "sqlite":
            options["isolation_level"] = "READ COMMITTED" if writing else "REPEATABLE READ"
        try:
            with (
                self._turns or nullcontext(),
                self._opened().connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            original = getattr(error, "orig", None) or error
            if self._file is not None and primary_code(original) in DAMAGE:
                raise DamagedFileError(str(self._file.path), str(original)) from error
            raise StorageError(_reason(error)) from error

    def _before_writing(self, connection: Connection) -> Callable[[], None]:
        """What is to be done once the transaction is committed."""
        file = self._file
        if file is None:
            return lambda: None
        held: Held = connection.info[_HELD]
        # Past SQLAlchemy: it takes a tenth of the time, and comes before every write.
        driver: Any = connection.connection.driver_connection
        ours = not driver.execute(FOREIGN_TABLES).fetchone()[0]

        def note_commit() -> None:
            if not file.is_current(held):
                raise StorageError("the file was replaced while it was written to")
            file.ours = ours

        return note_commit

    @contextmanager
    def exclusive(self) -> Generator[Connection]:
        """A writing transaction that only one process at a time can be in (for migrations)."""
        if self.dialect == "mysql":
            with self._named_lock(), self.write() as connection:
                yield connection
            return
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            yield connection

    @contextmanager
    def _named_lock(self) -> Generator[None]:
        """MariaDB's lock, held by a connection of its own until the other one has committed."""
        name = "lens_migration"
        with self.write() as connection:
            lock = sa.select(sa.func.get_lock(name, _MIGRATION_LOCK_SECONDS))
            if not connection.execute(lock).scalar():
                raise StorageError("another process is migrating the database and does not end")
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.release_lock(name)))

    def insert_ignore(self, table: sa.Table) -> Any:
        """An INSERT that leaves rows alone whose primary key is there already."""
        if self.dialect == "mysql":
            return mysql.insert(table).prefix_with("IGNORE")
        if self.dialect == "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing()
        return sqlite.insert(table).on_conflict_do_nothing()

    def size_bytes(self, connection: Connection) -> int | None:
        """The size of the database (SQLite) or of the lens's tables in it; None if unknown."""
        if self.dialect == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            return int(pages * page)
        if self.dialect == "postgresql":
            total = connection.execute(
                sa.text(
                    "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
                    "WHERE c.relkind = 'r' AND c.relname LIKE 'lens\\_%' "
                    "AND pg_table_is_visible(c.oid)"
                )
            ).scalar()
        else:
            total = connection.execute(
                sa.text(
                    "SELECT sum(data_length + index_length) FROM information_schema.tables "
                    "WHERE table_schema = database() AND table_name LIKE 'lens\\_%'"
                )
            ).scalar()
        return None if total is None else int(total)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        with self._guard:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _opened(self) -> Engine:
        with self._guard:
            if self._engine is None:
                self._file = self._file or _file_of(self._url)
                self._engine = _create_engine(self._url, self._file, in_memory=self._in_memory)
            return self._engine


def _check_driver(url: URL) -> None:
    try:
        url.get_dialect().import_dbapi()
    except ImportError as error:
        raise ConfigError(
            "database_url",
            f"needs a driver ({error}): pip install 'fastapi-lens[{url.get_backend_name()}]'",
        ) from error


def _file_of(url: URL) -> DatabaseFile | None:
    """The file to watch; None on a server, in memory, and where the name is a URI of SQLite's."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or _is_in_memory(url) or name.startswith("file:"):
        return None
    return DatabaseFile(Path(name).absolute())


def _is_in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _create_engine(url: URL, file: DatabaseFile | None, *, in_memory: bool) -> Engine:
    backend = url.get_backend_name()
    options: dict[str, Any] = {}
    if backend == "sqlite":
        options["connect_args"] = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
        if in_memory:
            options["poolclass"] = StaticPool
    else:
        options["pool_pre_ping"] = True
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **_PATIENCE[backend]}
    engine = sa.create_engine(url if file is None else url.set(database=str(file.path)), **options)
    if backend == "sqlite":
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "invalidate", _let_go)
        if file is None:
            event.listen(engine, "connect", _prepare_sqlite)
        else:
            _watch(engine, file)
    if not in_memory:
        event.listen(engine, "handle_error", _connect_anew)
    return engine


def _connect_anew(context: ExceptionContext) -> None:
    """Trust no connection after an error: the next use opens a new one.

    It may have outlived its database, or remember that a file could not be written to.
    """
    context.is_disconnect = True


def _watch(engine: Engine, file: DatabaseFile) -> None:
    """Let no connection be used whose file is not the one at the path."""

    def connect(dialect: Dialect, record: ConnectionPoolEntry, args: Any, options: Any) -> Any:
        identity = file.make_ready()
        connection: Any = dialect.connect(*args, **options)
        try:
            _prepare_sqlite(connection, record)
            # Opens the log, too.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            record.info[_HELD] = file.held(identity)
        except BaseException:
            connection.close()
            raise
        return connection

    def checkout(_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        try:
            current = file.is_current(record.info[_HELD])
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


def _reason(error: Exception) -> str:
    """The driver's own words in one line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"
