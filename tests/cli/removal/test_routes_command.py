"""`routes`, and the application that `check` imports."""

import importlib
import json
import os
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.removal.conftest import Branch
from tests.cli.removal.helpers import endpoint, evidence, write


def names(target: str) -> list[str]:
    """The endpoints that `routes` writes."""
    done = run("routes", target)
    assert done.exit_code == 0, done.stderr
    return [f"{each['method']} {each['path']}" for each in json.loads(done.stdout)["endpoints"]]


def module_of(here: Path, branch: Branch, source: str) -> str:
    """A module with nothing but some source."""
    module = branch().removesuffix(":app")
    (here / f"{module}.py").write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
    return module


def test_the_routes_are_those_that_are_recorded(branch: Branch) -> None:
    source = (
        "from fastapi_lens import LensConfig, LensMiddleware\n"
        "from starlette.responses import PlainTextResponse\n"
        "async def page(request): return PlainTextResponse('')\n"
        "inner = FastAPI()\n"
        "inner.get('/{item}')(lambda: None)\n"
        "app.mount('/inner/{tenant}', inner)\n"
        "app.websocket('/live')(lambda websocket: None)\n"
        "app.add_route('/page', page, methods=['GET', 'POST'])\n"
        "LensMiddleware.setup(app, LensConfig(db_path=':memory:', security_enabled=False))\n"
    )

    assert names(branch("GET /orders", source=source)) == [
        "GET /inner/{tenant}/{item}",
        "GET /orders",
        "GET /page",
        "POST /page",
        "WEBSOCKET /live",
    ]


def test_a_method_that_is_reported_only_after_a_call_is_one_of_the_branch(
    branch: Branch,
) -> None:
    source = (
        "from starlette.endpoints import HTTPEndpoint\n"
        "class View(HTTPEndpoint):\n"
        "    async def dispatch(self): ...\n"
        "    async def get(self, request): ...\n"
        "    async def poke(self, request): ...\n"
        "app.add_route('/view', View)\n"
    )
    assert names(branch(source=source)) == ["GET /orders", "GET /view", "POKE /view"]


def test_check_reads_the_routes_of_an_earlier_step(branch: Branch, here: Path) -> None:
    write(here / "evidence.json", evidence(endpoint()))
    written = run("routes", branch("GET /orders"), "-o", "routes.json")

    done = run("check", "--routes", "routes.json", "--evidence", "evidence.json")

    assert (written.exit_code, written.stdout, done.exit_code) == (0, "", 1)
    assert "failed   POST /v1/exports" in done.stdout


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        (None, 2, "--routes cannot be read"),
        ('{"fastapi_lens_routes": 1, "endpoints": []}', 2, "routes.json has no routes"),
        ('{"fastapi_lens_routes": 2, "endpoints": []}', 4, "routes.json is damaged"),
        ('{"fastapi_lens_routes": 1, "endpoints": [{"path": "/"}]}', 4, "routes.json is damaged"),
        ("{", 4, "routes.json is damaged"),
    ],
)
def test_routes_that_say_nothing_are_no_pass(
    here: Path, text: str | None, code: int, sentence: str
) -> None:
    write(here / "evidence.json", evidence())
    if text is not None:
        (here / "routes.json").write_text(text, encoding="utf-8")

    done = run("check", "--routes", "routes.json", "--evidence", "evidence.json")

    assert (done.exit_code, sentence in done.stderr) == (code, True)


