"""Facts of endpoints: their rows, and `Endpoint` objects made of a row and its usage."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.reporting.totals.aggregate import usage_of_sums
from fastapi_lens.reporting.totals.bucket_rows import Row, fetched
from fastapi_lens.settings.status import Thresholds, classify
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import ENDPOINT, STATUS
from fastapi_lens.storage.writing.open_calls import Open
from fastapi_lens.text.json_values import is_list

_NAMES = (
    *("id", "method", "path", "kind", "name", "source", "summary", "tags", "deprecated"),
    *("first_seen_at", "first_called_at", "last_called_at", "total_calls"),
)
FACTS = tuple(ENDPOINT.c[name] for name in _NAMES)
"""The columns of a row."""

ID, METHOD, PATH, KIND, NAME = map(_NAMES.index, ("id", "method", "path", "kind", "name"))
FIRST_SEEN, FIRST_CALLED, LAST_CALLED, TOTAL = map(
    _NAMES.index, ("first_seen_at", "first_called_at", "last_called_at", "total_calls")
)
"""Positions of these columns in a row."""

_TAGS = _NAMES.index("tags")


def read_used(
    connection: Connection, summed: sa.Subquery, *conditions: sa.ColumnElement[bool]
) -> list[tuple[Row, Usage]]:
    """Read rows of `FACTS` with the usage of the endpoints, ordered by path and method.

    Rows with an invalid id are left out.

    Args:
        connection: In a transaction.
        summed: See `aggregate.summed`.
        conditions: Conditions on the endpoints.
    """
    identity, *numbers = summed.c
    joined = ENDPOINT.outerjoin(summed, identity == ENDPOINT.c.id)
    rows = fetched(connection, sa.select(*FACTS, *numbers).select_from(joined).where(*conditions))
    size = len(FACTS)
    used = [
        (sound_facts(row[:size]), usage_of_sums(row[size:]))
        for row in yield_gil(rows)
        if isinstance(row[ID], int)
    ]
    # Not by the database, whose order of texts depends on its collation.
    return sorted(used, key=lambda one: (one[0][PATH], one[0][METHOD]))


def read_one(
    connection: Connection, identity: int, app: str, days: tuple[int, int], now: float
) -> tuple[Row, list[tuple[int, int]]] | None:
    """Read the row of `FACTS` of one endpoint, and its status codes; None if it does not exist.

    Args:
        connection: In a transaction.
        identity: Its id.
        app: The app that it belongs to.
        days: The first and the last day whose codes are added up, counted from the epoch.
        now: Epoch seconds.

    Returns:
        The row, and each code with its calls, the most frequent first.
    """
    codes = _codes(identity, days, now)
    rows = fetched(
        connection,
        sa.select(*FACTS, *codes.c)
        .select_from(ENDPOINT.outerjoin(codes, sa.true()))
        .where(ENDPOINT.c.id == identity, ENDPOINT.c.app == app),
    )
    if not rows:
        return None
    size = len(FACTS)
    counted = [(whole(code), whole(calls)) for *_, code, calls in rows if calls is not None]
    return sound_facts(rows[0][:size]), sorted(counted, key=lambda one: (-one[1], one[0]))


def _codes(identity: int, days: tuple[int, int], now: float) -> sa.Subquery:
    since, until = days
    today = int(now) // Tier.DAY
    # Clocks of other hosts may be ahead of ours, by less than a day.
    last = min(until, today) + (until >= today)
    # Listed individually, because rows are ordered by day.
    named = STATUS.c.day.in_(range(since, last + 1))
    calls = sa.func.sum(STATUS.c.calls)
    return (
        sa.select(STATUS.c.status, calls.label("status_calls"))
        .where(STATUS.c.day >= since, named, STATUS.c.endpoint_id == identity)
        .group_by(STATUS.c.status)
        .having(calls > 0)
        .subquery()
    )


def sound_facts(row: Row) -> Row:
    """A row with values of the right types; the same row if it is valid already."""
    texts, numbers = row[METHOD : _TAGS + 1], row[FIRST_SEEN:]
    if all(type(one) is int and 0 <= one <= MAX_TIME_US for one in numbers) and all(
        type(one) is str for one in texts
    ):
        return row
    sound = (whole(one, MAX_TIME_US) for one in numbers)
    return (row[ID], *map(str, texts), row[_TAGS + 1], *sound)


def endpoint_of(row: Row, usage: Usage, thresholds: Thresholds, *, now: float) -> Endpoint:
    """An endpoint with its status at a time."""
    identity, method, path, kind, name, source, summary, tags, deprecated, *times = row
    first_seen, first, last, total_calls = times
    last_called_at = _seconds(last)
    return Endpoint(
        id=identity,
        method=method,
        path=path,
        kind=kind,
        name=name,
        source=source,
        summary=summary,
        tags=_tags(tags),
        deprecated=bool(deprecated),
        first_seen_at=first_seen / 1_000_000,
        first_called_at=_seconds(first),
        last_called_at=last_called_at,
        total_calls=total_calls,
        status=classify(last_called_at, now=now, thresholds=thresholds),
        usage=usage,
    )


def with_open(endpoint: Endpoint, opened: Mapping[int, Open]) -> Endpoint:
    """An endpoint with its open calls."""
    found = opened.get(endpoint.id)
    if found is None:
        return endpoint
    return replace(
        endpoint, open_connections=found.connections, open_since=_seconds(found.since_us)
    )


@lru_cache(maxsize=1_024)
def _tags(text: str) -> tuple[str, ...]:
    """Parsed tags; cached, because many endpoints share the same tags."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    tags = found if is_list(found) else []
    return tuple(one for one in tags if isinstance(one, str))


def _seconds(microseconds: int) -> float | None:
    return microseconds / 1_000_000 if microseconds else None
