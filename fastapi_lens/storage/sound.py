"""What is read of rows, whatever they hold: numbers that are none must not take a page down.

Imports refuse such values and ``doctor --mend`` sets them right; here the pages get the nearest
that can be until then. Judges by `storage.row_checks`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.row_checks import MAX_ID, MAX_TIME_US, RULES, Rule, or_null

_NONE: Mapping[str, sa.Column[Any]] = MappingProxyType({})


def whole(value: Any, most: int = MAX_ID) -> int:
    """A number from 0 to `most`; 0 for what is none."""
    if type(value) is int and 0 <= value <= most:
        return value
    # What a server adds up may come as a decimal number.
    try:
        return max(0, min(most, int(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


def sound_rows(
    rows: Iterable[Any], table: sa.Table, joined: Mapping[str, sa.Column[Any]] = _NONE
) -> list[Any]:
    """Rows whose columns of a table hold what they can, and others what they are.

    Args:
        rows: Of SQLAlchemy, with names.
        table: One of those that are moved.
        joined: Columns of other tables that are moved, by their names in the rows; what cannot be
            in one is None, as where there is no row to join.
    """
    others = {name: or_null(RULES[of.table.name][of.name]) for name, of in joined.items()}
    rules = {**RULES[table.name], **others}
    return [_sound(row, rules) for row in rows]


def _sound(row: Any, rules: Mapping[str, Rule]) -> Any:
    mapping = row._mapping  # noqa: SLF001  Documented, so named for clashes.
    if all(rules[name].holds(value) for name, value in mapping.items() if name in rules):
        return row
    return SimpleNamespace(
        **{
            name: value
            if name not in rules or rules[name].holds(value)
            else rules[name].instead(value, MAX_TIME_US)
            for name, value in mapping.items()
        }
    )
