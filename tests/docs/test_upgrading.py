"""The notes on an upgrade name what an upgrade from the last minor release brings."""

from pathlib import Path

import pytest

from fastapi_lens.config.lens_config import REMOVED
from fastapi_lens.storage.schema.models import lens_metadata
from tests.storage.first_edition import COLUMNS

pytestmark = pytest.mark.unit

TEXT = (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text(encoding="utf-8")


def test_every_new_table_is_named() -> None:
    before = {f"lens_{name}" for name in COLUMNS}
    added = {table.name for table in lens_metadata.sorted_tables} - before

    assert before < {table.name for table in lens_metadata.sorted_tables}
    assert [name for name in sorted(added) if f"`{name}`" not in TEXT] == []


def test_every_setting_that_was_removed_is_named() -> None:
    assert REMOVED
    assert [name for name in REMOVED if f"`{name}`" not in TEXT] == []
