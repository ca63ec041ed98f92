"""A database: its transactions, and the translation of its errors. Knows no table."""

import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import (
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from fastapi_lens.config.checks import DRIVERS, driver_of, is_in_memory
from fastapi_lens.errors import (
    DamagedFileError,
    DeadlockError,
    RefusedError,
    StorageError,
    UnavailableError,
)
from fastapi_lens.storage.engine.dialects import dialect_for
from fastapi_lens.storage.engine.dialects.base import REFUSED, WRITES
from fastapi_lens.storage.engine.dialects.sqlite import HELD
from fastapi_lens.storage.engine.fork_gate import ForkGate
from fastapi_lens.storage.engine.sqlite_file import (
    DAMAGE,
    FOREIGN_TABLES,
    REFUSALS,
    REMEDY,
    DatabaseFile,
    OpenFile,
    primary_code,
)


class Database:
    """One database, with read and write transactions; safe to use from several threads.

    Opens nothing before the first `read` or `write`.

    Attributes:
        dialect: The kind of database.
        remembered: Values to write again if the database has to be created again, by name.
        in_memory: True if it lives in this process, in its only connection.
    """

    def __init__(self, url: str | URL) -> None:
        """Take a SQLAlchemy URL that names its driver.

        Raises:
            ConfigError: The driver is not installed.
        """
        url = make_url(url)
        self._url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        driver = driver_of(self._url)
        self._driver_error = driver.Error
        # Statements that bypass SQLAlchemy raise the driver's own errors.
        self._refused = (*REFUSED, driver.DataError, driver.IntegrityError)
        self._later = (
            OperationalError,
            InterfaceError,
            driver.OperationalError,
            driver.InterfaceError,
        )
        self.dialect = dialect_for(self._url)
        self.remembered: dict[str, str] = {}
        self._guard = threading.Lock()
        self._engine: Engine | None = None
        self._disposal: weakref.finalize[..., Database] | None = None
        # An in-memory database exists in one connection, which threads have to share.
        self.in_memory = is_in_memory(self._url)
        self._turns = threading.RLock() if self.in_memory else None
        self._file: DatabaseFile | None = None
        # A server's driver has no locks that a forked child could inherit.
        self._gate = ForkGate() if self.dialect.is_file else None

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
                the commit was lost.
        """
        try:
            with self._transaction(writing=True) as connection:
                note_commit = self._before_writing(connection)
                yield connection
            # After the commit, because the file may be replaced until then.
            note_commit()
        except DamagedFileError as error:
            # Only a file that was known to be ours before the damage.
            with self._inside():
                moved = self._file is not None and self._file.ours and self._file.set_aside()
            if moved:
                raise StorageError(f"{error.path} was damaged and has been moved away") from error
            raise

    @contextmanager
    def _transaction(self, *, writing: bool) -> Generator[Connection]:
        try:
            with (
                self._inside(),
                self._turns or nullcontext(),
                self._opened().connect().execution_options(**{WRITES: writing}) as connection,
                connection.begin(),
            ):
                yield connection
        except (SQLAlchemyError, self._driver_error) as error:
            original = getattr(error, "orig", None) or error
            if self._file is not None and primary_code(original) in DAMAGE:
                raise DamagedFileError(str(self._file.path), str(original)) from error
            if self.dialect.is_deadlock(original):
                raise DeadlockError(_reason(error)) from error
            if isinstance(error, self._refused) or self.dialect.is_refusal(original):
                raise RefusedError(_reason(error)) from error
            if self._file is not None and primary_code(original) in REFUSALS:
                raise StorageError(f"{_reason(error)}: {self._file.path}{REMEDY}") from error
            kind = UnavailableError if isinstance(error, self._later) else StorageError
            raise kind(_reason(error)) from error

    def _before_writing(self, connection: Connection) -> Callable[[], None]:
        """The function to call once the transaction is committed."""
        file = self._file
        if file is None:
            return lambda: None
        held: OpenFile = connection.info[HELD]
        # Bypasses SQLAlchemy: this runs before every write, and takes a tenth of the time.
        driver: Any = connection.connection.driver_connection
        ours = not driver.execute(FOREIGN_TABLES).fetchone()[0]

        def note_commit() -> None:
            if not file.is_current(held):
                raise StorageError("the file was replaced while it was written to")
            file.ours = ours

        return note_commit

    def exclusive(self) -> AbstractContextManager[Connection]:
        """A writing transaction that only one process at a time can be in (for migrations)."""
        return self.dialect.exclusive(self.write)

    def insert_ignore(self, table: sa.Table) -> Any:
        """An INSERT that skips rows whose primary key exists."""
        return self.dialect.insert_ignore(table)

    def size_bytes(self, connection: Connection) -> int | None:
        """The size of the database (SQLite) or of the lens's tables in it; None if unknown."""
        return self.dialect.size_bytes(connection)

    def close(self) -> None:
        """Close all connections; the next use opens new ones, to an empty database if in memory."""
        with self._guard:
            engine, self._engine = self._engine, None
            self.leave()
        if engine is not None:
            with self._inside():
                engine.dispose()

    def hold(self, *, timeout_seconds: float) -> bool:
        """Block new transactions until `let_go`, as far as a fork requires it.

        Returns:
            True if all running transactions ended in time.
        """
        return self._gate is None or self._gate.hold(timeout_seconds=timeout_seconds)

    def let_go(self) -> None:
        """Undo a `hold`, whatever it returned."""
        if self._gate is not None:
            self._gate.let_go()

    def rest(self) -> None:
        """Close the connections that can be reopened: all but that of an in-memory database."""
        if not self.in_memory:
            self.close()

    def leave(self) -> None:
        """Close nothing when this object is deleted: in a forked child the parent owns it."""
        if self._disposal is not None:
            self._disposal.detach()

    def _inside(self) -> AbstractContextManager[None]:
        return nullcontext() if self._gate is None else self._gate.entered()

    def _opened(self) -> Engine:
        with self._guard:
            if self._engine is None:
                # The same object after a `close`, because it knows that the file is ours.
                self._file = self._file or self.dialect.file_of(self._url)
                self._engine = self.dialect.create_engine(self._url, self._file)
                if self.in_memory:
                    # Nothing closes it earlier, see `rest`.
                    self._disposal = weakref.finalize(self, self._engine.dispose)
            return self._engine


def _reason(error: Exception) -> str:
    """The first line of the driver's message, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {str(original).splitlines()[0] if str(original) else ''}"
