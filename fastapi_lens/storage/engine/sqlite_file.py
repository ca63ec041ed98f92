"""The file of a SQLite database, and checks that it is still the opened one. Knows no tables.

SQLite does not check: it continues to write to a file that was deleted or replaced, or over one
that was filled with something else, and reports success. Only SQLite itself may open a file here:
closing a plain descriptor releases the POSIX locks of every connection of this process to the
file, even those of the host.
"""

import contextlib
import errno
import itertools
import logging
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fastapi_lens.errors import DamagedFileError, ForeignFileError, StorageError

if sys.platform != "win32":  # pragma: no branch
    import fcntl

logger = logging.getLogger("fastapi_lens")

SIDECARS = ("-wal", "-shm")
REFUSALS = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
REMEDY = "; its folder must exist, and both must be writable: correct that, or set another db_path"
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
NAMESAKE_TABLE = "lens_requests"
"""Table of the other package named fastapi-lens; this package has a table ``lens_request``."""

_LENS_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'lens\\_%' ESCAPE '\\'"
)
FOREIGN_TABLES = (
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' "
    "AND (name NOT LIKE 'lens\\_%' ESCAPE '\\' OR name = 'lens_requests') "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
TURN_SECONDS = 5.0
PRIVATE = 0o600
"""Permissions of a new file: only its owner may read the recorded calls. SQLite gives its log the
permissions of the database."""

Identity = tuple[int, int]
"""Device and inode; an inode in use is not given to another file."""


@contextlib.contextmanager
def _refusals() -> Generator[None]:
    """Translate errors of the operating system."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{type(error).__name__}: {error}{REMEDY}") from error


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The files that one connection has open.

    Attributes:
        file: The database.
        sidecars: Its log and the index of the log, by their suffixes.
    """

    file: Identity
    sidecars: dict[str, Identity | None]


class DatabaseFile:
    """One path, whose file may be replaced at any time; safe to use from threads.

    Attributes:
        ours: True if this process has written here, and the file has no tables of others.
    """

    def __init__(self, path: Path) -> None:
        """Take an absolute path; it is not accessed yet."""
        self.path = path
        self.ours = False
        self._sound: tuple[Identity, int, int] | None = None
        self._not_namesakes: Identity | None = None

    @_refusals()
    def make_ready(self) -> Identity:
        """Create the file if it does not exist; must be called before every connection.

        Files that a deleted database has left beside it would damage the new one, so one process
        at a time deletes them.

        Returns:
            The identity of the file that the connection will open.

        Raises:
            ForeignFileError: It is that of the other package named fastapi-lens.
            StorageError: It cannot be created.
        """
        found = _identity(self.path)
        if found is None:
            with self._alone() as path:
                found = _identity(path)
                if found is None:
                    for suffix in SIDECARS:
                        _beside(path, suffix).unlink(missing_ok=True)
                    make_private(path)
                    found = _identity(path)
        elif found != self._not_namesakes and _is_namesakes(self.path):
            raise ForeignFileError(str(self.path))
        self._not_namesakes = found
        # Removed again at once. No file is this one, so the connection is replaced before its use.
        return found or (0, 0)

    def held(self, file: Identity) -> OpenFile:
        """The files that a connection has open after its first read."""
        path = self.path.resolve()
        sidecars = {suffix: _identity(_beside(path, suffix)) for suffix in SIDECARS}
        # The file may have been replaced before it was opened: the new one's log must stay.
        return OpenFile(file, sidecars if _identity(path) == file else {})

    @_refusals()
    def is_current(self, held: OpenFile) -> bool:
        """True if a connection has the file open that is now at the path.

        If false, the connection must be closed; sidecar files of the old file are deleted.

        Raises:
            DamagedFileError: It is the same file, but no database any more.
            StorageError: It cannot be accessed.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        if (found.st_dev, found.st_ino) != held.file:
            self._clear_away(held)
            return False
        state = (held.file, found.st_size, found.st_mtime_ns)
        if state != self._sound:
            # The file was written: by a checkpoint of the log, or by another program.
            if not found.st_size:
                self._remove_empty(held)
                return False
            _look(self.path)
            self._sound = state
        return True

    @_refusals()
    def set_aside(self) -> bool:
        """Rename a file that is no database; its new name is logged.

        Returns:
            True if it was moved; false if another process was faster, or if it is sound after all.

        Raises:
            StorageError: It cannot be moved.
        """
        with self._alone() as path:
            if not _is_damaged(path):
                return False
            aside = _unused(path)
            # The database file first: after that, no connection to it writes or deletes its log.
            path.rename(aside)
            for suffix in SIDECARS:
                with contextlib.suppress(FileNotFoundError):
                    _beside(path, suffix).rename(_beside(aside, suffix))
            # The new database is accessible to the same users as the old one.
            make_private(path, stat.S_IMODE(aside.stat().st_mode))
        logger.error(
            "fastapi_lens found %s damaged, moved it to %s and begins a new one; the old "
            'contents may be recovered with: sqlite3 "%s" .recover',
            path,
            aside.name,
            aside,
        )
        return True

    def _clear_away(self, held: OpenFile) -> None:
        """Delete the log of a file that is gone, so that no other file is read with it."""
        with self._alone() as path:
            for suffix, identity in held.sidecars.items():
                if identity is not None and _identity(_beside(path, suffix)) == identity:
                    _beside(path, suffix).unlink(missing_ok=True)

    def _remove_empty(self, held: OpenFile) -> None:
        """Delete a file that was emptied: other processes may still write old pages into it."""
        with self._alone() as path:
            if _identity(path) == held.file and not path.stat().st_size:
                path.unlink()

    @contextlib.contextmanager
    def _alone(self) -> Generator[Path]:
        """Lock out other processes that replace the file at the path; yields its resolved path."""
        path = self.path.resolve()
        if sys.platform == "win32":  # pragma: no cover  An open file cannot be moved there.
            yield path
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            _lock_file(folder)
            yield path
        finally:
            # Closing is not enough: a child forked meanwhile has the descriptor open, too.
            _end_turn(folder)
            os.close(folder)


def make_private(path: Path, mode: int = PRIVATE) -> None:
    """Create a file; fail if anything exists at the path, even a dangling link.

    Args:
        path: The file.
        mode: Its permissions.

    Raises:
        OSError: Something exists at the path, or the file cannot be created.
    """
    # Windows has no O_NOFOLLOW. By POSIX, O_EXCL alone follows no link either.
    exclusive = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, exclusive, PRIVATE)
    try:
        if mode != PRIVATE:
            # Ignores the umask: this mode was chosen deliberately.
            os.chmod(descriptor if os.chmod in os.supports_fd else path, mode)  # noqa: PTH101  By descriptor.
    finally:
        os.close(descriptor)


def primary_code(error: BaseException | None) -> int:
    """SQLite's primary error code, without the extended part; 0 if there is none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF if isinstance(code, int) else 0


@contextlib.contextmanager
def read_only(path: Path) -> Generator[sqlite3.Connection]:
    """A connection that changes nothing, neither in the file nor beside it.

    Raises:
        sqlite3.Error: The file cannot be read.
    """
    # Without a log there is nothing to read but the file itself, and SQLite would create a log.
    has_log = _beside(path.resolve(), "-wal").exists()
    options = "mode=ro" if has_log else "mode=ro&immutable=1"
    with contextlib.closing(_opened(path, options)) as connection:
        yield connection


def _is_namesakes(path: Path) -> bool:
    """True for a file of the other package named fastapi-lens in which we never recorded."""
    try:
        with read_only(path) as connection:
            names = {name for (name,) in connection.execute(_LENS_TABLES)}
    except sqlite3.Error:
        return False  # The connection that is about to be opened names the damage.
    return names == {NAMESAKE_TABLE}


def _lock_file(folder: int) -> None:
    """Lock a folder; waits for another process for a limited time."""
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            # Not a blocking lock, which has no time limit.
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise StorageError("another process keeps the folder locked") from error
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOLCK, errno.EINVAL, errno.ENOTSUP):
                raise
            return  # A network file system, on which SQLite's log works for one host only.
        else:
            return


def _look(path: Path) -> None:
    """Read the header of the file itself, without its log and without locks.

    Raises:
        DamagedFileError: It has no header of a database.
    """
    try:
        with contextlib.closing(_opened(path, "mode=ro&immutable=1")) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        # Another error may come from a write at the same time.
        if primary_code(error) == sqlite3.SQLITE_NOTADB:
            raise DamagedFileError(str(path), str(error)) from error


def _end_turn(folder: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(folder, fcntl.LOCK_UN)


def _is_damaged(path: Path) -> bool:
    try:
        _look(path)
        # Not read-only, because SQLite may have to recover the log first.
        with contextlib.closing(_opened(path, "mode=rw")) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except DamagedFileError:
        return True
    except sqlite3.Error as error:
        return primary_code(error) in DAMAGE
    return bool(found != "ok")


def _opened(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, timeout=TURN_SECONDS)


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _unused(path: Path) -> Path:
    name = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in map(path.with_name, names) if not each.exists())
