"""The policy of a check: ``[tool.fastapi_lens.check]`` of a pyproject.toml."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.verdict.level import Level

FILE = Path("pyproject.toml")
TABLE = "tool.fastapi_lens.check"
FAIL_ON = frozenset({Level.IN_USE, Level.WAIT, Level.NOT_ENOUGH_OBSERVATION, Level.KEPT})
"""Verdicts that fail a check by default."""

FIELDS = ("fail_on", "waivers")
"""Fields of the table."""

FIELDS_OF_WAIVER = ("endpoint", "reason", "until")
"""Fields of each of its waivers."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """Permission to remove one endpoint although it is in use.

    Attributes:
        endpoint: Method and path, ``POST /v1/exports``.
        reason: In the author's words.
        until: The last day (UTC) on which it holds.
    """

    endpoint: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Policy:
    """The decisions of a project about removals.

    Attributes:
        fail_on: Verdicts that fail a check.
        waivers: By the name of their endpoint.
    """

    fail_on: frozenset[Level]
    waivers: Mapping[str, Waiver]


def read_policy(file: Path = FILE) -> Policy:
    """The policy in a file; the default one if there is no file or no table.

    Raises:
        CommandError: It cannot be read, or a field has a value that cannot work.
    """
    try:
        fields: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fields = {}
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(Exit.USAGE, f"{file} cannot be read: {error}") from error
    for name in TABLE.split("."):
        fields = _table(fields.get(name, {}), f"[{TABLE}]", "must be a table")
    _require_known(fields, FIELDS, TABLE)
    return Policy(_levels(fields.get("fail_on", sorted(FAIL_ON))), _waivers(fields))


def _levels(values: Any) -> frozenset[Level]:
    known = list(Level)
    if not isinstance(values, list) or any(each not in known for each in cast("Any", values)):
        raise _invalid(f"{TABLE}.fail_on", f"must be a list of verdicts: {', '.join(known)}")
    return frozenset(map(Level, cast("list[str]", values)))


def _waivers(fields: Mapping[str, Any]) -> dict[str, Waiver]:
    entries = fields.get("waivers", [])
    if not isinstance(entries, list):
        raise _invalid(f"{TABLE}.waivers", f"must be tables, each under [[{TABLE}.waivers]]")
    found: dict[str, Waiver] = {}
    for number, entry in enumerate(cast("Iterable[Any]", entries), 1):
        waiver = _waiver(entry, f"{TABLE}.waivers, number {number}:")
        if waiver.endpoint in found:
            raise _invalid(f"{TABLE}.waivers", f"has {waiver.endpoint} twice: remove one")
        found[waiver.endpoint] = waiver
    return found


def _waiver(entry: Any, where: str) -> Waiver:
    fields = _table(entry, where, "must be a table with endpoint, reason and until")
    _require_known(fields, FIELDS_OF_WAIVER, where)
    endpoint, reason, until = map(fields.get, FIELDS_OF_WAIVER)
    if not isinstance(endpoint, str) or len(endpoint.split(maxsplit=1)) != len(("method", "path")):
        raise _invalid(where, 'endpoint must be a method and a path, as "POST /v1/exports"')
    if not isinstance(reason, str) or not reason.strip():
        raise _invalid(where, f"give the reason why {endpoint} may be removed")
    method, path = endpoint.split(maxsplit=1)
    return Waiver(f"{method.upper()} {path}", " ".join(reason.split()), _date(until, where))


def _date(until: Any, where: str) -> date:
    # TOML has both, and a datetime is a date in Python.
    if isinstance(until, date) and not isinstance(until, datetime):
        return until
    raise _invalid(where, "until must be the last day on which it holds, as until = 2026-12-31")


def _table(value: Any, where: str, problem: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(where, problem)
    return cast("dict[str, Any]", value)


def _require_known(fields: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in fields:
        if name not in known:
            raise _invalid(where, f"{name} is not known; known are {', '.join(known)}")


def _invalid(where: str, problem: str) -> CommandError:
    return CommandError(Exit.USAGE, f"{FILE}: {where} {problem}")
