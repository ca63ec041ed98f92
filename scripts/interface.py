"""The public interface as text: `make interface` writes tests/interface/interface.txt.

A difference of that file in a commit is a change of the interface, for which CONTRIBUTING.md has
the policy. Annotations are shown as they are written, so that every Python gives the same text.
"""

import ast
import inspect
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum, EnumType
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

import typer.main
from pydantic import BaseModel

import fastapi_lens
from fastapi_lens.admin.access.credentials import KEY_HEADER
from fastapi_lens.admin.pages.callers import export as callers_export
from fastapi_lens.admin.pages.cleanup import export as cleanup_export
from fastapi_lens.admin.pages.requests import export as requests_export
from fastapi_lens.admin.router import PAGES
from fastapi_lens.cli.commands import create_cli
from fastapi_lens.cli.exit_codes import Exit
from fastapi_lens.cli.removal import json_report, policy, prune_list, routes
from fastapi_lens.cli.removal.download import KEY_VARIABLE
from fastapi_lens.cli.removal.evidence import CallerEvidence
from fastapi_lens.config.environment import env_name
from fastapi_lens.config.lens_config import SETTINGS
from fastapi_lens.reporting.documents import callers_report, csv_table
from fastapi_lens.reporting.documents.exposition import Format, exposition
from fastapi_lens.verdict import overrides
from fastapi_lens.verdict.cadence import Cadence
from scripts import report_schema

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "tests" / "interface" / "interface.txt"
HEAD = """\
The public interface. `make interface` writes this file from the code; a test compares both.
A line that changes or disappears needs what "Changing the public interface" in CONTRIBUTING.md
demands; a new line needs an entry in CHANGELOG.md.
"""
CSV_FILES = {
    "/endpoints.csv, report --format csv": csv_table.COLUMNS,
    "/callers.csv": callers_export.CALLER_COLUMNS,
    "/callers/{key}.csv": callers_export.USE_COLUMNS,
    "/uses.csv": callers_report.COLUMNS,
    "/cleanup.csv": cleanup_export.COLUMNS,
    "/requests.csv": requests_export.COLUMNS,
}
"""Columns of CSV files, by address or command."""

COMMANDS_JSON: tuple[type[Any], ...] = (
    json_report.CheckFields,
    json_report.FindingFields,
    json_report.SourceFields,
    json_report.WaiverFields,
    prune_list.PruneListFields,
    json_report.EndpointFields,
    CallerEvidence,
    routes.RoutesFile,
)
"""Parts of the JSON documents of `check`, `prune-list` and `routes`."""

_BLOCK = re.compile(r"{%-?\s*block\s+(\w+)")
_PARAMETER = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def text() -> str:
    """The file: a section each, with a line for each name."""
    sections = {
        "Names of fastapi_lens": names(),
        "Settings (argument of LensConfig, environment variable)": settings(),
        "Settings that may change at run time": changeable(),
        "Addresses below the admin's prefix": addresses(),
        "JSON": members(),
        "Columns of CSV files": (f"{key}: {', '.join(one)}" for key, one in CSV_FILES.items()),
        "Metrics": metrics(),
        "Command line": commands(),
        "JSON of the command line": documents(),
        "Policy of check, in pyproject.toml": waivers(),
        "Exit codes": (f"{each.value} {each.name}" for each in Exit),
        "Other names": others(),
        "Templates and their blocks": templates(),
        "Extras": sorted(_project()["optional-dependencies"]),
    }
    parts = [HEAD]
    for title, lines in sections.items():
        parts.append("\n".join(["", title, "=" * len(title), *lines, ""]))
    return "".join(parts)


def names() -> Iterator[str]:
    """The names of a star import, with arguments and public members."""
    for name in sorted(fastapi_lens.__all__):
        found = getattr(fastapi_lens, name)
        if inspect.isclass(found):
            yield from _class(found)
        elif inspect.isfunction(found):
            yield _signature(_parsed(found))
        else:
            yield f"{name}: {type(found).__name__}"


def settings() -> Iterator[str]:
    """The arguments of `LensConfig`, each with its type, default and variable."""
    types = setting_types()
    for one in fields(fastapi_lens.LensConfig):
        if one.init:
            yield f"{one.name}: {types[one.name]} = {one.default!r} ({env_name(one.name)})"


