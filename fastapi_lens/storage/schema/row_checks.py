"""The values that columns accept: by their types, their lengths and the meaning of their names.

Pure. An import refuses a row that breaks one of these rules; doctor reports and repairs such rows.
SQLite accepts any value in any column, and no database can tell a time from a count.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from fastapi_lens.errors import OverrideError
from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS, CallerKind, Tier
from fastapi_lens.storage.schema.tables import BUCKET, CALLER, ENDPOINT, MOVED, REQUEST, USE
from fastapi_lens.verdict.overrides import overrides_of

MAX_ID = (1 << 63) - 1
MAX_TIME_US = MAX_ID >> REQUEST_ID_BITS
"""The year 2112, the limit of request ids; no wrong clock is likely to go beyond it."""

_LAST_SECOND = MAX_TIME_US // 1_000_000
MOST = 10**15
"""Maximum of calls, or of microseconds of one call: 10⁹ per second for eleven days."""

MOST_ADDED_US = 10**17
"""Maximum of microseconds of all calls of a bucket together."""

LONGEST_TEXT = 1_000_000
_FIRST_STATUS, _LAST_STATUS = 100, 999
_TIMES = (
    *("first_seen_at", "last_seen_at", "first_called_at", "last_called_at", "first_at", "last_at"),
    *("started_at", "seen_at", "ended_at", "complete_to"),
    *("removed_at", "last_used_at"),
)
_SINCE = ("present_since", "evidence_since", "unattributed_at")
"""Times before which silence proves nothing, or callers are unknown."""

_IDS = (
    *("endpoint_id", "failure_id", "id", "shape_id", "release_id", "caller_id"),
    *("first_release_id", "last_release_id", "first_called_release_id", "last_called_release_id"),
)
_REASONS = ("", "error", "slow", "sample")


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for the values of one column.

    Attributes:
        says: Completes the sentence ``… is``.
        holds: Returns true if a value is valid.
        instead: Returns the nearest valid replacement of an invalid value; takes the value and
            the present in microseconds.
    """

    says: str
    holds: Callable[[Any], bool]
    instead: Callable[[Any, int], Any]


class Wrong(NamedTuple):
    """An invalid value: the name of its column, and the rule that it breaks."""

    column: str
    says: str


def wrong_values(table: str, values: Mapping[str, Any]) -> Iterator[Wrong]:
    """The invalid values of a row.

    Args:
        table: Name of one of `MOVED`.
        values: Values by column, of all columns of the table.
    """
    rules, found = RULES[table], False
    for name, value in values.items():
        if not rules[name].holds(value):
            found = True
            yield Wrong(name, rules[name].says)
    if table == BUCKET.name and not found and values["bucket"] * values["tier"] > _LAST_SECOND:
        yield Wrong("bucket", "later than any clock tells")


def sound_values(table: sa.Table, values: Mapping[str, Any], now_us: int) -> dict[str, Any] | None:
    """Valid replacements for the invalid values of a row.

    Args:
        table: One of `MOVED`.
        values: Values by column; at least one is invalid.
        now_us: Microseconds since the epoch.

    Returns:
        None if the row is meaningless without its invalid values and must be deleted.
    """
    changes: dict[str, Any] = {}
    for name, _ in wrong_values(table.name, values):
        if table.c[name].primary_key or name in _NEEDED.get(table.name, ("app",)):
            return None
        changes[name] = RULES[table.name][name].instead(values[name], now_us)
    return changes


_NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {ENDPOINT.name: ("app", "method", "path"), REQUEST.name: ("app", "endpoint_id", "method")}
)
"""Columns besides the primary key without which a row is meaningless."""


def _number(least: int, most: int, *, is_time: bool = False) -> Rule:
    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    def instead(value: Any, now_us: int) -> int:
        if not isinstance(value, int | float) or value != value:  # noqa: PLR0124  No number at all.
            return max(0, least)
        if value > most and is_time:
            return now_us
        return int(max(least, min(most, value)))

    return Rule(f"not a whole number from {least} to {most}", holds, instead)


def _text(longest: int) -> Rule:
    def holds(value: Any) -> bool:
        return isinstance(value, str) and len(value) <= longest and storable(value) == value

    def instead(value: Any, _now_us: int) -> str:
        return storable(value)[:longest] if isinstance(value, str) else ""

    return Rule(f"not a text of at most {longest:,} letters that a database takes", holds, instead)


def _one_of(*values: Any) -> Rule:
    def holds(value: Any) -> bool:
        return isinstance(value, type(values[0])) and value in values

    listed = ", ".join(map(repr, values))
    return Rule(f"none of {listed}", holds, lambda _value, _now_us: values[0])