@pytest.mark.parametrize("target", ["", "shop", "shop:", ":app", "shop:a b", "shop:app.", "a/b.py"])
def test_an_incomplete_target_is_wrong_usage(target: str) -> None:
    done = run("routes", target)

    assert done.exit_code == 2
    assert "write the application as MODULE:APP, for example shop.main:app" in done.stderr


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise SystemExit(0)", "SystemExit: 0 ({}.py:1)"),
        ("import os\nos._exit(0)", "SystemExit: 0 ({}.py:2)"),
        ("class Stop(BaseException): ...\nraise Stop('now')", "Stop: now ({}.py:2)"),
        ("class E(Exception):\n def __str__(self): raise KeyError\nraise E", "E ({}.py:3)"),
        ("\nraise KeyError('DATABASE_URL')", "KeyError: 'DATABASE_URL' ({}.py:2)"),
        ("import nothing_like_this", "No module named 'nothing_like_this' ({}.py:1)"),
        ("app = ", "SyntaxError: invalid syntax ({}.py, line 1)"),
        ("api = 1", "has no attribute 'app'"),
        ("raise ValueError('a\\n  b')", "ValueError: a b ("),
        ("raise ValueError('\\x1b[31m')", "ValueError: \\x1b[31m ("),
        (f"raise ValueError({'x' * 900!r})", f"ValueError: {'x' * 288} ("),
    ],
)
def test_an_application_that_cannot_be_imported_is_no_pass(
    branch: Branch, here: Path, source: str, problem: str
) -> None:
    write(here / "evidence.json", evidence())
    module = module_of(here, branch, source)

    done = run("check", f"{module}:app", "--evidence", "evidence.json")

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {module}:app cannot be imported: ")
    assert problem.format(module) in done.stderr
    assert "use --routes" in done.stderr


def test_an_interrupted_import_is_interrupted(branch: Branch, here: Path) -> None:
    write(here / "evidence.json", evidence())
    module = module_of(here, branch, "raise KeyboardInterrupt")

    assert run("check", f"{module}:app", "--evidence", "evidence.json").exit_code == 130


def test_a_process_that_the_import_starts_ends_as_it_wants(
    branch: Branch, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(os, "getpid", os.getpid)
    # As in a process of another number.
    source = "import os\nos.getpid = lambda: -1\nos._exit(7)\n"

    run("routes", f"{module_of(here, branch, source)}:app")

    assert ended == [7]
    assert os._exit == ended.append


@pytest.mark.parametrize("attribute", ["routes", "app"])
def test_an_application_whose_routes_cannot_be_read_is_no_pass(
    branch: Branch, here: Path, attribute: str
) -> None:
    write(here / "evidence.json", evidence())
    source = (
        f"class App:\n @property\n def {attribute}(self): raise ValueError('late')\napp = App()\n"
    )
    module = module_of(here, branch, source)

    done = run("check", f"{module}:app", "--evidence", "evidence.json")

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"the routes of {module}:app cannot be read: ValueError: late ({module}.py:3)" in (
        done.stderr
    )


def test_a_module_that_does_not_exist_is_no_pass(here: Path) -> None:
    done = run("routes", "nothing_like_this:app")

    assert done.exit_code == 2
    assert "ModuleNotFoundError: No module named 'nothing_like_this'. If" in done.stderr


@pytest.mark.parametrize("source", ["app = object()", "from fastapi import FastAPI as app"])
def test_an_object_without_routes_is_no_pass(branch: Branch, here: Path, source: str) -> None:
    done = run("routes", f"{module_of(here, branch, source)}:app")

    assert (done.exit_code, "has no routes: name the FastAPI" in done.stderr) == (2, True)


def test_the_application_may_be_made_by_a_function_and_wrapped(branch: Branch, here: Path) -> None:
    source = (
        "from fastapi import FastAPI\n"
        "class Wrapper:\n"
        "    def __init__(self, app): self.app = app\n"
        "def create_app():\n"
        "    app = FastAPI()\n"
        "    app.get('/orders')(lambda: None)\n"
        "    return Wrapper(app)\n"
        "class main: app = create_app()\n"
    )
    module = module_of(here, branch, source)

    assert names(f"{module}:create_app()") == ["GET /orders"]
    assert names(f"{module}:main.app") == ["GET /orders"]


def test_what_an_import_prints_is_no_part_of_the_report(branch: Branch) -> None:
    target = branch(source="import sys; sys.path.pop(0); print('connected')")

    done = run("routes", target)

    assert "connected" not in done.stdout
    assert done.stderr == "connected\n"
