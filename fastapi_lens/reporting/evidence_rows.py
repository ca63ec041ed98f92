"""Rows that verdicts are made of: endpoints, their used days and weeks, and refused calls.

Judges nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.bucket_rows import Row, fetched
from fastapi_lens.reporting.endpoint_rows import FACTS, ID, METHOD, PATH, sound_facts
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS
from fastapi_lens.verdict.history import REFUSED

IDS_AT_ONCE = 500
"""Endpoints of one query; databases limit the parameters of a statement."""

DAYS_PER_WEEK = 7

_TIMES = ("last_seen_at", "present_since", "evidence_since", "removed_at", "last_used_at")
_IDS = (
    *("shape_id", "first_release_id", "last_release_id"),
    *("first_called_release_id", "last_called_release_id"),
)
_COLUMNS = (*FACTS, *(ENDPOINT.c[name] for name in (*_TIMES, *_IDS)), ENDPOINT.c.overrides)
_TIMES_AT, _IDS_AT = len(FACTS), len(FACTS) + len(_TIMES)


@dataclass(frozen=True, slots=True)
class Stored:
    """One endpoint as its row tells; times in microseconds since the epoch, 0 for none.

    Attributes:
        facts: The columns of `endpoint_rows.FACTS`.
        overrides: The ``x-lens`` mapping of its route as JSON; None without one.
    """

    facts: Row
    last_seen_at: int
    present_since: int
    evidence_since: int
    removed_at: int
    last_used_at: int
    shape_id: int
    first_release_id: int
    last_release_id: int
    first_called_release_id: int
    last_called_release_id: int
    overrides: str | None

    @property
    def id(self) -> int:
        """Its id."""
        identity: int = self.facts[ID]
        return identity

    @property
    def method(self) -> str:
        """Its method."""
        return str(self.facts[METHOD])

    @property
    def path(self) -> str:
        """Its path template."""
        return str(self.facts[PATH])


@dataclass(slots=True)
class Calls:
    """Calls of one endpoint, as far as rows of days and weeks are kept.

    Attributes:
        days: Days with a use.
        weeks: First days of weeks with a use, which end before the first day that is kept.
        refused: Days with a refused call.
        refused_calls: Number of refused calls on them.
    """

    days: set[int] = field(default_factory=set[int])
    weeks: set[int] = field(default_factory=set[int])
    refused: set[int] = field(default_factory=set[int])
    refused_calls: int = 0


def read_endpoints(
    connection: Connection, app: str, *conditions: sa.ColumnElement[bool]
) -> list[Stored]:
    """The endpoints of an app by path and method, also those that are removed.

    Rows with an invalid id are left out.

    Args:
        connection: In a reading transaction.
        app: Name of the app.
        conditions: Further conditions on the rows.
    """
    rows = fetched(connection, sa.select(*_COLUMNS).where(ENDPOINT.c.app == app, *conditions))
    found = [_stored(row, app) for row in yield_gil(rows) if isinstance(row[ID], int)]
    return sorted(found, key=lambda one: (one.path, one.method))


def read_shape(connection: Connection, app: str, identity: int) -> list[Stored]:
    """The endpoints that share the shape of one of them, which is among them if it exists."""
    of_it = sa.select(ENDPOINT.c.shape_id).where(ENDPOINT.c.id == identity).scalar_subquery()
    # Workers of an older release leave the shapes of new endpoints out.
    found = read_endpoints(connection, app, ENDPOINT.c.shape_id.in_([of_it, 0]))
    shape = next((one.shape_id for one in found if one.id == identity), None)
    return [one for one in found if one.shape_id == shape]


def read_calls(
    connection: Connection, ids: Sequence[int], *, first_day: int, today: int, first_week: int
) -> dict[int, Calls]:
    """The used and refused days and weeks of some endpoints.

    Args:
        connection: In a reading transaction.
        ids: The endpoints.
        first_day: First day whose rows are kept.
        today: The present day. Clocks of other hosts may be ahead of ours by less than a day.
        first_week: A day of the first week to read.
    """
    found = {identity: Calls() for identity in ids}
    for identity, day, status, calls in yield_gil(_statuses(connection, ids, first_day, today)):
        of_endpoint = found[identity]
        if status in REFUSED:
            of_endpoint.refused.add(day)
            of_endpoint.refused_calls += whole(calls)
        else:
            of_endpoint.days.add(min(day, today))
    for identity, week in _weeks(connection, ids, first_week, first_day):
        found[identity].weeks.add(week * DAYS_PER_WEEK)
    return found


def read_uses(
    connection: Connection, ids: Sequence[int], *, first_day: int, today: int
) -> dict[int, dict[int, int]]:
    """Calls of some endpoints that are uses: by endpoint, and by day.

    Args:
        connection: In a reading transaction.
        ids: The endpoints.
        first_day: First day to read.
        today: The present day, see `read_calls`.
    """
    found: dict[int, dict[int, int]] = {identity: {} for identity in ids}
    for identity, day, status, calls in yield_gil(_statuses(connection, ids, first_day, today)):
        if status not in REFUSED:
            of_endpoint = found[identity]
            of_endpoint[min(day, today)] = of_endpoint.get(min(day, today), 0) + whole(calls)
    return found


def _stored(row: Row, app: str) -> Stored:
    facts, overrides = sound_facts(row[:_TIMES_AT]), row[-1]
    times = (whole(one, MAX_TIME_US) for one in row[_TIMES_AT:_IDS_AT])
    numbers = dict(zip((*_TIMES, *_IDS), (*times, *map(whole, row[_IDS_AT:-1])), strict=True))
    numbers["shape_id"] = numbers["shape_id"] or shape_id(app, facts[METHOD], facts[PATH])
    text = overrides if isinstance(overrides, str) else None
    return Stored(facts=facts, overrides=text, **numbers)


def _statuses(
    connection: Connection, ids: Sequence[int], first_day: int, today: int
) -> Iterable[Any]:
    # Listed one by one, because rows are ordered by day.
    days = STATUS.c.day.in_(range(first_day, today + 2))
    columns = STATUS.c.endpoint_id, STATUS.c.day, STATUS.c.status, STATUS.c.calls
    for part in _parts(ids):
        of_part = STATUS.c.endpoint_id.in_(part)
        yield from fetched(connection, sa.select(*columns).where(days, of_part, STATUS.c.calls > 0))


def _weeks(
    connection: Connection, ids: Sequence[int], first_week: int, first_day: int
) -> Iterable[Any]:
    """Used weeks that end before a day."""
    weeks = range(first_week // DAYS_PER_WEEK, first_day // DAYS_PER_WEEK)
    for part in _parts(ids if weeks else ()):
        yield from fetched(
            connection,
            sa.select(BUCKET.c.endpoint_id, BUCKET.c.bucket).where(
                BUCKET.c.tier == Tier.WEEK.value,
                BUCKET.c.bucket.in_(weeks),
                BUCKET.c.endpoint_id.in_(part),
                BUCKET.c.calls > BUCKET.c.errors_4xx,
            ),
        )


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), IDS_AT_ONCE):
        yield ids[begin : begin + IDS_AT_ONCE]
