"""Checks of an export's header and rows before anything is written. Reads no file.

An export may come from an untrusted source. Its lines are compared with what `archive.Archive`
writes, and its values are checked by `storage.schema.row_checks`.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from fastapi_lens.errors import LensError
from fastapi_lens.storage.engine.texts import unescaped
from fastapi_lens.storage.records.callers import MOST_CHARACTERS
from fastapi_lens.storage.schema.identities import caller_id, dropped_id, endpoint_id, release_id
from fastapi_lens.storage.schema.migrations import known_version
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US, RULES, wrong_values
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    MOVED,
    OBSERVED,
    RELEASE,
    STATUS,
    USE,
    USE_WEEK,
    WORKER,
)
from fastapi_lens.storage.transfer.import_ import ADDED_COLUMNS
from fastapi_lens.storage.writing.log_writer import exception_id
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.json_values import is_list

BINARY = "histogram"
"""The column whose values are bytes, base64 in the file."""

MOST_APPS, MOST_SIGNS = 10_000, 10_000
MOST_IN_ALL = 1 << 59
"""Maximum sum of a column: databases add it to their own numbers in 63 bits."""

_EXPORT_ID = re.compile("[0-9a-f]{32}")
_APP = RULES[WORKER.name]["app"]
_SIGN_TEXT = RULES[WORKER.name]["id"]
_RELEASE = RULES[WORKER.name]["release"]
_TABLES = {table.name: table for table in MOVED}
_ADDED = ("calls", "duration_us", "total_calls", "refused", "errors_5xx")
_OF_ENDPOINTS = (BUCKET.name, STATUS.name, GONE.name, USE.name, USE_WEEK.name)
_IDENTITIES: Mapping[str, Callable[[Mapping[str, Any]], int]] = MappingProxyType(
    {
        ENDPOINT.name: lambda row: endpoint_id(row["app"], row["method"], row["path"]),
        RELEASE.name: lambda row: release_id(row["app"], row["name"]),
        EXCEPTION.name: lambda row: exception_id(row["endpoint_id"], row["type"], row["place"]),
        CALLER.name: lambda row: caller_id(row["app"], CallerKind(row["kind"]), row["name"]),
    }
)
"""Tables whose ids are derived from other columns; rows are added to those of the same id."""


class WrongRowError(LensError):
    """A line is not valid in an export; names table and column. `ExportFile` adds the line."""


class Found(NamedTuple):
    """One row of an export: the name of its table, and the values by column."""

    table: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of an export.

    Attributes:
        export_id: 32 hexadecimal digits, new for each export.
        schema: The schema version of the rows.
        release: The version of fastapi_lens that wrote it.
        created_at: Epoch seconds.
        apps: By app, the ids of the databases whose counts are in the rows.
    """

    export_id: str
    schema: int
    release: str
    created_at: float
    apps: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


def wrong_header(values: Mapping[str, Any]) -> str:
    """The reason why a first line is not valid; empty if it is.

    Args:
        values: Values by name, without the kind and the format.
    """
    if set(values) != set(Header.__dataclass_fields__):
        return "the header has other names than those of an export"
    checks = {
        "export_id": _is_id(values["export_id"]),
        "schema": _is_number(values["schema"], int),
        "release": _RELEASE.holds(values["release"]),
        "created_at": _is_number(values["created_at"], int | float),
        "apps": _is_apps(values["apps"]),
    }
    wrong = [name for name, right in checks.items() if not right]
    return f"{wrong[0]} of the header is not what an export has there" if wrong else ""


