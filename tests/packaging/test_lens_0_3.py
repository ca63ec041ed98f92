"""A file that the package fastapi-lens 0.3 of PyPI has written: found, left alone, taken over."""

import sqlite3
import subprocess
import sys
import venv
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware, Report
from tests.cli.helpers import run
from tests.packaging.lens_0_3_app import add_routes

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).with_name("lens_0_3_app.py")
THEIRS = "fastapi-lens==0.3.4"
LAZY = "fastapi==0.165.0"
"""A release whose routes of routers are not those of the application: paths become raw there."""

EAGER = "fastapi==0.136.*"


@pytest.fixture(scope="module", params=[LAZY, EAGER], ids=["lazy routers", "eager routers"])
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lens.db that the package itself has written, with its release of FastAPI."""
    folder = tmp_path_factory.mktemp("theirs")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq"]
    subprocess.run([*install, "--no-compile", THEIRS, request.param], check=True)
    place = folder / "data"
    place.mkdir()
    # -I: neither the folder of the script nor PYTHONPATH can bring the checkout in.
    subprocess.run([python, "-I", SCRIPT], cwd=place, check=True, capture_output=True)
    return place / "lens.db"


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A database of ours with the endpoints of the same application, started once."""
    path = tmp_path / "ours.db"
    app = FastAPI()
    add_routes(app)
    LensMiddleware.setup(app, LensConfig(db_path=path, app_name="shop"))
    with TestClient(app):
        pass
    return path


def test_their_schema_is_the_one_that_is_read(theirs: Path) -> None:
    with closing(sqlite3.connect(f"file:{theirs}?mode=ro&immutable=1", uri=True)) as connection:
        columns = connection.execute("PRAGMA table_info(lens_requests)").fetchall()
    assert [(name, kind) for _, name, kind, *_ in columns] == [
        ("id", "INTEGER"),
        ("path", "TEXT"),
        ("method", "TEXT"),
        ("status_code", "INTEGER"),
        ("duration_ms", "REAL"),
        ("timestamp", "REAL"),
        ("client_ip", "TEXT"),
    ]


def test_its_calls_are_taken_over_under_the_templates_of_the_application(
    theirs: Path, ours: Path
) -> None:
    before = theirs.read_bytes()
    done = run("import", "--from-lens-0.3", theirs, "--database", ours)

    assert done.exit_code == 0, done.output
    assert "Imported 6 calls of 3 endpoints into shop." in done.stderr
    assert "Left out: 1 calls of paths that match no endpoint of shop, for example GET /sub." in (
        done.stderr
    )
    shown = run("report", "--database", ours, "--format", "json").stdout
    report = Report.model_validate_json(shown)
    calls = {(one.method, one.path): one for one in report.endpoints}
    assert {key: one.total_calls for key, one in calls.items()} == {
        ("GET", "/orders/{order_id}"): 3,
        ("POST", "/orders"): 1,
        ("GET", "/v1/users/{user_id}"): 2,
        # That package stores no request whose handler raises, and only the path of a mount.
        ("GET", "/crash"): 0,
        ("GET", "/sub/things/{number}"): 0,
    }
    order = calls["GET", "/orders/{order_id}"]
    assert order.error_4xx_count == 1
    with closing(sqlite3.connect(f"file:{theirs}?mode=ro&immutable=1", uri=True)) as connection:
        (slowest,) = connection.execute(
            "SELECT max(duration_ms) FROM lens_requests WHERE path = '/orders/{order_id}'"
        ).fetchone()
    assert order.max_duration_ms == pytest.approx(slowest, abs=0.01)
    assert theirs.read_bytes() == before
    assert list(theirs.parent.iterdir()) == [theirs]


def test_an_application_with_ours_leaves_the_file_alone(theirs: Path) -> None:
    before = theirs.read_bytes()
    app = FastAPI()
    add_routes(app)
    LensMiddleware.setup(app, LensConfig(db_path=theirs))
    with TestClient(app) as client:
        assert client.get("/orders/1").json() == 1
        assert "belongs to another package" in client.get("/lens/").text
    assert theirs.read_bytes() == before
    assert list(theirs.parent.iterdir()) == [theirs]
