"""Engines and the differences between the databases. Knows no table of its own."""

import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from fastapi_lens.errors import ConfigError, StorageError

BUSY_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_SECONDS = 5
_MIGRATION_LOCK = 7_305_809_914_202_117
_MIGRATION_LOCK_SECONDS = 60


class Database:
    """One database and how to read and write it; safe to use from several threads.

    Opens nothing before the first `read` or `write`.
    """

    def __init__(self, url: str | URL) -> None:
        """Take a SQLAlchemy URL that names its driver.

        Raises:
            ConfigError: The driver is not installed.
        """
        self._url = make_url(url)
        _check_driver(self._url)
        self.dialect = self._url.get_backend_name()
        self._guard = threading.Lock()
        self._engine: Engine | None = None
        # One connection holds an in-memory database, so threads have to take turns.
        self._turns = threading.RLock() if self._in_memory else None

    @property
    def _in_memory(self) -> bool:
        return self.dialect == "sqlite" and self._url.database in (None, "", ":memory:")

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
        with self._transaction(writing=True) as connection:
            yield connection

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
        except SQLAlchemyError as error:
            raise StorageError(_reason(error)) from error

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
                self._engine = _create_engine(self._url, in_memory=self._in_memory)
            return self._engine


def _check_driver(url: URL) -> None:
    try:
        url.get_dialect().import_dbapi()
    except ImportError as error:
        raise ConfigError(
            "database_url",
            f"needs a driver ({error}): pip install 'fastapi-lens[{url.get_backend_name()}]'",
        ) from error


def _create_engine(url: URL, *, in_memory: bool) -> Engine:
    backend = url.get_backend_name()
    options: dict[str, Any] = {}
    if backend == "sqlite":
        options["connect_args"] = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
        if in_memory:
            options["poolclass"] = StaticPool
    else:
        options["pool_pre_ping"] = True
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    engine = sa.create_engine(url, **options)
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


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


def _reason(error: SQLAlchemyError) -> str:
    """The driver's own words in one line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"
