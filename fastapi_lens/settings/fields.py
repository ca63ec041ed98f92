"""The settings that forms can change: how they are called, and what was typed. Pure; no HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.config.request_log import Clients
from fastapi_lens.settings.settings import NAMES, RECORDING, RETENTION, THRESHOLDS, Settings

ON, OFF = "on", "off"
SWITCH = ((ON, "On"), (OFF, "Off"))
CLIENTS = (
    (Clients.OFF.value, "Not kept"),
    (Clients.MASKED.value, "Its network, /24 or /48"),
    (Clients.HASHED.value, "A keyed hash of it"),
)
_OPTIONAL = "ttl_days"
"""The one setting that may be nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a form.

    Attributes:
        name: In LensConfig.
        label: For people.
        unit: What a number of it counts; words of several are left out beside other numbers.
        hint: One sentence more; may be empty.
        choices: Value and label of each; empty for a number.
        nothing: How people call it when it is not set.
    """

    name: str
    label: str
    unit: str = ""
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in a form, with its value.

    Attributes:
        value: What stands in the form.
        code: What the code says, for people.
        differs: Whether another value is in force.
        now: What is in force, for people, where somebody else has changed it meanwhile.
    """

    setting: Setting
    value: str
    code: str
    differs: bool
    now: str = ""

    @property
    def shown(self) -> str:
        """The value for people."""
        return words(self.setting, self.value)


SECTIONS: Mapping[str, tuple[Setting, ...]] = {
    RETENTION: (
        Setting(
            "ttl_days",
            "Keep counts for at most",
            "days",
            "Empty keeps minutes for 6 hours, hours for 35 days, days for 400 days, and weeks for "
            "ever. First and last call and the calls of all time are always kept.",
            nothing="each tier's own time",
        ),
    ),
    THRESHOLDS: (
        Setting("cold_threshold_days", "Cold without a call for", "days"),
        Setting("dead_threshold_days", "Dead without a call for", "days"),
        Setting("slow_threshold_ms", "Slow above a p95 of", "ms"),
    ),
    RECORDING: (
        Setting(
            "log_sample_rate", "Share of all requests", hint="From 0 (none) to 1 (all requests)."
        ),
        Setting("log_errors_per_minute", "Server errors, up to", "a minute and worker"),
        Setting("log_slowest", "The slowest, up to", "a minute and worker"),
        Setting("log_max_rows", "Kept at most", "requests"),
        Setting(
            "log_query_values",
            "Values of queries",
            hint="Off keeps the names of parameters alone.",
            choices=SWITCH,
        ),
        Setting("log_clients", "Addresses of clients", choices=CLIENTS),
    ),
}


def typed_in(section: str, form: Mapping[str, str]) -> dict[str, str]:
    """What a form says of the settings of a section."""
    return {name: form.get(name, "").strip() for name in NAMES[section]}


def chosen(config: LensConfig, typed: Mapping[str, str]) -> LensConfig:
    """A configuration with what was typed.

    Raises:
        ConfigError: Something of it cannot work; `field` is its name.
    """
    return config.with_values(
        {name: None if name == _OPTIONAL and not text else text for name, text in typed.items()}
    )


def changes(config: LensConfig, other: LensConfig, section: str) -> dict[str, Any]:
    """What is to be stored of a section: what is as the code has it goes on following the code."""
    return {
        name: value
        for name in NAMES[section]
        if (value := getattr(other, name)) != getattr(config, name)
    }


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
        settings: In force.
        config: What the code says.
        typed: What stands in the form instead of that, as far as it was sent.
        conflict: Whether somebody else has changed the section meanwhile.
    """
    found: list[Field] = []
    for setting in SECTIONS[section]:
        in_force, code = settings.value(setting.name), getattr(config, setting.name)
        value = typed.get(setting.name, text_of(in_force))
        other = conflict and value != text_of(in_force)
        found.append(
            Field(
                setting,
                value,
                words(setting, text_of(code)),
                differs=in_force != code,
                now=words(setting, text_of(in_force)) if other else "",
            )
        )
    return found


def text_of(value: object) -> str:
    """A value as it stands in a form."""
    if isinstance(value, bool):
        return ON if value else OFF
    if isinstance(value, int | float):
        return f"{value:.15g}"
    return "" if value is None else str(value)


def words(setting: Setting, text: str) -> str:
    """A value as people read it, with its unit."""
    if setting.choices:
        return dict(setting.choices).get(text, text)
    number = f"{int(text):,}" if text.isdecimal() else text
    unit = "" if " " in setting.unit else f" {setting.unit}".rstrip()
    return f"{number}{unit}" if text else setting.nothing
