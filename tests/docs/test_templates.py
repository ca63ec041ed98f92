"""docs/templates.md names every template, so that whoever overrides one finds it."""

import re
from pathlib import Path

import pytest

from fastapi_lens.admin.renamed_templates import RENAMED

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
BUILTIN = ROOT / "templates" / "fastapi_lens"
DOCUMENT = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")


def names(folder: Path) -> set[str]:
    """The names of all templates in a folder and its folders."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*.html")}


def test_every_template_and_no_other_is_in_the_table() -> None:
    table = DOCUMENT.partition("## Templates")[2].partition("## ")[0]
    named = re.findall(r"^\| `([\w./]+)` \|", table, re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == names(BUILTIN)


def test_every_old_name_is_in_the_table_with_its_new_one() -> None:
    table = DOCUMENT.partition("## Renamed templates")[2]
    assert dict(re.findall(r"^\| `([\w./]+)` \| `([\w./]+)` \|$", table, re.MULTILINE)) == RENAMED


def test_the_example_overrides_templates_that_exist() -> None:
    own = names(ROOT / "example_project/templates/fastapi_lens")
    assert own
    assert own <= names(BUILTIN)
