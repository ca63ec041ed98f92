"""A directory with a branch's application, in which commands run."""

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastapi_lens.cli.removal.download import KEY_VARIABLE
from fastapi_lens.cli.removal_commands import SUMMARY_VARIABLE

Branch = Callable[..., str]
"""Writes an application with some endpoints; returns its target."""

_numbers = itertools.count()
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment without variables that commands read."""
    for name in (SUMMARY_VARIABLE, KEY_VARIABLE, *_PROXIES, *map(str.upper, _PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def branch(here: Path) -> Iterator[Branch]:
    """Writes modules, each with an application; forgets them at the end."""
    written: list[str] = []

    def write_application(*names: str, source: str = "") -> str:
        module = f"branch_{next(_numbers)}"
        lines = ["from fastapi import FastAPI", "app = FastAPI()", source]
        for number, name in enumerate(names or ("GET /orders",)):
            method, path = name.split(" ", 1)
            lines.append(f"@app.api_route({path!r}, methods=[{method!r}])")
            lines.append(f"def handler_{number}() -> None: ...")
        (here / f"{module}.py").write_text("\n".join(lines), encoding="utf-8")
        importlib.invalidate_caches()
        written.append(module)
        return f"{module}:app"

    yield write_application
    for module in written:
        sys.modules.pop(module, None)
