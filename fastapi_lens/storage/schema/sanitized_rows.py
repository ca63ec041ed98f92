"""Sanitized reading of rows: an invalid value in a row must not make a page fail.

Imports refuse such values and ``doctor --repair`` repairs them. Until then, pages get the nearest
valid value from here. Applies `storage.schema.row_checks`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeVar

import sqlalchemy as sa

from fastapi_lens.storage.schema.row_checks import MAX_ID, MAX_TIME_US, RULES, Rule, or_null

ObjectT = TypeVar("ObjectT")

_NONE: Mapping[str, sa.Column[Any]] = MappingProxyType({})


def whole(value: Any, most: int = MAX_ID) -> int:
    """Convert a value to an integer from 0 to `most`; 0 if it is no number."""
    if type(value) is int and 0 <= value <= most:
        return value
    # A server may return a sum as a decimal number.
    try:
        return max(0, min(most, int(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


def sound_rows(
    rows: Iterable[Any], table: sa.Table, joined: Mapping[str, sa.Column[Any]] = _NONE
) -> list[Any]:
    """Copies of rows with invalid values replaced; columns of no known table stay as they are.

    Args:
        rows: SQLAlchemy rows with named columns.
        table: One of `MOVED`.
        joined: Columns of other tables of `MOVED`, by their names in the rows; an invalid value of
            such a column becomes None, as if there were no row to join.
    """
    others = {name: or_null(RULES[of.table.name][of.name]) for name, of in joined.items()}
    rules = {**RULES[table.name], **others}
    return [_sound(row, rules) for row in rows]


def sound_objects(objects: Iterable[ObjectT], table: sa.Table) -> list[ObjectT]:
    """Objects of a table with invalid values replaced.

    Args:
        objects: Changed in place.
        table: One of `MOVED`.
    """
    found = list(objects)
    for one in found:
        for name, rule in RULES[table.name].items():
            value = getattr(one, name)
            if not rule.holds(value):
                setattr(one, name, rule.instead(value, MAX_TIME_US))
    return found


def _sound(row: Any, rules: Mapping[str, Rule]) -> Any:
    mapping = row._mapping  # noqa: SLF001  Documented, so named for clashes.
    if all(rules[name].holds(value) for name, value in mapping.items() if name in rules):
        return row
    # The latest time in place of the present: what cannot be read must not look silent.
    return SimpleNamespace(
        **{
            name: value
            if name not in rules or rules[name].holds(value)
            else rules[name].instead(value, MAX_TIME_US)
            for name, value in mapping.items()
        }
    )
