"""Release of a SQLite file's free space, without a VACUUM that would block every writer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.chunks import AdaptiveBatchSize, Chunk

SPARE_PAGES = 256
"""Free pages that stay for the next writes; giving back a megabyte is not worth the work."""

LONG_LOG_BYTES = 8_000_000
"""Size of a long log: twice the size that SQLite keeps it at, unless somebody reads for long."""

_INCREMENTAL = 2


def space_chunks(database: Database, batch_size: AdaptiveBatchSize) -> Iterator[Chunk]:
    """Shrink the file by its free pages; yields each chunk once released.

    Does nothing on a server, which reuses its free space, or for a file that was created without
    support for it, see `keeps_its_size`.

    Args:
        database: The database to shrink.
        batch_size: Sets the number of pages per chunk.

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
            # One page at a time, because sqlite3 steps such a statement only once.
            for _ in range(pages):
                driver.execute("PRAGMA incremental_vacuum(1)")
        seconds = batch_size.timer() - begun
        batch_size.note(pages, seconds)
        yield Chunk(0, seconds)
    shorten_log(database)


def keeps_its_size(database: Database) -> bool:
    """True for a file with free space that only a VACUUM can give back.

    Another program created it, without ``PRAGMA auto_vacuum=INCREMENTAL``.

    Raises:
        StorageError: The database cannot be read.
    """
    if not database.dialect.is_file:
        return False
    with database.read() as connection:
        mode, free = _pragma(connection, "auto_vacuum"), _pragma(connection, "freelist_count")
    return mode == 0 and free > SPARE_PAGES


def shorten_log(database: Database) -> None:
    """Truncate a long log of SQLite, unless somebody is reading from it.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.read() as connection:
        driver = _driver_of(connection)
        (_, _, name) = driver.execute("PRAGMA database_list").fetchone()
        if _log_bytes(name) <= LONG_LOG_BYTES:
            return
        connection.rollback()  # A checkpoint is possible between transactions only.
        # First without a lock, so that the second checkpoint has next to nothing to do.
        driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # No waiting for readers, during which the checkpoint would block all writers.
        (patience_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout=0")
        try:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            driver.execute(f"PRAGMA busy_timeout={patience_ms}")


def _log_bytes(name: str) -> int:
    """The size of a database's log; 0 if there is none, as in memory."""
    log = Path(f"{name}-wal")
    return log.stat().st_size if name and log.exists() else 0


def _free_pages(database: Database) -> int:
    """The number of pages that can be given back."""
    with database.read() as connection:
        if _pragma(connection, "auto_vacuum") != _INCREMENTAL:
            return 0
        return _pragma(connection, "freelist_count")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _driver_of(connection: Connection) -> Any:
    # Bypasses SQLAlchemy, which takes longer than the work itself.
    return connection.connection.driver_connection