def _is_list_of_texts(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return False
    try:
        found: Any = json.loads(value)
        return isinstance(found, list) and all(_TEXT.holds(one) for one in found)  # pyright: ignore[reportUnknownVariableType]  JSON.
    except (ValueError, RecursionError):
        return False


def _zero(_value: Any, _now_us: int) -> int:
    return 0


def _is_overrides(value: Any) -> bool:
    if not _TEXT.holds(value):
        return False
    try:
        overrides_of(json.loads(value))
    except (ValueError, RecursionError, OverrideError):
        return False
    return True


def _is_histogram(value: Any) -> bool:
    return isinstance(value, bytes) and Histogram.is_whole(value)


_TEXT = _text(LONGEST_TEXT)
_ID = _number(0, MAX_ID)
_TIME = _number(0, MAX_TIME_US, is_time=True)
_TEXTS: Mapping[str, Rule] = MappingProxyType(
    {
        "reason": _one_of(*_REASONS),
        "overrides": Rule("not valid overrides", _is_overrides, lambda _value, _now_us: None),
        "tags": Rule("not a list of texts", _is_list_of_texts, lambda _value, _now_us: "[]"),
    }
)
_DAY = _number(0, _LAST_SECOND // Tier.DAY)
_LONGEST_GAP = 800
"""Days of a gap that is not known: longer than any that a verdict need tell apart."""


def _now(_value: Any, now_us: int) -> int:
    return now_us


def _today(_value: Any, now_us: int) -> int:
    return now_us // (Tier.DAY * 1_000_000)


def _one(_value: Any, _now_us: int) -> int:
    return 1


def _longest_gap(_value: Any, _now_us: int) -> int:
    return _LONGEST_GAP


_LATE_DAY = replace(_DAY, instead=_today)

_OTHERS: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(_TIMES, _TIME),
        # Never earlier than a wrong one may have stood for.
        **dict.fromkeys(_SINCE, Rule(_TIME.says, _TIME.holds, lambda _value, now_us: now_us)),
        **dict.fromkeys(_IDS, _ID),
        # As if no batch had named its callers.
        "attributed_until": replace(_TIME, instead=_zero),
        "bucket": _number(0, _LAST_SECOND // Tier.MINUTE),
        "clock_ahead_us": _number(-MAX_TIME_US, MAX_TIME_US),
        "day": _DAY,
        "duration_us": _number(0, MOST_ADDED_US),
        "hour": _number(0, _LAST_SECOND // Tier.HOUR),
        "is_noise": _number(0, 1),
        # What cannot be read was not observed.
        "minutes": replace(_number(0, (1 << 60) - 1), instead=_zero),
        "histogram": Rule("not a histogram", _is_histogram, lambda _value, _now_us: b""),
        "status": _number(_FIRST_STATUS, _LAST_STATUS),
        "tier": _one_of(*(tier.value for tier in Tier)),
        "week": _number(0, _LAST_SECOND // Tier.WEEK),
    }
)
"""Rules by the name of the column, in any table."""

_OF_TABLES: Mapping[tuple[str, str], Rule] = MappingProxyType(
    {
        # Nobody knows how many callers a damaged kind stood for.
        (CALLER.name, "kind"): _one_of(CallerKind.NONE.value, *(kind.value for kind in CallerKind)),
        # A caller with a damaged row must not look as if it had been silent for long, or often.
        (USE.name, "last_at"): replace(_TIME, instead=_now),
        (USE.name, "first_day"): _LATE_DAY,
        (USE.name, "last_day"): _LATE_DAY,
        (USE.name, "refused_day"): _LATE_DAY,
        (USE.name, "days"): replace(_number(0, MOST), instead=_one),
        (USE.name, "max_gap"): replace(_number(0, _LAST_SECOND // Tier.DAY), instead=_longest_gap),
    }
)
"""Rules of columns whose name has another meaning, or another replacement, in one table."""


def _false(_value: Any, _now_us: int) -> bool:
    return False


def _rule_of(column: sa.Column[Any]) -> Rule:
    own = _OF_TABLES.get((column.table.name, column.name))
    if own is not None:
        return own
    # SQLModel wraps the type of a text with a length.
    kind: Any = column.type.impl if isinstance(column.type, sa.TypeDecorator) else column.type
    if isinstance(kind, sa.Boolean):
        # As the driver returns it: a number with MariaDB and SQLite.
        rule = Rule("neither true nor false", lambda value: value in (0, 1), _false)
    elif isinstance(kind, sa.String):
        rule = _TEXTS.get(column.name, _text(kind.length or LONGEST_TEXT))
    else:
        rule = _OTHERS.get(column.name, _number(0, MOST))
    return rule if not column.nullable else or_null(rule)


def or_null(rule: Rule) -> Rule:
    """The same rule, which also accepts null, and replaces invalid values with null."""
    return Rule(
        rule.says, lambda value: value is None or rule.holds(value), lambda _value, _now_us: None
    )


RULES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        table.name: MappingProxyType({column.name: _rule_of(column) for column in table.c})
        for table in MOVED
    }
)
