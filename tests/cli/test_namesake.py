"""A file of the other package that is called fastapi-lens, at the place of ours."""

import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from fastapi_lens import LensConfig
from fastapi_lens.errors import StorageError
from fastapi_lens.runtime.lens import Lens
from tests.cli.helpers import run


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "lens.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE lens_requests (id INTEGER PRIMARY KEY, timestamp REAL)")
        connection.execute("INSERT INTO lens_requests VALUES (1, 2.0)")
        connection.commit()
    return path


def test_the_log_names_it_once_and_its_rows_stay(
    theirs: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = Lens(LensConfig(db_path=str(theirs), app_name="app"))
    assert lens.flusher.flush()
    # After an error the worker registers anew, because the database may be another one.
    with monkeypatch.context() as patched:
        patched.setattr(lens.database, "write", Mock(side_effect=StorageError("disk is full")))
        lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
        assert not lens.flusher.flush()
    assert lens.flusher.flush()
    lens.stop()
    assert caplog.text.count("another package, fastapi-lens of PyPI") == 1
    with closing(sqlite3.connect(theirs)) as connection:
        assert connection.execute("SELECT count(*) FROM lens_requests").fetchone() == (1,)


def test_doctor_names_it_beside_our_tables_and_without_them(theirs: Path) -> None:
    without = run("doctor", "--database", theirs)
    assert without.exit_code != 0
    assert "fastapi-lens of PyPI" in without.output
    lens = Lens(LensConfig(db_path=str(theirs), app_name="app"))
    assert lens.flusher.flush()
    lens.stop()
    assert "fastapi-lens of PyPI" in run("doctor", "--database", theirs).stdout


def test_a_file_with_their_table_is_never_moved_away(theirs: Path) -> None:
    lens = Lens(LensConfig(db_path=str(theirs), app_name="app"))
    assert lens.flusher.flush()
    theirs.write_bytes(b"no database" * 100)
    lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
    assert not lens.flusher.flush()
    lens.stop()
    assert [path.name for path in theirs.parent.glob("*damaged*")] == []
