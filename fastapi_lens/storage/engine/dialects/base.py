"""The interface of a kind of database: whatever differs between them. Knows no table of the lens.

Each kind has one object without state. No other module decides anything by a database's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
from sqlalchemy.exc import DataError, IntegrityError

from fastapi_lens.errors import RefusedError, UnavailableError
from fastapi_lens.storage.engine.row_update import RowUpdate, Updater
from fastapi_lens.storage.engine.sqlite_file import DatabaseFile

CONNECT_TIMEOUT_SECONDS = 5
LOCK_SECONDS = 3
"""Longest wait of a statement for a lock: whoever holds one for longer blocks no thread."""

STATEMENT_SECONDS = 30
"""Longest time of a statement."""

MIGRATION_SECONDS = 60
"""Longest wait of a migration for another one, or for a table that is in use."""

SILENCE_SECONDS = 60
"""A server ends a connection that says nothing for so long while it holds locks: its host may be
gone, and everybody else waits for them."""

REFUSED = (DataError, IntegrityError)
"""Errors for values that a database refuses; the connection can be used again."""

WRITES = "lens_writes"
"""Execution option of a connection: False if its transaction changes nothing."""


@dataclass(frozen=True, slots=True)
class RowBytes:
    """What a row takes on the disk, with its share of indexes and of pages that are not full.

    Measured by ``make bench-sizing``, see docs/storage.md.

    Attributes:
        bucket: Of a row of sums, beside its histogram.
        status: Of a row of a status code.
        endpoint: Of an endpoint's own row.
        request: Of a request in the log, with a path of usual length.
        exception: Of a kind of exception, beside its message and traceback.
        audit: Of an entry of the audit log that changes a section of the settings.
    """

    bucket: float
    status: float
    endpoint: float
    request: float
    exception: float
    audit: float


class Dialect(ABC):
    """One kind of database.

    Attributes:
        name: As SQLAlchemy calls it.
        is_file: Whether a database is a file of this host, or in memory. Such a one has no clock
            of its own, and its free space can be given back.
        follows_bounds: Whether conditions that follow from others keep it from reading too much.
        bytes_of: How a column is asked for its bytes, whatever somebody has put into it.
        row_bytes: How large its rows are.
        clock_us: The server's time in microseconds since the epoch, as a part of any SELECT. Null
            where the database is a file, which lies on the host that asks.
    """

    name: ClassVar[str]
    is_file: ClassVar[bool] = False
    follows_bounds: ClassVar[bool] = True
    bytes_of: ClassVar[str] = "{}"
    row_bytes: ClassVar[RowBytes]
    clock_us: ClassVar[sa.ColumnElement[int | None]]

    def file_of(self, _url: URL, /) -> DatabaseFile | None:
        """The file to watch; None if there is none."""
        return None

    @abstractmethod
    def create_engine(self, url: URL, file: DatabaseFile | None, /) -> Engine:
        """An engine that opens nothing yet; its transactions look at `WRITES`.

        Args:
            url: With a driver that is installed.
            file: What `file_of` gave.

        Raises:
            StorageError: The driver cannot use an option of the URL.
        """

    @abstractmethod
    def exclusive(
        self, write: Callable[[], AbstractContextManager[Connection]]
    ) -> AbstractContextManager[Connection]:
        """A writing transaction that only one process at a time can be in.

        Args:
            write: Begins a writing transaction.

        Raises:
            StorageError: Another process is in it, and does not end.
        """

    @abstractmethod
    def insert_ignore(self, table: sa.Table) -> Any:
        """An INSERT that leaves rows alone whose primary key is there already."""

    @abstractmethod
    def updater(self, update: RowUpdate) -> Updater:
        """The quickest way to change many rows, each by values of its own."""

    @abstractmethod
    def size_bytes(self, connection: Connection) -> int | None:
        """The size of a file, or of the lens's tables on a server; None if unknown."""

    def is_deadlock(self, _error: BaseException, /) -> bool:
        """Whether the database has chosen this transaction to end a deadlock."""
        return False

    def is_refusal(self, _error: BaseException, /) -> bool:
        """Whether it refuses values by an error that DB-API does not count among such."""
        return False

    def damage(self, _connection: Connection, /) -> str | None:
        """What is wrong with the file, in the database's words; None if it is sound."""
        return None

    def widen(self, connection: Connection, column: sa.Column[str]) -> None:  # noqa: B027  Not everywhere.
        """Make a text column as long as its table says today, where lengths matter."""

    def allow_long_keys(self, connection: Connection, table: sa.Table) -> None:  # noqa: B027  Not everywhere.
        """Give an older table a row format with keys of more than 767 bytes, if it has none."""


@contextmanager
def driver_errors() -> Generator[None]:
    """Run what a driver does to connect: some of its errors are no errors of databases.

    Raises:
        UnavailableError: It does not know an option, or misses a package.
    """
    try:
        yield
    except (
        AttributeError,
        ImportError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise UnavailableError(
            "the driver cannot connect as the database's URL says "
            f"({type(error).__name__}: {error})"
        ) from error


def connect(dialect: sa.Dialect, _record: Any, arguments: Any, options: Any) -> Any:
    """Open a connection of the driver, for the event ``do_connect``."""
    with driver_errors():
        return dialect.connect(*arguments, **options)


def refused(context: ExceptionContext) -> RefusedError | None:
    """The error for a value that the driver cannot turn into bytes, for ``handle_error``."""
    error = context.original_exception
    return RefusedError(str(error)) if isinstance(error, (UnicodeError, OverflowError)) else None


def connect_anew(context: ExceptionContext) -> RefusedError | None:
    """Trust no connection after an error: the next use opens a new one. For ``handle_error``.

    Not after one that a value is to blame for, see `refused`.

    It may have outlived its database, or remember that a file could not be written to. Only on
    MariaDB SQLAlchemy asks whether there is a table in a way that fails when there is none.
    """
    error = refused(context)
    if error is not None or isinstance(context.sqlalchemy_exception, REFUSED):
        return error
    running: Any = context.execution_context
    options: Any = getattr(running, "execution_options", {})
    context.is_disconnect |= not options.get("skip_user_error_events", False)
    return None


def beside(url: URL, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a connection that the URL does not say itself."""
    return {name: value for name, value in arguments.items() if name not in url.query}
