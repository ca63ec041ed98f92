"""A database that cannot work is told at the start of the app, with the setting and the fix."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.errors import ConfigError
from tests.recording.probe import Probe, calls_in
from tests.support.users import unprivileged


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that nobody may enter; `tmp_path` is not."""
    made = Path(tempfile.mkdtemp(prefix="lens-start-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def error_at_start() -> ConfigError:
    """Error of the app when its server starts it with these environment variables."""
    app = FastAPI()
    app.add_middleware(LensMiddleware)
    with pytest.raises(ConfigError) as caught, TestClient(app):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("setting", "scheme"), [("db_path", ""), ("database_url", "sqlite:///")], ids=str
)
@pytest.mark.parametrize(
    ("name", "mode", "problem"),
    [
        ("lens.db", 0o555, "needs to write to '{folder}' and may not; let this process's user"),
        ("kept.db", 0o777, "needs to write to '{folder}/kept.db' and may not; let this process's"),
        ("in/it/lens.db", 0o000, "which cannot be entered; let this process's user write there"),
        ("missing/lens.db", 0o755, "'{folder}/missing', which is not a directory; create it"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_with_its_setting(  # noqa: PLR0917
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    scheme: str,
    name: str,
    mode: int,
    problem: str,
) -> None:
    (folder / "kept.db").touch(0o444)
    folder.chmod(mode)
    monkeypatch.setenv(f"LENS_{setting.upper()}", f"{scheme}{folder / name}")
    with unprivileged():
        error = error_at_start()
    assert error.field == setting
    assert problem.format(folder=folder) in str(error)


def test_templates_in_a_directory_that_cannot_be_entered_are_told(folder: Path) -> None:
    (folder / "pages").mkdir()
    folder.chmod(0o000)
    with unprivileged(), pytest.raises(ConfigError) as caught:
        LensConfig(template_dirs=(str(folder / "pages"),))
    assert caught.value.field == "template_dirs"
    assert f"'{folder}/pages', which cannot be entered; let this" in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300, "circle", "circle/lens.db", "null\0byte/lens.db"])
def test_a_place_that_no_file_can_have_is_told_or_waited_for(folder: Path, name: str) -> None:
    (folder / "circle").symlink_to(folder / "circle")
    directory = str((folder / name).parent)
    if directory == str(folder):
        LensConfig(db_path=str(folder / name))
    else:
        with pytest.raises(ConfigError, match="which is not a directory; create it"):
            LensConfig(db_path=str(folder / name))


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"),
    [
        ("postgres", "psycopg", "postgresql"),
        ("postgresql", "psycopg", "postgresql"),
        ("postgresql+psycopg", "psycopg", "postgresql"),
        ("mysql", "pymysql", "mysql"),
        ("mysql+pymysql", "pymysql", "mysql"),
        ("mariadb", "pymysql", "mysql"),
        ("mariadb+pymysql", "pymysql", "mysql"),
    ],
)
def test_a_missing_driver_is_told_with_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch, scheme: str, driver: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    monkeypatch.setenv("LENS_DATABASE_URL", f"{scheme}://lens:hunter2@db.example/lens")
    error = error_at_start()
    assert error.field == "database_url"
    assert f"pip install 'fastapi-lens-admin[{extra}]'" in str(error)
    assert "hunter2" not in str(error)


def test_a_missing_driver_is_told_where_the_settings_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match="needs a driver"):
        LensConfig(database_url="postgresql://lens:hunter2@db.example/lens")


def test_a_file_that_cannot_be_written_any_more_is_waited_for(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    file = folder / "lens.db"
    probe = Probe(app, db_path=str(file))

    @app.get("/orders")
    def orders() -> str:
        return "three"

    with probe.client:
        probe.get("/orders")
        assert probe.lens.flusher.flush()
        file.chmod(0o444)
        folder.chmod(0o555)
        with unprivileged():
            # Not before: the worker would open it again with rights that outlast the change.
            probe.lens.database.close()
            probe.get("/orders")
            assert not probe.lens.flusher.flush()
        assert f"{file}; its folder must exist, and both must be writable" in caplog.text
        folder.chmod(0o755)
        file.chmod(0o644)
        assert probe.lens.flusher.flush()
        assert calls_in(probe.lens) == {"/orders": 2}
