"""A file of the other package that is called fastapi-lens, at the place of ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.errors import StorageError
from fastapi_lens.runtime.lens import Lens
from tests.cli.helpers import run

NAMED = "another package, fastapi-lens of PyPI"


def add_their_table(path: Path) -> None:
    """Record as that package does; its process has ended then."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE lens_requests (id INTEGER PRIMARY KEY, timestamp REAL)")
        connection.execute("INSERT INTO lens_requests VALUES (1, 2.0)")
        connection.commit()


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs" / "lens.db"
    path.parent.mkdir()
    add_their_table(path)
    return path


@pytest.fixture
def both(theirs: Path) -> Path:
    """A file that both packages have used."""
    path = theirs.with_name("both.db")
    lens = Lens(LensConfig(db_path=str(path), app_name="app"))
    assert lens.flusher.flush()
    lens.stop()
    add_their_table(path)
    return path


@contextmanager
def untouched(path: Path) -> Iterator[None]:
    """Check that a file and its folder stay as they are."""
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode
    files = sorted(path.parent.iterdir())
    yield
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) == before
    assert sorted(path.parent.iterdir()) == files


def test_nothing_is_written_into_their_file_and_the_log_says_so(
    theirs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with untouched(theirs):
        lens = Lens(LensConfig(db_path=str(theirs), app_name="app"))
        lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
        assert not lens.flusher.flush()
        lens.stop()
    assert f"{theirs} belongs to {NAMED}" in caplog.text
    assert "import --from-lens-0.3" in caplog.text


def test_the_application_answers_and_the_admin_says_why_nothing_is_recorded(theirs: Path) -> None:
    app = FastAPI()
    LensMiddleware.setup(app, LensConfig(db_path=str(theirs), app_name="app"))

    @app.get("/items")
    def items() -> int:
        return 1

    with untouched(theirs), TestClient(app) as client:
        assert client.get("/items").json() == 1
        page, report = client.get("/lens/"), client.get("/lens/report")
        assert page.status_code == report.status_code == 503
        assert f"The lens is not recording: {theirs} belongs to" in page.text
        assert NAMED in report.json()["detail"]


def test_recording_begins_when_the_file_is_gone(theirs: Path) -> None:
    lens = Lens(LensConfig(db_path=str(theirs), app_name="app"))
    lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
    assert not lens.flusher.flush()
    theirs.rename(theirs.with_name("kept.db"))
    assert lens.flusher.flush()
    assert lens.flusher.refused is None
    lens.stop()
    assert "/x" in run("report", "--database", theirs, "--format", "csv").stdout


@pytest.mark.parametrize(
    "command", [("doctor",), ("report",), ("export", "x"), ("purge", "--everything")]
)
def test_no_command_writes_into_their_file(theirs: Path, command: tuple[str, ...]) -> None:
    with untouched(theirs):
        done = run(*command, "--database", theirs)
    assert done.exit_code == 3
    assert NAMED in done.output


def test_nothing_is_imported_into_their_file(theirs: Path, both: Path, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    assert run("export", file, "--database", both).exit_code == 0
    with untouched(theirs):
        done = run("import", file, "--database", theirs)
        taken = run("import", "--from-lens-0.3", theirs, "--database", theirs)
    assert done.exit_code == taken.exit_code == 3
    assert NAMED in done.stderr


def test_a_link_to_their_file_is_their_file(theirs: Path, tmp_path: Path) -> None:
    link = tmp_path / "lens.db"
    link.symlink_to(theirs)
    with untouched(theirs):
        lens = Lens(LensConfig(db_path=str(link), app_name="app"))
        assert not lens.flusher.flush()
        lens.stop()


def test_a_file_of_both_is_used_and_the_log_names_their_table_once(
    both: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = Lens(LensConfig(db_path=str(both), app_name="app"))
    assert lens.flusher.flush()
    # After an error the worker registers anew, because the database may be another one.
    with monkeypatch.context() as patched:
        patched.setattr(lens.database, "write", Mock(side_effect=StorageError("disk is full")))
        lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
        assert not lens.flusher.flush()
    assert lens.flusher.flush()
    lens.stop()
    assert caplog.text.count(NAMED) == 1
    with closing(sqlite3.connect(both)) as connection:
        assert connection.execute("SELECT count(*) FROM lens_requests").fetchone() == (1,)


def test_doctor_names_their_table_beside_ours(both: Path) -> None:
    assert NAMED in run("doctor", "--database", both).stdout


def test_a_file_with_their_table_is_never_moved_away(both: Path) -> None:
    lens = Lens(LensConfig(db_path=str(both), app_name="app"))
    assert lens.flusher.flush()
    both.write_bytes(b"no database" * 100)
    lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
    assert not lens.flusher.flush()
    lens.stop()
    assert [path.name for path in both.parent.glob("*damaged*")] == []
