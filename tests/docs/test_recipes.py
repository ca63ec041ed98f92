"""The recipes of CONTRIBUTING.md name files that exist, and names that are in these files."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
RECIPES = (
    (ROOT / "CONTRIBUTING.md")
    .read_text(encoding="utf-8")
    .partition("\n## Recipes\n")[2]
    .partition("\n## ")[0]
)
FILE = r"`([\w./-]+\.(?:py|md|html|toml|css))`"
FILES = sorted(set(re.findall(FILE, RECIPES)))
CHANGES = re.findall(rf"(?m)^\| {FILE} \| (.+) \|$", RECIPES)
"""Each file with what changes in it: a row of a table."""

NAMES = sorted(
    {(file, name) for file, change in CHANGES for name in re.findall(r"`([A-Za-z_]\w*)`", change)}
    | {(file, name) for name, file in re.findall(rf"`(?:\w+\.)?(\w+)` in {FILE}", RECIPES)}
)
"""Names that a recipe says are in a file."""


def test_the_recipes_name_files() -> None:
    assert "fastapi_lens/config/lens_config.py" in FILES
    assert ("fastapi_lens/admin/router.py", "PAGES") in NAMES
    assert ("fastapi_lens/recording/log/request_log.py", "apply") in NAMES


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_a_recipe_exists(file: str) -> None:
    assert (ROOT / file).is_file()


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_a_file_of_a_recipe_has_the_names_that_it_is_said_to_have(file: str, name: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b", text)
