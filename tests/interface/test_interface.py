"""The public interface is the one that is written down, and users can type-check against it."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fastapi_lens
from fastapi_lens.admin.router import PAGES
from scripts import interface, notification_schema, report_schema

ROOT = Path(__file__).parents[2]
USER_CODE = Path(__file__).with_name("user_code.py")
CHANGED = """\
The public interface is not the one in {file}. If you meant to change it: follow "Changing the
public interface" in CONTRIBUTING.md, run make interface, and commit the file with the change."""


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (interface.text, interface.FILE),
        (report_schema.text, report_schema.FILE),
        (notification_schema.text, notification_schema.FILE),
    ],
    ids=["names", "JSON Schema", "JSON Schema of notifications"],
)
def test_the_interface_is_the_one_that_is_written_down(text: Callable[[], str], file: Path) -> None:
    assert text() == file.read_text(encoding="utf-8"), CHANGED.format(file=file.relative_to(ROOT))


def test_every_json_answer_of_the_admin_has_a_model() -> None:
    paths = [one.pattern.pattern.replace("\\", "").strip("^$") for one in PAGES]
    json = {one for one in paths if one.startswith("/report") or one.endswith(".json")}
    # The first leads to another one, for clients of earlier releases.
    assert json - {"/export.json"} == set(report_schema.ANSWERS)


def test_code_of_users_is_checked_with_every_exported_name() -> None:
    tree = ast.parse(USER_CODE.read_text(encoding="utf-8"))
    imports = [one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    names = {name.name for one in imports if one.module == "fastapi_lens" for name in one.names}
    assert names == set(fastapi_lens.__all__)


@pytest.mark.typecheck
def test_code_of_users_passes_mypy_strict_and_pyright_strict(tmp_path: Path) -> None:
    cache = ROOT / ".mypy_cache" / "users"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}"]
    # Outside of the checkout, whose settings are not those of a user.
    code = tmp_path / USER_CODE.name
    code.write_text(USER_CODE.read_text(encoding="utf-8"), encoding="utf-8")
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
    pyright = [str(ROOT / "node_modules" / ".bin" / "pyright"), "--pythonpath", sys.executable]
    for command in ([*mypy, str(code)], [*pyright, "--project", str(settings)]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
