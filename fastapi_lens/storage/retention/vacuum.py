"""Giving the free space of a SQLite file back, without a VACUUM that would stop everybody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.chunks import AdaptiveBatchSize, Chunk

SPARE_PAGES = 256
"""Free pages that stay for what is written next; giving back a megabyte is not worth the work."""

LONG_LOG_BYTES = 8_000_000
"""SQLite keeps its log at half of that while nobody reads for long."""

_INCREMENTAL = 2


def space_chunks(database: Database, batch_size: AdaptiveBatchSize) -> Iterator[Chunk]:
    """Make the file smaller by what is free in it; yields each chunk when it is deleted.

    Nothing happens on a server, which uses its free space for what comes, or in a file whose
    maker did not provide for it, see `keeps_its_size`.

    Args:
        database: Whose space.
        batch_size: Of the pages.

    Raises:
        StorageError: The database cannot be written.
    """
    if not database.dialect.is_file:
        return
    while (free := _free_pages(database)) > SPARE_PAGES:
        pages = min(free - SPARE_PAGES, batch_size.size)
        with database.write() as connection:
            begun = batch_size.timer()
            driver = _driver_of(connection)
            # One at a time: sqlite3 never asks for more than the first page of a larger number.
            for _ in range(pages):
                driver.execute("PRAGMA incremental_vacuum(1)")
        seconds = batch_size.timer() - begun
        batch_size.note(pages, seconds)
        yield Chunk(0, seconds)
    shorten_log(database)


def keeps_its_size(database: Database) -> bool:
    """Whether this is a file with free space that cannot be given back but by a VACUUM.

    Another program made it, without ``PRAGMA auto_vacuum=INCREMENTAL``.

    Raises:
        StorageError: The database cannot be read.
    """
    if not database.dialect.is_file:
        return False
    with database.read() as connection:
        mode, free = _pragma(connection, "auto_vacuum"), _pragma(connection, "freelist_count")
    return mode == 0 and free > SPARE_PAGES


def shorten_log(database: Database) -> None:
    """Cut a long log of SQLite's to nothing, where nobody is reading from it right now.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.read() as connection:
        driver = _driver_of(connection)
        (_, _, name) = driver.execute("PRAGMA database_list").fetchone()
        if _log_bytes(name) <= LONG_LOG_BYTES:
            return
        connection.rollback()  # The log is carried over between transactions only.
        # First as much as goes without a lock, so that the second has next to nothing to do.
        driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        (patience_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout=0")
        try:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            driver.execute(f"PRAGMA busy_timeout={patience_ms}")


def _log_bytes(name: str) -> int:
    """The size of a database's log; 0 where there is none, as in memory."""
    log = Path(f"{name}-wal")
    return log.stat().st_size if name and log.exists() else 0


def _free_pages(database: Database) -> int:
    """How many pages could be given back."""
    with database.read() as connection:
        if _pragma(connection, "auto_vacuum") != _INCREMENTAL:
            return 0
        return _pragma(connection, "freelist_count")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _driver_of(connection: Connection) -> Any:
    # Past SQLAlchemy, which takes longer than the work itself.
    return connection.connection.driver_connection
