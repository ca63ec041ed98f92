"""docs/templates.md names every template, so that whoever overrides one finds it."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")


def test_every_template_and_no_other_is_in_the_table() -> None:
    named = re.findall(r"^\| `([\w.]+)` \|", DOCUMENT, re.MULTILINE)
    files = {file.name for file in (ROOT / "templates" / "fastapi_lens").iterdir()}
    assert len(named) == len(set(named))
    assert set(named) == files


def test_the_example_overrides_templates_that_there_are() -> None:
    files = {file.name for file in (ROOT / "templates" / "fastapi_lens").iterdir()}
    own = {file.name for file in (ROOT / "example_project/templates/fastapi_lens").iterdir()}
    assert own
    assert own <= files
