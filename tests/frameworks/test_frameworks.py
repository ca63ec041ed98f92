"""The recipes of docs/frameworks.md, run with the packages themselves.

Each file of recipes/ is one recipe. Its tests run in a process of their own, with the interpreter
of scripts/frameworks.py: some of these packages change the whole process, and none of them is
needed to develop this one.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts import frameworks
from scripts.constraints import pins_of

ROOT = Path(__file__).parents[2]
RECIPES = frameworks.recipes()
DOCUMENT = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")


def test_every_recipe_has_tests() -> None:
    named = re.findall(r"^<!-- recipe: (\w+) -->$", DOCUMENT, re.MULTILINE)
    assert sorted(named) == sorted(each.stem for each in RECIPES)


def test_the_document_names_the_versions_that_are_tested() -> None:
    pins = pins_of(frameworks.CONSTRAINTS.read_text(encoding="utf-8").splitlines())
    rows = dict(re.findall(r"^\| ([a-z-]+) \| ([\d.]+\w*) \|$", DOCUMENT, re.MULTILINE))
    assert rows
    assert rows == {name: pins[name] for name in rows}
    for title in ("FastAPI", "Starlette", "SQLAlchemy"):
        assert f"{title} {pins[title.lower()]}" in DOCUMENT


@pytest.mark.frameworks
@pytest.mark.timeout(600)
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: one.stem)
def test_a_recipe_holds_what_it_says(recipe: Path) -> None:
    python = frameworks.find()
    assert python is not None, frameworks.LEFT_OUT
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LENS_", "COVERAGE_", "PYTEST_"))
    }
    done = subprocess.run(
        frameworks.command_of(python, recipe),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