def setting_types() -> dict[str, str]:
    """The type of each field of `LensConfig`, as it is written there."""
    return {
        line.target.id: ast.unparse(line.annotation)
        for line in _parsed(fastapi_lens.LensConfig).body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def changeable() -> Iterator[str]:
    """The settings that have a form, each with its section and bounds."""
    for one in SETTINGS.values():
        if one.section is not None:
            above = None if one.above is None else f"above {one.above}"
            least = None if one.least is None else f"from {one.least}"
            most = None if one.most is None else f"to {one.most}"
            choices = " | ".join(one.choices) or None
            bounds = ", ".join(filter(None, (above, least, most, choices)))
            yield f"{one.section.value}: {one.name} ({bounds})"


def addresses() -> Iterator[str]:
    """The methods and paths that answer."""
    for one in PAGES:
        path = _PARAMETER.sub(r"{\1}", one.pattern.pattern).strip("^$") or "(none)"
        yield f"{' '.join(one.methods)} {path.replace(chr(92), '')}"


def members() -> Iterator[str]:
    """The members of the JSON answers, each with its type."""
    for path, model in report_schema.ANSWERS.items():
        yield f"{path}: {model.__name__}"
    for name, definition in sorted(report_schema.schema()["$defs"].items()):
        if "enum" in definition:
            yield f"{name} = {' | '.join(map(repr, definition['enum']))}"
        for member, its in definition.get("properties", {}).items():
            yield f"{name}.{member}: {_json_type(its)}"


def commands() -> Iterator[str]:
    """The commands, each followed by its arguments and options."""
    cli = create_cli()
    group: Any = typer.main.get_command(cli)
    for registered in cli.registered_commands:
        yield str(registered.name)
        kinds = get_type_hints(registered.callback)
        for one in group.commands[registered.name].params:
            yield f"    {_parameter(one, kinds[one.name])}"


def metrics() -> Iterator[str]:
    """The families of metrics with their types, as a Prometheus server reads them."""
    for line in exposition([], Format.PROMETHEUS).splitlines():
        if line.startswith("# TYPE "):
            yield line.removeprefix("# TYPE ")


def documents() -> Iterator[str]:
    """The members of the JSON documents that commands write."""
    for one in COMMANDS_JSON:
        found = get_type_hints(one)
        names = [name for name in found if not name.startswith("model_")]
        yield f"{one.__name__}: {', '.join(names)}"


def waivers() -> Iterator[str]:
    """The tables of the policy with their fields."""
    yield f"[{policy.TABLE}]: {', '.join(policy.FIELDS)}"
    yield f"[[{policy.TABLE}.waivers]]: {', '.join(policy.FIELDS_OF_WAIVER)}"


def others() -> Iterator[str]:
    """Names that stand in code, requests or environments of users."""
    yield f"header of a key: {KEY_HEADER}"
    yield f"variable of the key of --evidence: {KEY_VARIABLE}"
    yield f"openapi_extra[{overrides.EXTENSION!r}]: {', '.join(overrides.FIELDS)}"
    yield f"openapi_extra[{overrides.EXTENSION!r}]['cadence']: {' | '.join(Cadence)}"
    yield f"logger: {fastapi_lens.__name__}"


def templates() -> Iterator[str]:
    """The templates that a host may replace."""
    folder = ROOT / "templates" / "fastapi_lens"
    for path in sorted(folder.rglob("*.html")):
        blocks = dict.fromkeys(_BLOCK.findall(path.read_text(encoding="utf-8")))
        name = path.relative_to(folder).as_posix()
        yield f"{name}: {', '.join(blocks)}" if blocks else name


def _project() -> dict[str, Any]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = pyproject["project"]
    return project


def _parsed(found: Any) -> Any:
    """The syntax tree of a class or function."""
    return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]


def _class(found: type) -> Iterator[str]:
    bases = [base.__name__ for base in found.__bases__ if base is not object]
    yield f"class {found.__name__}" + (f"({', '.join(bases)})" if bases else "")
    if issubclass(found, BaseModel):
        return  # Its fields are in the section on JSON.
    # The settings have a section of their own.
    defaults = _defaults(found) if is_dataclass(found) else {}
    skipped = SETTINGS if found is fastapi_lens.LensConfig else ()
    for line in _parsed(found).body:
        if text := _member(line, defaults, is_enum=isinstance(found, EnumType)):
            name = re.split(r"\W", text, maxsplit=1)[0]
            if name not in skipped:
                yield f"    {text}"


def _defaults(found: Any) -> dict[str, str]:
    every: Iterable[Field[Any]] = fields(found)
    return {one.name: repr(one.default) for one in every if one.default is not MISSING}


def _member(line: ast.stmt, defaults: dict[str, str], *, is_enum: bool) -> str | None:
    """A public member of a class; None for anything else."""
    match line:
        case ast.FunctionDef(name="__init__"):
            return _signature(line)
        case ast.FunctionDef(name=name) if not name.startswith("_"):
            if any(ast.unparse(one) == "property" for one in line.decorator_list):
                return f"{name}: {ast.unparse(line.returns) if line.returns else ''}"
            return _signature(line)
        case ast.AnnAssign(target=ast.Name(name), annotation=kind) if not name.startswith("_"):
            default = f" = {defaults[name]}" if name in defaults else ""
            return f"{name}: {ast.unparse(kind)}{default}"
        case ast.Assign(targets=[ast.Name(name)], value=value) if is_enum:
            return f"{name} = {ast.unparse(value)}"
    return None


def _signature(function: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"{function.name}({ast.unparse(function.args)}){returns}"


def _json_type(schema: dict[str, Any]) -> str:
    """The type of a member, in one line."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(map(_json_type, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return " | ".join(map(repr, schema.get("enum", [schema.get("const")])))
    if "prefixItems" in schema:
        return f"[{', '.join(map(_json_type, schema['prefixItems']))}]"
    if schema.get("type") == "array":
        return f"[{_json_type(schema.get('items', {}))}]"
    return str(schema.get("type", "any"))


def _parameter(one: Any, kind: Any) -> str:
    """An argument or option of a command, of the type that its function takes."""
    if not one.opts[0].startswith("-"):
        return str(one.name).upper()
    (taken,) = {*(get_args(kind) or (kind,))} - {NoneType}
    # Of an optional list, its items.
    taken = (get_args(taken) or (taken,))[0]
    if isinstance(taken, EnumType):
        value = " | ".join(str(each.value) for each in cast("Iterable[Enum]", taken))
    else:
        value = "" if taken is bool else taken.__name__
    value += "" if one.default in (None, "") or taken is bool else f" = {one.default}"
    notes = ["repeatable"] if one.multiple else []
    notes += [str(one.envvar)] if one.envvar else []
    return f"{'/'.join(one.opts)} {value}".strip() + (f" ({', '.join(notes)})" if notes else "")


def main() -> int:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
