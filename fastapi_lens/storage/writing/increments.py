"""How counts are added to the rows that are shown: what each column becomes."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.engine.bulk_update import BulkUpdate
from fastapi_lens.storage.engine.row_update import New
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS

_NUMBER = sa.BigInteger
_NEVER: sa.ColumnElement[int] = sa.literal_column("0", sa.BigInteger())


def _endpoint(new: New) -> Mapping[str, sa.ColumnElement[Any]]:
    told, first, last = ENDPOINT.c, new("first_at"), new("last_at")
    is_first = (told.first_called_at == _NEVER) | (told.first_called_at > first)
    # A time that lies ahead came from a wrong clock.
    is_last = (told.last_called_at < last) | (told.last_called_at > new("ahead"))
    return {
        "total_calls": told.total_calls + new("add_calls"),
        "first_called_at": sa.case((is_first, first), else_=told.first_called_at),
        "last_called_at": sa.case((is_last, last), else_=told.last_called_at),
    }


def _bucket(new: New) -> Mapping[str, sa.ColumnElement[Any]]:
    return {
        **{name: BUCKET.c[name] + new(f"add_{name}") for name in COUNTERS},
        "max_us": new("new_max_us"),
        "histogram": new("new_histogram"),
    }


UPDATE_ENDPOINT = BulkUpdate(
    ENDPOINT, dict.fromkeys(("add_calls", "first_at", "last_at", "ahead"), _NUMBER), _endpoint
)
UPDATE_BUCKET = BulkUpdate(
    BUCKET,
    {
        **dict.fromkeys([f"add_{name}" for name in COUNTERS], _NUMBER),
        "new_max_us": _NUMBER,
        "new_histogram": sa.LargeBinary,
    },
    _bucket,
)
"""Its row must be locked: the maximum and the histogram replace what was there."""

UPDATE_STATUS = BulkUpdate(
    STATUS, {"add_calls": _NUMBER}, lambda new: {"calls": STATUS.c.calls + new("add_calls")}
)
