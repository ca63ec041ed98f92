"""docs/settings.md lists the settings that may change at run time, as the page shows them."""

import re
from pathlib import Path

import pytest

from fastapi_lens import LensConfig
from fastapi_lens.config.lens_config import SETTINGS
from fastapi_lens.config.setting import Setting
from fastapi_lens.settings.fields import shown

pytestmark = pytest.mark.unit

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def on_the_page(setting: Setting) -> str:
    """The label, with the unit if that stands only beside the input."""
    return f"{setting.label} … {setting.unit}" if " " in setting.unit else setting.label


def test_the_table_has_the_section_label_and_default_of_each_setting() -> None:
    config = LensConfig(db_path=":memory:")
    expected = [
        (setting.section, name, on_the_page(setting), shown(setting, getattr(config, name)))
        for name, setting in SETTINGS.items()
        if setting.section is not None
    ]
    assert ROW.findall(DOCUMENT.read_text(encoding="utf-8")) == expected