class RowChecks:
    """Checks the lines after the header one by one.

    Args:
        header: Names the apps that rows may belong to.

    Attributes:
        counts: Rows so far, by table.
    """

    def __init__(self, header: Header) -> None:
        """Start with no rows."""
        self._apps = header.apps.keys()
        self._is_older = header.schema < known_version()
        self._table = ""
        self._columns: list[str] = []
        self._endpoints: set[int] = set()
        self._kinds: set[int] = set()
        # Losses of calls stand under ids of their own.
        self._releases = {dropped_id(unescaped(app)) for app in header.apps}
        self._releases |= set(map(dropped_id, header.apps))
        self._sums: dict[tuple[str, str], int] = {}
        self.counts: dict[str, int] = {}

    def row(self, value: Any) -> Found | None:
        """The row in one line; None if the line is no row.

        Raises:
            WrongRowError: The line is not valid there.
        """
        if is_list(value):
            return self._row(value)
        if not isinstance(value, dict):
            raise WrongRowError("it is neither a row nor the beginning of a table")
        line = cast("dict[str, Any]", value)
        if "table" in line:
            self._begin(line)
        elif "end" not in line:
            raise WrongRowError("it is neither a row nor the beginning of a table")
        return None

    def _begin(self, line: Mapping[str, Any]) -> None:
        table, columns = line["table"], line.get("columns")
        if not isinstance(table, str) or table not in _TABLES:
            raise WrongRowError(f"an export has no table {visible(str(table)[:100])}")
        if table in self.counts:
            raise WrongRowError(f"{table} is there twice")
        names = columns if is_list(columns) else []
        known = set(RULES[table])
        if self._is_older:
            known -= ADDED_COLUMNS.get(table, frozenset())
        if set(map(str, names)) != known:
            raise WrongRowError(f"{table} has other columns here")
        self._table, self._columns = table, list(map(str, names))
        if len(self._columns) != len(known):
            raise WrongRowError(f"{table} has a column twice")
        self.counts[table] = 0

    def _row(self, values: Sequence[Any]) -> Found:
        table = self._table
        if not table:
            raise WrongRowError("it is a row before its table")
        if len(values) != len(self._columns):
            raise WrongRowError(f"a row of {table} has {len(self._columns)} values")
        row = dict(zip(self._columns, values, strict=True))
        if BINARY in row:
            row[BINARY] = _bytes(row[BINARY])
        for wrong in wrong_values(table, row):
            raise WrongRowError(f"{table}.{wrong.column} is {wrong.says}")
        self._require_known(table, row)
        self._add(table, row)
        self.counts[table] += 1
        return Found(table, row)

    def _require_known(self, table: str, row: Mapping[str, Any]) -> None:
        """Refuse a row that would be added to counts that the export does not contain."""
        if "app" in row and row["app"] not in self._apps:
            raise WrongRowError(f"{table}.app is not among those that the header names")
        if table in _IDENTITIES and not _has_its_id(table, row):
            raise WrongRowError(f"{table}.id does not match what it stands for")
        self._remember(table, row)
        if table == OBSERVED.name and row["release_id"] not in self._releases:
            raise WrongRowError(f"{table}.release_id is of no release before this line")
        if table in _OF_ENDPOINTS and row["endpoint_id"] not in self._endpoints:
            raise WrongRowError(f"{table}.endpoint_id is of no endpoint before this line")
        if table == EXCEPTION_COUNT.name and row["failure_id"] not in self._kinds:
            raise WrongRowError(f"{table}.failure_id is of no exception before this line")

    def _remember(self, table: str, row: Mapping[str, Any]) -> None:
        """Remember a row that later ones may belong to."""
        if table == ENDPOINT.name:
            self._endpoints.add(row["id"])
        elif table == RELEASE.name:
            self._releases.add(row["id"])
        elif table == EXCEPTION.name:
            self._kinds.add(row["id"])

    def _add(self, table: str, row: Mapping[str, Any]) -> None:
        for name in _ADDED:
            if name in row:
                total = self._sums[table, name] = self._sums.get((table, name), 0) + row[name]
                if total > MOST_IN_ALL:
                    raise WrongRowError(f"{table}.{name} adds up to more than can be counted")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _EXPORT_ID.fullmatch(value) is not None


def _is_number(value: Any, kind: Any) -> bool:
    # A bool is an int in Python.
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value <= MAX_TIME_US


def _has_its_id(table: str, row: Mapping[str, Any]) -> bool:
    """True if a row's id is derived from its texts, or from those that had characters to escape."""
    given = {name: unescaped(value) if type(value) is str else value for name, value in row.items()}
    # A database that escapes some characters cuts what does not fit then.
    is_cut = (
        table == CALLER.name
        and given["name"] != row["name"]
        and len(row["name"]) == MOST_CHARACTERS
    )
    return is_cut or row["id"] in (_IDENTITIES[table](row), _IDENTITIES[table](given))


def _is_apps(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    apps = cast("dict[str, Any]", value)
    if len(apps) > MOST_APPS or not all(map(_APP.holds, apps)):
        return False
    return all(map(_is_signs, apps.values()))


def _is_signs(value: Any) -> bool:
    return is_list(value) and len(value) <= MOST_SIGNS and all(map(_SIGN_TEXT.holds, value))


def _bytes(value: Any) -> Any:
    """Decode a base64 text; an invalid value stays unchanged, and is refused later."""
    if not isinstance(value, str):
        return value
    try:
        # Without validation, foreign characters are skipped.
        return base64.b64decode(value, validate=True)
    except ValueError:
        return value
