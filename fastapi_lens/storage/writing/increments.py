"""Update rules for the rows that are shown: the new value of each column."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.engine.bulk_update import BulkUpdate
from fastapi_lens.storage.engine.row_update import New
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.tables import BUCKET, CALLER, ENDPOINT, STATUS, USE, USE_WEEK

_NUMBER = sa.BigInteger
_NEVER: sa.ColumnElement[int] = sa.literal_column("0", sa.BigInteger())


def _endpoint(new: New) -> Mapping[str, sa.ColumnElement[Any]]:
    stored, first, last, used = ENDPOINT.c, new("first_at"), new("last_at"), new("used_at")
    is_first = (stored.first_called_at == _NEVER) | (stored.first_called_at > first)
    # A time in the future came from a wrong clock.
    is_last = (stored.last_called_at < last) | (stored.last_called_at > new("ahead"))
    was_used = (stored.last_used_at < used) | (stored.last_used_at > new("ahead"))
    is_attributed = new("is_attributed") > _NEVER
    return {
        "total_calls": stored.total_calls + new("add_calls"),
        # Before the times that they depend on: MariaDB assigns from left to right.
        "unattributed_at": _unattributed_at(new),
        "attributed_until": sa.case(
            (is_attributed & is_last, last),
            (is_attributed, stored.last_called_at),
            else_=stored.attributed_until,
        ),
        "first_called_release_id": sa.case(
            (is_first, new("first_release")), else_=stored.first_called_release_id
        ),
        "last_called_release_id": sa.case(
            (is_last, new("last_release")), else_=stored.last_called_release_id
        ),
        "first_called_at": sa.case((is_first, first), else_=stored.first_called_at),
        "last_called_at": sa.case((is_last, last), else_=stored.last_called_at),
        # A batch without a use must not replace a time in the future by 0.
        "last_used_at": sa.case(((used > _NEVER) & was_used, used), else_=stored.last_used_at),
    }


def _unattributed_at(new: New) -> sa.ColumnElement[int]:
    """The time of the last call that was counted without a caller.

    If the stored last call is not the one that the latest attributed batch left, then somebody who
    names no callers has counted it: an older release, or an import.
    """
    stored, last, unattributed = ENDPOINT.c, new("last_at"), new("unattributed")
    ahead = new("ahead")
    # A time in the future came from a wrong clock; the call may have been made just now.
    known = sa.case((stored.unattributed_at > ahead, last), else_=stored.unattributed_at)
    called = sa.case((stored.last_called_at > ahead, last), else_=stored.last_called_at)
    is_foreign = (
        (new("is_attributed") > _NEVER)
        & (stored.last_called_at != stored.attributed_until)
        & (called > known)
    )
    return sa.case(
        (is_foreign & (called >= unattributed), called),
        (unattributed > known, unattributed),
        else_=known,
    )


def _bucket(new: New) -> Mapping[str, sa.ColumnElement[Any]]:
    return {
        **{name: BUCKET.c[name] + new(f"add_{name}") for name in COUNTERS},
        "max_us": new("new_max_us"),
        "histogram": new("new_histogram"),
    }


UPDATE_ENDPOINT = BulkUpdate(
    ENDPOINT,
    dict.fromkeys(
        (
            *("add_calls", "first_at", "last_at", "used_at", "ahead"),
            *("first_release", "last_release", "is_attributed", "unattributed"),
        ),
        _NUMBER,
    ),
    _endpoint,
)
"""`used_at` is the time of the last call that was no refusal; 0 if there was none. The releases are
those of the workers that recorded the first and the last call. `is_attributed` is 1 if callers of
some calls are known, and `unattributed` the time of the last call without one; 0 if there is none.
"""

UPDATE_BUCKET = BulkUpdate(
    BUCKET,
    {
        **dict.fromkeys([f"add_{name}" for name in COUNTERS], _NUMBER),
        "new_max_us": _NUMBER,
        "new_histogram": sa.LargeBinary,
    },
    _bucket,
)
"""Requires a locked row: the maximum and the histogram replace the stored ones."""

UPDATE_STATUS = BulkUpdate(
    STATUS, {"add_calls": _NUMBER}, lambda new: {"calls": STATUS.c.calls + new("add_calls")}
)

ADD_CALLERS = BulkUpdate(
    ENDPOINT,
    {"add_callers": _NUMBER},
    lambda new: {"callers": ENDPOINT.c.callers + new("add_callers")},
)

_TOTALS = [column.name for column in USE.columns if not column.primary_key]

UPDATE_USE = BulkUpdate(
    USE,
    dict.fromkeys([f"new_{name}" for name in _TOTALS], _NUMBER),
    lambda new: {name: new(f"new_{name}") for name in _TOTALS},
)
"""Requires a locked row: the values replace the stored ones."""

UPDATE_USE_WEEK = BulkUpdate(
    USE_WEEK, {"add_calls": _NUMBER}, lambda new: {"calls": USE_WEEK.c.calls + new("add_calls")}
)

UPDATE_CALLER = BulkUpdate(
    CALLER,
    {"new_first_at": _NUMBER, "new_last_at": _NUMBER},
    lambda new: {"first_at": new("new_first_at"), "last_at": new("new_last_at")},
)
"""Requires a locked row, too."""
