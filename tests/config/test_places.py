"""Where the counts go: found when the settings are made, and never in the way of a start."""

import logging
import os
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.config.places import TEST_SUITE
from fastapi_lens.errors import ConfigError
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.engine.database import Database

KEY = {"X-Lens-Key": "a-key"}
MEMORY = (
    "sqlite://",
    "sqlite:///:memory:",
    "sqlite:///file::memory:?cache=shared&uri=true",
    "sqlite:///file:lens?mode=memory&cache=shared&uri=true",
)


def an_app(**settings: object) -> FastAPI:
    app = FastAPI(title="Orders")
    config = LensConfig(report_key="a-key", **settings)  # type: ignore[arg-type]
    LensMiddleware.setup(app, config)
    app.get("/a")(lambda: 1)
    return app


def reported(client: TestClient) -> int:
    total: int = client.get("/lens/report", headers=KEY).json()["summary"]["total_requests"]
    return total


@pytest.mark.parametrize("url", MEMORY)
def test_a_database_in_memory_outlives_each_lifespan(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, counts = an_app(database_url=url), list[int]()
    for _ in range(3):
        with TestClient(app) as client:
            client.get("/a")
        with TestClient(app) as client:
            counts.append(reported(client))
    assert counts == [1, 2, 3]
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_nested_clients_of_one_application_lose_nothing() -> None:
    app = an_app(db_path=":memory:")
    with TestClient(app) as outer:
        outer.get("/a")
        with TestClient(app) as inner:
            inner.get("/a")
        outer.get("/a")
    with TestClient(app) as client:
        assert reported(client) == 3


def test_two_applications_in_memory_are_two_databases() -> None:
    apps = [an_app(db_path=":memory:") for _ in range(2)]
    for app in apps:
        with TestClient(app) as client:
            client.get("/a")
        with TestClient(app) as client:
            assert reported(client) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"db_path": "lens.db"},
        {"db_path": "./lens.db"},
        {"database_url": "sqlite:///lens.db"},
        {"database_url": "sqlite:///file:lens.db?uri=true"},
        {},
    ],
)
def test_a_relative_file_is_where_the_settings_were_made(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    config = LensConfig(app_name="app", **settings)  # type: ignore[arg-type]
    monkeypatch.chdir("/")
    lens = Lens(config)
    lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
    assert lens.flusher.flush()
    lens.stop()
    found = {path.relative_to(tmp_path) for path in tmp_path.rglob("lens.db")}
    assert found == {Path("a b/lens.db")}


@pytest.mark.parametrize("begin", ["file:", "file://", "file://localhost"])
def test_an_absolute_uri_stays_as_it_is(begin: str, tmp_path: Path) -> None:
    name = f"{begin}{tmp_path}/x.db"
    config = LensConfig(database_url=f"sqlite:///{name}?nolock=1&uri=true")
    assert config.url.database == name
    assert Database(config.url).in_memory is False


def test_an_absolute_uri_in_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a directory"):
        LensConfig(database_url=f"sqlite:///file:{tmp_path}/missing/x.db?uri=true")


def test_a_file_named_by_no_uri_is_absolute() -> None:
    assert LensConfig(database_url="sqlite:///x.db").url.database == str(Path("x.db").absolute())


def test_relative_folders_of_templates_are_where_the_settings_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pages").mkdir()
    monkeypatch.chdir(tmp_path)
    config = LensConfig(template_dirs=("pages",))
    monkeypatch.chdir("/")
    assert config.template_folders == (str(tmp_path / "pages"),)
    assert "template_dirs=('pages',)" in repr(config)


def test_a_test_suite_that_sets_nothing_gets_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TEST_SUITE, "9.0")
    caplog.set_level(logging.INFO, "fastapi_lens")
    app = an_app()
    for _ in range(2):
        with TestClient(app) as client:
            client.get("/a")
    assert list(tmp_path.iterdir()) == []
    assert caplog.text.count(f"{TEST_SUITE} is set") == 1
    assert LensConfig(db_path="mine.db").url.database == str(tmp_path / "mine.db")
    monkeypatch.setenv("LENS_DB_PATH", "named.db")
    assert LensConfig().url.database == str(tmp_path / "named.db")


def test_an_application_that_sets_nothing_starts_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    app = an_app()
    with TestClient(app) as client:
        client.get("/a")
    with TestClient(app) as client:
        assert reported(client) == 1
    assert caplog.text.count("set LENS_DB_PATH or LENS_DATABASE_URL") == 1
    with pytest.raises(ConfigError, match="may not"):
        LensConfig(db_path="lens.db")


def test_a_working_directory_that_is_gone_is_named_or_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert LensConfig().url.database == ":memory:"
    with pytest.raises(ConfigError, match="working directory is gone"):
        LensConfig(db_path="lens.db")


@pytest.mark.parametrize(
    ("title", "settings", "warned"),
    [
        ("FastAPI", {}, True),
        ("FastAPI", {"app_name": "orders"}, False),
        ("Orders", {}, False),
        ("FastAPI", {"db_path": ":memory:"}, False),
    ],
)
def test_a_name_that_is_only_the_default_title_is_warned_about(
    title: str,
    settings: dict[str, str],
    warned: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    lens = Lens(LensConfig(**settings))  # type: ignore[arg-type]
    for _ in range(2):
        lens.begin(FastAPI(title=title), lifespan=True)
        lens.stop()
    assert caplog.text.count("app_name") == (1 if warned else 0)
