"""Every Python snippet of README.md and docs/ runs, and passes mypy --strict and pyright."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from tests.recording.probe import lens_of

ROOT = Path(__file__).parents[2]
PYRIGHT = ROOT / "node_modules" / ".bin" / "pyright"
FRAMEWORKS = "docs/frameworks.md"
"""Its snippets need packages that are not installed here; tests/frameworks runs them."""

WITHOUT_OTHER_PACKAGES = """
[mypy]

[mypy-{snippets}]
disable_error_code = call-arg
disallow_subclassing_any = False
disallow_untyped_decorators = False

[mypy-cadwyn,fastapi_users.*,gradio,mangum,mcp.*,opentelemetry.*]
ignore_missing_imports = True

[mypy-prometheus_fastapi_instrumentator,sentry_sdk,slowapi.*,socketio,sqladmin.*]
ignore_missing_imports = True
"""
"""Configuration of mypy for the snippets that need these packages, whose types are not here."""

SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

CONTEXT = {
    "docs/access.md": "from fastapi_lens import KeyConfig, LensConfig\n",
    "docs/callers.md": """
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.types import Scope

from fastapi_lens import LensConfig, LensMiddleware


@dataclass
class User:
    email: str
    is_superuser: bool


def current_user(request: Request) -> User:
    email = request.headers["X-User"]
    return User(email, is_superuser=email.startswith("root@"))


""",
    "docs/databases.md": """
from alembic import context
from sqlalchemy import MetaData, create_engine

import fastapi_lens

engine = create_engine("sqlite://")
connection = engine.connect()
target_metadata = MetaData()
""",
    "docs/deployment.md": """
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_lens import LensConfig, LensMiddleware

app = FastAPI()
config = LensConfig()
""",
    "docs/templates.md": "from fastapi_lens import LensConfig\n",
    "docs/testing.md": "from fastapi_lens import LensConfig\n",
}
"""Code that the fragments of a document assume."""


@dataclass(frozen=True)
class Snippet:
    """A block of Python in a document."""

    document: str
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{re.sub(r'[^a-z]', '_', self.document.lower())}_{self.line}"

    @property
    def program(self) -> str:
        """The block, after its context if it is a fragment: one that imports nothing of FastAPI."""
        is_whole = "from fastapi import" in self.text
        return self.text if is_whole else CONTEXT[self.document] + self.text


def found() -> Iterator[Snippet]:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for block in SNIPPET.finditer(text):
            line = text.count("\n", 0, block.start()) + 2
            yield Snippet(str(path.relative_to(ROOT)), line, block[1])


EVERY_SNIPPET = list(found())
SNIPPETS = [one for one in EVERY_SNIPPET if one.document != FRAMEWORKS]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names of a snippet that runs in a directory with the folders that the docs name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LENS_DB_PATH", ":memory:")
    for folder in ("dist", "app/templates"):
        (tmp_path / folder).mkdir(parents=True)
    names: dict[str, Any] = {"__name__": "snippet"}
    with EnvironmentContext(Config(), ScriptDirectory(str(tmp_path))):  # Alembic's, for env.py.
        yield names
    if "engine" in names:
        names["connection"].close()
        names["engine"].dispose()
    app = names.get("app")
    if app is not None and app.middleware_stack:  # It got requests, so that there is a lens.
        lens_of(app).stop()


def test_snippets_are_found_in_the_readme_and_in_the_docs() -> None:
    assert {"README.md", *CONTEXT} <= {one.document for one in SNIPPETS}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda one: one.name)
def test_a_snippet_runs_as_it_stands(snippet: Snippet, names: dict[str, Any]) -> None:
    code = compile(snippet.program, f"{snippet.document}:{snippet.line}", "exec")
    exec(code, names)  # noqa: S102  Our own documents.
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()


@pytest.mark.typecheck
def test_snippets_pass_mypy_strict_and_pyright(tmp_path: Path) -> None:
    for one in EVERY_SNIPPET:
        text = one.text if one.document == FRAMEWORKS else one.program
        (tmp_path / f"{one.name}.py").write_text(text, encoding="utf-8")
    names = ",".join(one.name for one in EVERY_SNIPPET if one.document == FRAMEWORKS)
    (tmp_path / "mypy.ini").write_text(WITHOUT_OTHER_PACKAGES.format(snippets=names))
    every = sorted(map(str, tmp_path.glob("*.py")))
    files = [str(tmp_path / f"{one.name}.py") for one in SNIPPETS]
    assert len(every) > len(files)
    cache = ROOT / ".mypy_cache" / "snippets"
    mypy = [sys.executable, "-m", "mypy", "--strict", f"--config-file={tmp_path / 'mypy.ini'}"]
    assert_silent([*mypy, f"--cache-dir={cache}", *every])
    assert_silent([str(PYRIGHT), "--pythonpath", sys.executable, *files])


def assert_silent(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
