"""The interface of a kind of database: everything that differs between them. Knows no table.

Each kind has one object without state. Beside the schemes of URLs and the definitions of tables,
no other module depends on a database's name.
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
"""Longest wait of a statement for a lock, so that a hanging lock holder blocks no thread."""

STATEMENT_SECONDS = 30
"""Longest time of a statement."""

MIGRATION_SECONDS = 60
"""Longest wait of a migration for another one, or for a table that is in use."""

SILENCE_SECONDS = 60
"""Time after which a server ends an idle connection that holds locks: its host may be gone, while
all others wait for the locks."""

REFUSED = (DataError, IntegrityError)
"""Errors for values that a database refuses; the connection can be used again."""

WRITES = "lens_writes"
"""Execution option of a connection: False if its transaction changes nothing."""


@dataclass(frozen=True, slots=True)
class RowBytes:
    """Bytes of rows on disk, with their share of indexes and of pages that are not full.

    Measured by ``make bench-sizing``, see docs/storage.md.

    Attributes:
        bucket: A row of sums, without its histogram.
        status: A row of a status code.
        endpoint: An endpoint's own row.
        request: A request in the log, with a path of typical length.
        exception: A kind of exception, without its message and traceback.
        exception_count: Its number in a minute or hour; on a server an estimate.
        audit: An entry of the audit log for a change of settings.
        use: A caller of an endpoint.
        use_week: Its calls in a week.
        caller: A caller's own row.
    """

    bucket: float
    status: float
    endpoint: float
    request: float
    exception: float
    exception_count: float
    audit: float
    use: float
    use_week: float
    caller: float


class Dialect(ABC):
    """One kind of database.

    Attributes:
        name: SQLAlchemy's name.
        is_file: True if a database is a file of this host, or in memory. It then has no clock
            of its own, and its free space can be given back.
        follows_bounds: True if redundant conditions keep the planner from reading too much.
        bytes_of: Expression for a column's bytes, whatever value is stored in it.
        row_bytes: The sizes of its rows.
        clock_us: The server's time in microseconds since the epoch, as a part of any SELECT. Null
            if the database is a file on the host of the caller.
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
        """Create an engine that opens nothing yet; its transactions obey `WRITES`.

        Args:
            url: A URL whose driver is installed.
            file: The result of `file_of`.

        Raises:
            StorageError: The driver cannot use an option of the URL.
        """

    @abstractmethod
    def exclusive(
        self, write: Callable[[], AbstractContextManager[Connection]]
    ) -> AbstractContextManager[Connection]:
        """A write transaction that only one process at a time can be in.

        Args:
            write: Begins a writing transaction.

        Raises:
            StorageError: Another process is in it for too long.
        """

    @abstractmethod
    def insert_ignore(self, table: sa.Table) -> Any:
        """An INSERT that skips rows whose primary key exists."""

    @abstractmethod
    def updater(self, update: RowUpdate) -> Updater:
        """The fastest way to update many rows, each with its own values."""

    @abstractmethod
    def size_bytes(self, connection: Connection) -> int | None:
        """The size of a file, or of the lens's tables on a server; None if unknown."""

    def is_deadlock(self, _error: BaseException, /) -> bool:
        """True if the database rolled this transaction back to end a deadlock."""
        return False

    def is_refusal(self, _error: BaseException, /) -> bool:
        """True if it refuses values by an error that DB-API counts as another kind."""
        return False

    def damage(self, _connection: Connection, /) -> str | None:
        """The damage of the file, in the database's words; None if it is sound."""
        return None

    def widen(self, connection: Connection, column: sa.Column[str]) -> None:  # noqa: B027  Not everywhere.
        """Lengthen a text column to the length in its table's definition, if lengths matter."""

    def allow_long_keys(self, connection: Connection, table: sa.Table) -> None:  # noqa: B027  Not everywhere.
        """Give an older table a row format that allows keys of more than 767 bytes."""


@contextmanager
def driver_errors() -> Generator[None]:
    """Translate errors of a driver that connects and that are not database errors.

    Raises:
        UnavailableError: The driver does not know an option, or a package is missing.
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
            f"the driver cannot connect with the database's URL ({type(error).__name__}: {error})"
        ) from error


def connect(dialect: sa.Dialect, _record: Any, arguments: Any, options: Any) -> Any:
    """Open a connection of the driver: a listener of ``do_connect``."""
    with driver_errors():
        return dialect.connect(*arguments, **options)


def refused(context: ExceptionContext) -> RefusedError | None:
    """The error for a value that the driver cannot encode: a listener of ``handle_error``."""
    error = context.original_exception
    return RefusedError(str(error)) if isinstance(error, (UnicodeError, OverflowError)) else None


def connect_anew(context: ExceptionContext) -> RefusedError | None:
    """Discard a connection after an error, so that the next use opens a new one.

    A listener of ``handle_error``. The connection may have outlived its database, or remember that
    a file could not be written. Errors caused by a value are excluded, see `refused`; so is
    SQLAlchemy's check for a table on MariaDB, which raises an error if the table does not exist.
    """
    error = refused(context)
    if error is not None or isinstance(context.sqlalchemy_exception, REFUSED):
        return error
    running: Any = context.execution_context
    options: Any = getattr(running, "execution_options", {})
    context.is_disconnect |= not options.get("skip_user_error_events", False)
    return None


def beside(url: URL, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a connection that the URL does not set itself."""
    return {name: value for name, value in arguments.items() if name not in url.query}
