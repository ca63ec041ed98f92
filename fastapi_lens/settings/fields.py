"""Form fields of settings: their texts and typed values. Pure; no HTML."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from fastapi_lens.config.lens_config import SETTINGS, LensConfig
from fastapi_lens.config.setting import Setting
from fastapi_lens.errors import ConfigError
from fastapi_lens.settings.settings import SECTIONS, Settings

ON, OFF = "on", "off"
NO_NAMES = "none"
"""An empty list in words."""


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in a form, with its value.

    Attributes:
        value: The text in the form.
        code: The default, which the code sets, in words.
        differs: True if another value is active.
        now: The active value in words, if somebody else has changed it meanwhile; else empty.
    """

    setting: Setting
    value: str
    code: str
    differs: bool
    now: str = ""

    @property
    def shown(self) -> str:
        """The value in words."""
        return shown(self.setting, self.value)


def typed_in(section: str, form: Mapping[str, str]) -> dict[str, str]:
    """The texts of a form for the settings of a section."""
    return {setting.name: form.get(setting.name, "").strip() for setting in SECTIONS[section]}


def chosen(config: LensConfig, typed: Mapping[str, str]) -> LensConfig:
    """A configuration with the values that were typed.

    Raises:
        ConfigError: A value is not allowed; `field` is its name.
    """
    return config.with_values({name: _value(SETTINGS[name], text) for name, text in typed.items()})


def _value(setting: Setting, text: str) -> str | list[str] | None:
    if setting.is_list:
        return [name.strip() for name in re.split("[,\n]", text) if name.strip()]
    # An empty field means None where the setting has it; elsewhere its check refuses the text.
    return None if not text and setting.unset else text


def changes(config: LensConfig, other: LensConfig, section: str) -> dict[str, Any]:
    """The values of a section to store; a value equal to the default follows the code."""
    default, values = values_of(config, section), values_of(other, section)
    return {name: value for name, value in values.items() if value != default[name]}


def values_of(config: LensConfig, section: str) -> dict[str, Any]:
    """The values of a section, by name."""
    return {setting.name: getattr(config, setting.name) for setting in SECTIONS[section]}


def fields(
    section: str,
    settings: Settings,
    config: LensConfig,
    *,
    typed: Mapping[str, str],
    conflict: bool = False,
) -> list[Field]:
    """The fields of a section.

    Args:
        section: Its name.
        settings: The active settings.
        config: The code's settings.
        typed: Texts that stand in the form instead of the active values, by name.
        conflict: True if somebody else has changed the section meanwhile.
    """
    found: list[Field] = []
    for setting in SECTIONS[section]:
        active, default = (getattr(one, setting.name) for one in (settings.config, config))
        value = typed.get(setting.name, text_of(active))
        found.append(
            Field(
                setting,
                value,
                shown(setting, default),
                differs=active != default,
                now=shown(setting, active) if conflict and value != text_of(active) else "",
            )
        )
    return found


def sentence_of(error: ConfigError) -> str:
    """The sentence of a form about a value of a run-time setting that is not allowed."""
    unset = ", or leave it empty" if SETTINGS[error.field].unset else ""
    return f"Enter {error.expected}{unset}."


def text_of(value: object) -> str:
    """A value as the text in a form."""
    # Before the numbers: a bool is an int in Python.
    if isinstance(value, bool):
        return ON if value else OFF
    if isinstance(value, int | float):
        # A float holds 15 digits exactly; more would show how it is rounded.
        return f"{value:.15g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, cast("Iterable[object]", value)))
    return "" if value is None else str(value)


def shown(setting: Setting, value: object) -> str:
    """A value, or its text in a form, in words and with its unit."""
    text = text_of(value)
    if setting.choices:
        return setting.choices.get(text, text)
    if setting.is_list:
        return text or NO_NAMES
    number = f"{int(text):,}" if text.isdecimal() else text
    unit = "" if " " in setting.unit else f" {setting.unit}".rstrip()
    return f"{number}{unit}" if text else setting.unset
