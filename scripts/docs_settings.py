"""The page of every setting: `make docs` writes docs/configuration.md from `LensConfig`.

The explanations are those of its docstring, and everything else comes from its fields and their
metadata. A test compares the page with the code.
"""

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from fastapi_lens import LensConfig
from fastapi_lens.config.environment import env_name
from fastapi_lens.config.lens_config import SETTINGS
from fastapi_lens.config.setting import Setting
from scripts.interface import setting_types

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "configuration.md"
LONGEST_DEFAULT = 30
"""Characters of a default in the table; longer ones are in the text only."""

HEAD = """\
# Every setting

<!-- `make docs` writes this file from LensConfig; change it there. -->

Each setting is an argument of `LensConfig` and an environment variable; the argument wins. In the \
environment, lists are separated by commas, mappings are JSON, and `none` or an empty text means \
`None`. A value that cannot work raises `ConfigError` when `LensConfig` is created, with the name \
of the setting and what to do. At the start, the log names every variable `LENS_…` that is not a \
setting, and the setting that was probably meant.

Settings marked with ● can also be changed in the admin, while the application runs and in every \
worker at once: [Changing settings at run time](settings.md).

| setting | default | environment | |
|---|---|---|---|
"""

NOTES: Mapping[str, str] = {
    "db_path": "While pytest runs, the default is `:memory:` ([testing.md](testing.md)). See "
    "[containers](deployment.md#docker) for volumes and read-only file systems.",
    "database_url": "Several hosts can share one: [databases.md](databases.md).",
    "ttl_days": "See [retention](storage.md#retention).",
    "security_enabled": "See [access.md](access.md).",
    "report_keys": 'In the environment: `{"alice": "…", "ci": {"key": "…", "scope": "read"}}`. '
    "See [keys](access.md#keys).",
    "report_key": "It may also be a hash: [keys](access.md#keys).",
    "authorize": "See [your own login](access.md#your-own-login).",
    "report_path": "The default never overrides a route of the application; any other path does. "
    "See [json.md](json.md).",
    "ignore_unmapped": "`False` counts them under the one path `<unmapped>`.",
    "exclude_paths": "`*` is one segment, `**` any number: `/internal/**`. Excluded endpoints are "
    "not shown either.",
    "exclude_methods": "Excluded endpoints are not shown either.",
    "flush_interval": "See [from a call to a row](storage.md#from-a-call-to-a-row).",
    "source_link": "See [exceptions](request-log.md#exceptions) for the placeholders.",
    "log_query_values": "See [privacy](request-log.md#privacy) for values that are never kept.",
    "log_exception_messages": "See [privacy](privacy.md#exception-messages) for those that are "
    "stored already.",
    "consumer": "See [callers.md](callers.md#the-function).",
    "callers": "See [callers.md](callers.md#which-setting).",
    "caller_header": "See [privacy.md](privacy.md#how-it-is-hashed).",
    "webhook_url": "See [notifications.md](notifications.md).",
    "app_name": "See [one name, one application](databases.md#one-name-one-application).",
    "release": "It dates the releases of the [verdicts](deleting-endpoints.md), so set it to a tag "
    "or a commit.",
    "template_dirs": "See [templates.md](templates.md).",
    "trusted_origins": "See [other sites](access.md#other-sites).",
    "session_max_age": "See [sessions](access.md#sessions).",
    "login_max_failures": "See [wrong keys](access.md#wrong-keys).",
    "idle": "See [applications that scale to zero](deployment.md#applications-that-scale-to-zero).",
}
"""Sentences that the page adds to the docstring: links, mostly."""


def text() -> str:
    """The page."""
    explained, types, defaults = explanations(), setting_types(), default_values()
    rows, parts = [], []
    for name, setting in SETTINGS.items():
        mark = "●" if setting.section is not None else ""
        is_long = len(defaults[name]) > LONGEST_DEFAULT
        default = f"[below](#{name})" if is_long else f"`{defaults[name]}`"
        row = (f"[`{name}`](#{name})", default, f"`{env_name(name)}`", mark)
        rows.append(f"| {' | '.join(row)} |".replace("|  |", "| |"))
        sentences = " ".join(filter(None, (explained[name], NOTES.get(name))))
        parts.append(f"## `{name}`\n\n{sentences}\n\n{facts(setting, types[name], defaults[name])}")
    return HEAD + "\n".join([*rows, "", "\n\n".join(parts), ""])


def facts(setting: Setting, kind: str, default: str) -> str:
    """A list of what the metadata says about a setting."""
    lines = [f"Type: `{kind}`", f"Default: `{default}`", f"Environment: `{env_name(setting.name)}`"]
    if setting.unset:
        lines[1] += f" ({setting.unset})"
    if setting.unit:
        lines.append(f"Unit: {setting.unit}")
    if allowed := bounds(setting):
        lines.append(f"Allowed: {allowed}")
    if setting.section is not None:
        label = f"“{setting.label}” in the section “{setting.section.value.capitalize()}”"
        hint = f". {setting.hint}" if setting.hint else ""
        lines.append(f"At run time: {label} of the settings page{hint}")
    return "\n".join(f"- {line}" for line in lines)


def bounds(setting: Setting) -> str:
    """The values that are allowed, in words; empty without bounds."""
    words = [f"`{value or None}` ({label})" for value, label in setting.choices.items()]
    if words:
        return ", ".join(words)
    if setting.above is not None:
        words.append(f"more than {setting.above:,}")
    if setting.least is not None:
        words.append(f"at least {setting.least:,}")
    if setting.most is not None:
        words.append(f"at most {setting.most:,}")
    return ", ".join(words)


def explanations() -> dict[str, str]:
    """The sentences of each attribute in the docstring of `LensConfig`, as Markdown.

    Raises:
        KeyError: A setting has no sentence.
    """
    attributes = inspect.cleandoc(LensConfig.__doc__ or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for name, sentence in re.findall(
        r"^    (\w+): (.*?)(?=^    \w+: |^\w|\Z)", attributes, re.DOTALL | re.MULTILINE
    ):
        # References to modules are for readers of the code.
        plain = re.sub(r" See `fastapi_lens[\w.]+`\.", "", " ".join(sentence.split()))
        found[name] = plain.replace("``", "`")
    return {name: found[name] for name in SETTINGS}


def default_values() -> dict[str, str]:
    """The default of each setting as Python."""
    defaults = {one.name: one.default for one in fields(LensConfig) if one.init}
    # The path has a type of its own, which prints as the text that it is.
    return {
        name: repr(str(value)) if isinstance(value, str) else repr(value)
        for name, value in defaults.items()
    }


def main() -> int:
    """The command."""
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
