"""The facts of an endpoint: its row, and an `Endpoint` made of the row and its usage."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.bucket_rows import Row, fetched
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.reporting.status import Thresholds, classify
from fastapi_lens.storage.clocks import EARLIEST
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.open_calls import Open
from fastapi_lens.storage.row_checks import MAX_TIME_US
from fastapi_lens.storage.snapshot import is_list
from fastapi_lens.storage.sound import whole
from fastapi_lens.storage.tables import ENDPOINT

_NAMES = (
    *("id", "method", "path", "kind", "name", "source", "summary", "tags", "deprecated"),
    *("first_seen_at", "first_called_at", "last_called_at", "total_calls"),
)
FACTS = tuple(ENDPOINT.c[name] for name in _NAMES)
"""The columns of a row."""

ID, METHOD, PATH, FIRST_CALLED, TOTAL_CALLS = map(
    _NAMES.index, ("id", "method", "path", "first_called_at", "total_calls")
)
"""Where they are in it."""

_TAGS, _FIRST_NUMBER = _NAMES.index("tags"), _NAMES.index("first_seen_at")


def read_facts(connection: Connection, *conditions: sa.ColumnElement[bool]) -> list[Row]:
    """Read rows of `FACTS`; rows with an invalid id are left out."""
    rows = fetched(connection, sa.select(*FACTS).where(*conditions))
    return [_sound(row) for row in rows if isinstance(row[ID], int)]


def _sound(row: Row) -> Row:
    """A row with values of the right types; the same row if it is valid already."""
    texts, numbers = row[METHOD : _TAGS + 1], row[_FIRST_NUMBER:]
    if all(type(one) is int and 0 <= one <= MAX_TIME_US for one in numbers) and all(
        type(one) is str for one in texts
    ):
        return row
    sound = (whole(one, MAX_TIME_US) for one in numbers)
    return (row[ID], *map(str, texts), row[_TAGS + 1], *sound)


def endpoint_of(row: Row, usage: Usage, thresholds: Thresholds, *, now: float) -> Endpoint:
    """An endpoint with the status that it has at a moment."""
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


def as_of(endpoint: Endpoint, thresholds: Thresholds, *, now: float) -> Endpoint:
    """An endpoint with the status that it has at another moment."""
    status = classify(endpoint.last_called_at, now=now, thresholds=thresholds)
    return endpoint if status is endpoint.status else replace(endpoint, status=status)


def with_open(endpoint: Endpoint, opened: Mapping[int, Open]) -> Endpoint:
    """An endpoint with its open calls."""
    found = opened.get(endpoint.id)
    if found is None:
        return endpoint
    return replace(
        endpoint, open_connections=found.connections, open_since=_seconds(found.since_us)
    )


def first_week(rows: Iterable[Row]) -> int:
    """Start of the first week with calls, in epoch seconds: there are no older counts.

    Calls from a clock that was not set yet are left out.
    """
    first_us = min((row[FIRST_CALLED] for row in rows if row[TOTAL_CALLS]), default=0)
    first = max(int(first_us) // 1_000_000, int(EARLIEST))
    return first // Tier.WEEK * Tier.WEEK


@lru_cache(maxsize=1_024)
def _tags(text: str) -> tuple[str, ...]:
    """Of many endpoints few have tags that no other has."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    tags = found if is_list(found) else []
    return tuple(one for one in tags if isinstance(one, str))


def _seconds(microseconds: int) -> float | None:
    return microseconds / 1_000_000 if microseconds else None
