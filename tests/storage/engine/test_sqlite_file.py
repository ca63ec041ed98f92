"""Several processes and one file; what the operating system may refuse."""

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastapi_lens.errors import StorageError
from fastapi_lens.storage.engine import sqlite_file as files_module
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.sqlite_file import DatabaseFile
from tests.storage import processes

Together = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]

WORKERS = 6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lens.db"


@pytest.fixture
def taken(file: Path) -> Iterator[None]:
    """Somebody else keeps the folder locked."""
    folder = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    yield
    os.close(folder)


@pytest.mark.parametrize(
    ("harm", "moved"),
    [
        (processes.delete, 0),
        (processes.empty, 0),
        (processes.fill_with_garbage, 1),
        (processes.replace_with_garbage, 1),
    ],
)
def test_of_many_processes_one_moves_a_damaged_file_and_none_a_new_one(
    file: Path, together: Together, harm: Callable[[Path], None], moved: int
) -> None:
    url = f"sqlite:///{file}"
    arguments = [(url, f"w{number}", harm if number == 0 else None) for number in range(WORKERS)]
    together(processes.outlive, arguments)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = {name for (name,) in connection.execute("SELECT name FROM lens_lease")}
    after = {f"w{number} {turn}" for number in range(WORKERS) for turn in range(10)}
    assert rows - {f"w{number} before" for number in range(WORKERS)} == after
    asides = [each for each in file.parent.glob("lens.db.damaged-*") if "Z-" not in each.name]
    assert len(asides) == moved
    assert all(each.read_bytes() == b"garbage " * 1_000 for each in asides)


def test_the_log_of_a_file_that_came_while_an_older_one_was_opened_stays(file: Path) -> None:
    watched = DatabaseFile(file)
    older = watched.make_ready()
    file.rename(file.with_name("aside"))
    watched.make_ready()  # As another process does, before this one has opened the path.
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        log = file.with_name(f"{file.name}-wal").stat()
        assert not watched.is_current(watched.held(older))
        assert file.with_name(f"{file.name}-wal").stat().st_ino == log.st_ino


def test_a_sound_file_is_never_moved(file: Path) -> None:
    watched = DatabaseFile(file)
    assert not watched.set_aside()  # There is none, and none is made.
    assert list(file.parent.iterdir()) == []
    watched.make_ready()
    assert not watched.set_aside()  # Empty: another process is just making it.
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert not watched.set_aside()
    assert list(file.parent.iterdir()) == [file]


def test_a_file_with_wrong_contents_is_damaged_though_it_can_be_read(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.execute("INSERT INTO t VALUES ('x')")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE t (x TEXT NOT NULL, y)'")
        connection.execute("INSERT INTO t VALUES (NULL)")
        connection.commit()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]
    assert DatabaseFile(file).set_aside()
    assert file.stat().st_size == 0


@pytest.mark.usefixtures("taken")
def test_whoever_keeps_the_folder_locked_is_not_waited_for_for_ever(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "TURN_SECONDS", 0.03)
    database = Database(f"sqlite:///{file}")
    with pytest.raises(StorageError, match="keeps the folder locked"), database.read():
        pass
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_does_without(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_folder: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    DatabaseFile(file).make_ready()
    assert file.exists()


def test_a_lock_that_fails_is_a_storage_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: int, _operation: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(StorageError, match=r"OSError: .+broken"):
        DatabaseFile(file).make_ready()


def test_a_file_that_another_process_has_just_made_is_taken(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_meanwhile(_folder: int, _how: int) -> None:
        file.touch()

    monkeypatch.setattr(fcntl, "flock", make_meanwhile)
    found = file.parent.stat().st_dev
    assert DatabaseFile(file).make_ready() == (found, file.stat().st_ino)


def test_an_emptied_file_that_another_process_has_just_made_anew_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = DatabaseFile(file)
    held = watched.held(watched.make_ready())

    def fill_meanwhile(_folder: int, _how: int) -> None:
        file.write_bytes(b"new")

    monkeypatch.setattr(fcntl, "flock", fill_meanwhile)
    assert not watched.is_current(held)
    assert file.read_bytes() == b"new"


def test_a_file_behind_a_link_is_made_and_moved_where_it_lies(tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    link = tmp_path / "lens.db"
    link.symlink_to(elsewhere / "real.db")
    database = Database(f"sqlite:///{link}")
    for turn in range(2):
        with database.write() as connection:
            connection.exec_driver_sql(f"CREATE TABLE lens_{turn} (x)")
        (elsewhere / "real.db").write_bytes(b"garbage" * 1_000)
        with contextlib.suppress(StorageError), database.write():
            pass
    database.close()
    assert link.is_symlink()
    assert len([each for each in elsewhere.iterdir() if "damaged" in each.name]) >= 2


def test_a_uri_of_sqlite_is_left_to_sqlite(file: Path) -> None:
    url = f"sqlite:///file:{file}?uri=true"
    database = Database(url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE lens_t (x)")
    assert file.exists()
    database.close()
