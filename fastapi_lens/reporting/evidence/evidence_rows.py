"""Rows that verdicts are made of: endpoints, their used days and weeks, and refused calls.

Judges nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.ledger.caller_rows import unattributed_us
from fastapi_lens.reporting.totals.bucket_rows import Row, fetched
from fastapi_lens.reporting.totals.endpoint_rows import (
    FACTS,
    ID,
    LAST_CALLED,
    METHOD,
    PATH,
    sound_facts,
)
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS
from fastapi_lens.verdict.history import NOISE_WINDOW, REFUSED

IDS_AT_ONCE = 500
"""Endpoints of one query; databases limit the parameters of a statement."""

_ALIKE = 100
"""Endpoints of one query for days up to their last call: about as many days for each of them."""

DAYS_PER_WEEK = 7
_OF_CALLERS = ("attributed_until", "unattributed_at")
_TIMES = (
    *("last_seen_at", "present_since", "evidence_since", "removed_at", "last_used_at"),
    *_OF_CALLERS,
)
_IDS = (
    *("shape_id", "first_release_id", "last_release_id"),
    *("first_called_release_id", "last_called_release_id", "callers"),
)
_COLUMNS = (*FACTS, *(ENDPOINT.c[name] for name in (*_TIMES, *_IDS)), ENDPOINT.c.overrides)
_TIMES_AT, _IDS_AT = len(FACTS), len(FACTS) + len(_TIMES)


_Where = tuple[sa.ColumnElement[bool], ...]
_IS_USE = STATUS.c.status.not_in(REFUSED)


@dataclass(frozen=True, slots=True)
class Stored:
    """One endpoint as its row tells; times in microseconds since the epoch, 0 for none.

    Attributes:
        facts: The columns of `endpoint_rows.FACTS`.
        callers: Number of its rows in the ledger of callers.
        overrides: The ``x-lens`` mapping of its route as JSON; None without one.
    """

    facts: Row
    last_seen_at: int
    present_since: int
    evidence_since: int
    removed_at: int
    last_used_at: int
    attributed_until: int
    unattributed_at: int
    shape_id: int
    first_release_id: int
    last_release_id: int
    first_called_release_id: int
    last_called_release_id: int
    callers: int
    overrides: str | None

    @property
    def unattributed_us(self) -> int:
        """Time of its latest call without a caller, in microseconds; 0 without any."""
        last_us: int = self.facts[LAST_CALLED]
        return unattributed_us(last_us, self.attributed_until, self.unattributed_at)

    @property
    def has_callers(self) -> bool:
        """True if callers of it were recorded at some time."""
        return bool(self.attributed_until or self.callers)

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
        days: Days with a use, in any order, some of them more than once.
        weeks: First days of weeks with a use, up to the week of the first day that is kept.
        refused: Days of the last `NOISE_WINDOW` with a refused call, some more than once.
        refused_calls: Refused calls on all days that are kept, see `read_refused`.
    """

    days: list[int] = field(default_factory=list[int])
    weeks: list[int] = field(default_factory=list[int])
    refused: list[int] = field(default_factory=list[int])
    refused_calls: int = 0

    @property
    def has_use(self) -> bool:
        """True if rows that are kept tell of a use."""
        return bool(self.days or self.weeks)


@dataclass(frozen=True, slots=True)
class Reach:
    """The days that are read.

    Attributes:
        first_day: First day whose rows are kept.
        today: The present day. Clocks of other hosts may be ahead of ours by less than a day, so
            that the next one is read as well.
    """

    first_day: int
    today: int

    def days(self, since: int = 0) -> range:
        """The days to read, from one on."""
        return range(max(since, self.first_day), self.today + 2)


