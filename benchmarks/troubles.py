"""Ways to trouble a database while others use it. Each begins, lasts as long as its block, ends."""

import resource
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """Database and server to trouble.

    Attributes:
        file: The SQLite file.
        process_id: Of the server that has it open.
    """

    file: Path
    process_id: int


@contextmanager
def locked(target: Target) -> Iterator[None]:
    """Another process holds the lock."""
    with closing(sqlite3.connect(target.file, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def full(target: Target) -> Iterator[None]:
    """No file of the server may grow past its first page, as on a disk that is full."""
    before = resource.prlimit(target.process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(target.process_id, resource.RLIMIT_FSIZE, (4_096, before[1]))
    yield
    resource.prlimit(target.process_id, resource.RLIMIT_FSIZE, before)


@contextmanager
def deleted(target: Target) -> Iterator[None]:
    """Somebody removes the file."""
    target.file.unlink()
    yield


@contextmanager
def garbage(target: Target) -> Iterator[None]:
    """Somebody overwrites the file."""
    target.file.write_bytes(b"this is no database" * 1_000)
    yield


@contextmanager
def replaced(target: Target) -> Iterator[None]:
    """Somebody moves another file there."""
    other = target.file.with_name("other")
    other.write_bytes(b"this is no database" * 1_000)
    other.replace(target.file)
    yield


@contextmanager
def dropped(target: Target) -> Iterator[None]:
    """Somebody drops all tables."""
    with closing(sqlite3.connect(target.file, timeout=30)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            connection.execute(f'DROP TABLE "{name}"')
        connection.commit()
    yield


Trouble = Callable[[Target], AbstractContextManager[None]]

LASTING: Mapping[str, Trouble] = {"locked": locked, "disk full": full}
"""Those that end: nothing may be lost."""

SUDDEN: Mapping[str, Trouble] = {
    "file deleted": deleted,
    "file overwritten": garbage,
    "file replaced by garbage": replaced,
    "tables dropped": dropped,
}
"""Those that take along what had been written; nothing that came later may be lost."""
