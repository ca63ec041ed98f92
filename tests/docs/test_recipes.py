"""The recipes of CONTRIBUTING.md name files that exist."""

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
FILES = sorted(set(re.findall(r"`([\w./-]+\.(?:py|md|html|toml|css))`", RECIPES)))


def test_the_recipes_name_files() -> None:
    assert "fastapi_lens/config/lens_config.py" in FILES


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_a_recipe_exists(file: str) -> None:
    assert (ROOT / file).is_file()