@dataclass(frozen=True, slots=True)
class KnownCalls:
    """Calls of one endpoint that were read before; they are the same while its row is.

    Every call changes the row, in the transaction that writes its day.

    Attributes:
        row: The row at that time.
        reach: The days that were read.
        calls: The calls that were read.
    """

    row: Stored
    reach: Reach
    calls: Calls


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
    connection: Connection, last_days: Mapping[int, int], reach: Reach, *, first_week: int
) -> dict[int, Calls]:
    """The used and refused days and weeks of some endpoints.

    Args:
        connection: In a reading transaction.
        last_days: The day of the last call of each endpoint.
        reach: The days to read.
        first_week: A day of the first week to read.
    """
    found = {identity: Calls() for identity in last_days}
    columns = STATUS.c.endpoint_id, STATUS.c.day
    for where in _up_to(last_days, reach.days()):
        used = fetched(connection, sa.select(*columns).where(*where, _IS_USE))
        for identity, day in yield_gil(used):
            found[identity].days.append(day)
    for where in _up_to(last_days, reach.days(reach.today - NOISE_WINDOW + 1)):
        for identity, day in fetched(connection, sa.select(*columns).where(*where, ~_IS_USE)):
            found[identity].refused.append(day)
    for identity, week in _weeks(connection, sorted(last_days), first_week, reach.first_day):
        found[identity].weeks.append(week * DAYS_PER_WEEK)
    return found


def read_refused(connection: Connection, ids: Sequence[int], reach: Reach) -> Counter[int]:
    """Number of refused calls of some endpoints, on all days that are kept."""
    found = Counter[int]()
    columns = STATUS.c.endpoint_id, STATUS.c.calls
    for where in _conditions(ids, reach.days()):
        for identity, calls in fetched(connection, sa.select(*columns).where(*where, ~_IS_USE)):
            found[identity] += whole(calls)
    return found


def read_uses(
    connection: Connection, ids: Sequence[int], reach: Reach, *, since: int
) -> dict[int, Counter[int]]:
    """Calls of some endpoints that are uses: by endpoint, and by the number of weeks ago.

    Args:
        connection: In a reading transaction.
        ids: The endpoints.
        reach: The days to read.
        since: First day.
    """
    found = {identity: Counter[int]() for identity in ids}
    # One week more, because databases differ in the division of negative numbers.
    weeks = ((reach.today + DAYS_PER_WEEK - STATUS.c.day) // DAYS_PER_WEEK).label("weeks")
    # The sum of big integers is a decimal number on PostgreSQL.
    calls = sa.cast(sa.func.sum(STATUS.c.calls), sa.BigInteger)
    rows = sa.select(STATUS.c.endpoint_id, weeks, calls).group_by(STATUS.c.endpoint_id, weeks)
    for where in _conditions(ids, reach.days(since)):
        for identity, week, added in fetched(connection, rows.where(*where, _IS_USE)):
            found[identity][max(0, whole(week) - 1)] += whole(added)
    return found


def _stored(row: Row, app: str) -> Stored:
    facts, overrides = sound_facts(row[:_TIMES_AT]), row[-1]
    times = (whole(one, MAX_TIME_US) for one in row[_TIMES_AT:_IDS_AT])
    numbers = dict(zip((*_TIMES, *_IDS), (*times, *map(whole, row[_IDS_AT:-1])), strict=True))
    for at, name in enumerate(_OF_CALLERS, _TIMES_AT + len(_TIMES) - len(_OF_CALLERS)):
        # No call is attributed because a row is damaged.
        if not isinstance(row[at], int) or row[at] < 0:
            numbers[name] = MAX_TIME_US
    # A worker of an older release has registered it.
    numbers["shape_id"] = numbers["shape_id"] or shape_id(app, facts[METHOD], facts[PATH])
    text = overrides if isinstance(overrides, str) else None
    return Stored(facts=facts, overrides=text, **numbers)


def _up_to(last_days: Mapping[int, int], days: range) -> Iterator[_Where]:
    """The same as `_conditions`, without the days after the last calls."""
    ordered = sorted((day, identity) for identity, day in last_days.items() if day >= days.start)
    for begin in range(0, len(ordered), _ALIKE):
        part = ordered[begin : begin + _ALIKE]
        until = min(days.stop, part[-1][0] + 1)
        yield from _conditions([identity for _, identity in part], range(days.start, until))


def _conditions(ids: Sequence[int], days: range) -> Iterator[_Where]:
    """Conditions for the rows of some endpoints on some days, for several queries.

    The days are listed, because rows are ordered by day.
    """
    for part in _parts(ids):
        yield STATUS.c.day.in_(days), STATUS.c.endpoint_id.in_(part), STATUS.c.calls > 0


def _weeks(
    connection: Connection, ids: Sequence[int], first_week: int, first_day: int
) -> Iterator[Row]:
    """Used weeks up to that of the first day that is kept."""
    weeks = range(first_week // DAYS_PER_WEEK, first_day // DAYS_PER_WEEK + 1)
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
