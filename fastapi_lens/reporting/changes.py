"""Changes of all endpoints of an app in a period, found in its bucket rows. Knows no HTML.

Rows of days that are over are kept in memory as the numbers that changes are found in, because
decoding the histograms of eight weeks takes seconds; rows of today and yesterday are read anew.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.changes.change import Change, Kind
from fastapi_lens.changes.changes import Facts, Period, changes_of
from fastapi_lens.changes.incidents import FEWEST_FAILURES
from fastapi_lens.changes.measures import FEWEST_CALLS
from fastapi_lens.changes.rows import DAY, Days, Durations, Row
from fastapi_lens.changes.usual import BASELINE_DAYS
from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.totals.bucket_rows import HISTOGRAM, fetched, fetched_in_parts
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import BUCKET
from fastapi_lens.verdict.days import Holes

HOURS = 24
AT_ONCE = 4_000
"""Rows that are fetched from the database at once, about 1 MB."""

MOST_READ = 500
"""Endpoints whose rows are read: those with the most calls. Of all others only their last calls and
marks tell, so that time and memory are bounded."""

MOST_DAYS = 30
"""Longest period in which changes are looked for, in days."""

_REREAD_DAYS = 2
"""Days up to today that are always read again: workers may write late."""

NO_DAYS = Days(())

_ORDER = {kind: number for number, kind in enumerate(Kind)}


class EndpointChange(NamedTuple):
    """A change of one endpoint."""

    endpoint: Endpoint
    change: Change


@dataclass(slots=True)
class KnownDays:
    """Rows of days that were read before, by endpoint and day.

    Attributes:
        ids: The endpoints whose rows were read.
        since: The first day that was read.
        until: The first day that was not read; 0 if none was.
    """

    ids: frozenset[int] = frozenset()
    since: int = 0
    until: int = 0
    rows: dict[int, dict[int, Row]] = field(default_factory=dict[int, dict[int, Row]])

    def forget(self, ids: frozenset[int], since: int) -> None:
        """Begin anew, with other endpoints or an earlier day."""
        self.ids, self.since, self.until = ids, since, since
        self.rows.clear()


@dataclass(frozen=True, slots=True)
class Watched:
    """The time in which calls of an app were recorded.

    Attributes:
        observation: Since when it is watched, and its holes.
        now: Epoch seconds.
        hours_kept: Seconds that rows of hours are kept; None for ever.
    """

    observation: Observation
    now: float
    hours_kept: int | None


def read_changes(
    connection: Connection,
    endpoints: Sequence[Endpoint],
    period: Period,
    watched: Watched,
    known: KnownDays,
) -> tuple[EndpointChange, ...]:
    """The changes of some endpoints, in the order of their kinds, the largest first.

    Args:
        connection: In a reading transaction.
        endpoints: To look at; WebSockets and mounts change in calls and failures alone.
        period: In which to look.
        watched: The recorded time.
        known: Days that were read before; those that are read now are added.
    """
    most_called = sorted(endpoints, key=lambda one: (-one.total_calls, one.id))[:MOST_READ]
    reading = _Reading(connection, [one.id for one in most_called], period, watched)
    reading.read(known)
    found = [
        EndpointChange(endpoint, change)
        for endpoint in yield_gil(endpoints)
        for change in changes_of(reading.rows_of(endpoint), period, _facts_of(endpoint))
    ]
    return tuple(sorted(found, key=_rank))


def period_of(begin: int | None, end: int | None, *, now: float) -> tuple[int, int]:
    """Begin and end of the period in which changes are looked for, in epoch seconds.

    Args:
        begin: Of the period of the page; None for all time.
        end: Of the same; None for now.
        now: Epoch seconds.
    """
    until = int(now) if end is None else end
    earliest = until - MOST_DAYS * DAY
    return (earliest if begin is None else max(begin, earliest)), until


def _rank(found: EndpointChange) -> tuple[int, float, str, str]:
    """Kinds in their order, then those with the most calls."""
    endpoint, change = found
    return _ORDER[change.kind], -change.calls_after, endpoint.path, endpoint.method


def _facts_of(endpoint: Endpoint) -> Facts:
    last = endpoint.last_called_at
    return Facts(None if last is None else int(last), is_deprecated=endpoint.deprecated)


class _Reading:
    """Rows of some endpoints and one period."""

    def __init__(
        self, connection: Connection, ids: Sequence[int], period: Period, watched: Watched
    ) -> None:
        self._connection, self._ids = connection, frozenset(ids)
        self._period, self._watched = period, watched
        self._holes = Holes.of(watched.observation.holes)
        self._today = int(watched.now) // DAY
        # Days that are over: today is part of the latest 24 hours.
        self._end_day = min(period.end // DAY, self._today)
        self._first_day = max(0, period.begin // DAY - BASELINE_DAYS)
        self._ends_now = period.end >= int(watched.now)
        self._latest_begin = (int(watched.now) // Tier.HOUR - HOURS + 1) * Tier.HOUR
        self._days: Mapping[int, Mapping[int, Row]] = {}
        self._latest: Mapping[int, Row] = {}
        self._hours: Mapping[int, tuple[Row, ...]] = {}

    def read(self, known: KnownDays) -> None:
        """Read all rows that are not known."""
        self._days = self._read_days(known)
        self._latest = self._read_latest() if self._ends_now else {}
        self._hours = self._read_hours()

    def rows_of(self, endpoint: Endpoint) -> Days:
        """The rows of one endpoint, without days in which it or its calls were not watched."""
        if endpoint.id not in self._ids:
            return NO_DAYS
        rows, is_http = self._days.get(endpoint.id, {}), endpoint.kind == "http"
        first = max(self._first_day, int(endpoint.first_seen_at) // DAY + 1)
        days = (
            rows.get(day) or Row(day * DAY, (day + 1) * DAY, 0)
            for day in range(first, self._end_day)
            if self._is_watched(day, day)
        )
        latest = self._latest_of(endpoint)
        return Days(
            days=tuple(row if is_http else _counted(row) for row in days),
            latest=latest if latest is None or is_http else _counted(latest),
            hours=self._hours.get(endpoint.id, ()),
        )

    def _latest_of(self, endpoint: Endpoint) -> Row | None:
        begin = self._latest_begin
        is_known = self._ends_now and begin >= endpoint.first_seen_at
        if not is_known or not self._is_watched(begin // DAY, self._today):
            return None
        return self._latest.get(endpoint.id) or Row(begin, begin + DAY, 0)

    def _read_days(self, known: KnownDays) -> Mapping[int, Mapping[int, Row]]:
        """Rows of days by endpoint, of all days of the period and before it."""
        first = self._first_day
        # The known days must have no gap before the ones that are read now.
        if known.ids != self._ids or not known.since <= first <= known.until:
            known.forget(self._ids, first)
        since = max(first, min(known.until, self._today - _REREAD_DAYS + 1))
        rows = self._rows(Tier.DAY, range(since, self._end_day))
        for identity, day, calls, failures, blob in rows:
            # Fewer calls say nothing about durations.
            is_enough = calls >= FEWEST_CALLS
            durations = Durations.of(Histogram.from_bytes(blob)) if is_enough else None
            row = Row(day * DAY, (day + 1) * DAY, calls, failures, durations)
            known.rows.setdefault(identity, {})[day] = row
        known.until = max(known.until, self._end_day)
        return known.rows

    def _read_latest(self) -> Mapping[int, Row]:
        """The 24 hours up to now by endpoint."""
        begin = self._latest_begin
        first = begin // Tier.HOUR
        sums: dict[int, _Sum] = {}
        rows = self._rows(Tier.HOUR, range(first, first + HOURS))
        for identity, _, calls, failures, blob in rows:
            sums.setdefault(identity, _Sum()).add(calls, failures, blob)
        return {identity: one.row(begin) for identity, one in yield_gil(sums.items())}

    def _read_hours(self) -> Mapping[int, tuple[Row, ...]]:
        """Hours of the period of the endpoints with an hour of many failures, ascending."""
        kept = self._watched.hours_kept
        oldest = 0 if kept is None else int(self._watched.now) - kept
        first = -(-max(self._period.begin, oldest) // Tier.HOUR)
        hours = range(first, max(first, -(-self._period.end // Tier.HOUR)))
        failed = self._where(Tier.HOUR, hours, self._ids)
        many = sa.select(BUCKET.c.endpoint_id).where(
            *failed, BUCKET.c.errors_5xx >= FEWEST_FAILURES
        )
        ids = self._connection.execute(many.distinct()).scalars().all()
        found: dict[int, list[Row]] = {}
        columns = BUCKET.c.endpoint_id, BUCKET.c.bucket, BUCKET.c.calls, BUCKET.c.errors_5xx
        rows = sa.select(*columns).where(*self._where(Tier.HOUR, hours, ids))
        for identity, hour, calls, failures in fetched(self._connection, rows) if ids else ():
            begin = hour * Tier.HOUR
            row = Row(begin, begin + Tier.HOUR, whole(calls), whole(failures))
            found.setdefault(identity, []).append(row)
        return {
            identity: tuple(sorted(each, key=lambda row: row.begin))
            for identity, each in found.items()
        }

    def _is_watched(self, first: int, last: int) -> bool:
        since = self._watched.observation.since_day
        # The day of the first minute was not watched as a whole.
        return since is not None and first > since and not self._holes.overlap(first, last)

    @staticmethod
    def _where(
        tier: Tier, buckets: range, ids: Collection[int]
    ) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            BUCKET.c.tier == tier.value,
            BUCKET.c.bucket >= buckets.start,
            BUCKET.c.bucket < buckets.stop,
            BUCKET.c.endpoint_id.in_(sorted(ids)),
            BUCKET.c.calls > 0,
        )

    def _rows(self, tier: Tier, buckets: range) -> Iterator[tuple[int, int, int, int, bytes]]:
        """Endpoint, bucket, calls, failures and histogram of rows, in any order."""
        columns = BUCKET.c.endpoint_id, BUCKET.c.bucket, BUCKET.c.calls, BUCKET.c.errors_5xx
        rows = sa.select(*columns, HISTOGRAM).where(*self._where(tier, buckets, self._ids))
        for part in fetched_in_parts(self._connection, rows, AT_ONCE):
            for identity, bucket, calls, failures, blob in yield_gil(part):
                yield identity, bucket, whole(calls), whole(failures), bytes(blob)


@dataclass(slots=True)
class _Sum:
    """Sums of the hours of one endpoint."""

    calls: int = 0
    failures: int = 0
    blobs: list[bytes] = field(default_factory=list[bytes])

    def add(self, calls: int, failures: int, blob: bytes) -> None:
        self.calls += calls
        self.failures += failures
        self.blobs.append(blob)

    def row(self, begin: int) -> Row:
        """The sums as the row of one day."""
        is_enough = self.calls >= FEWEST_CALLS
        durations = Durations.of(Histogram.merged_bytes(self.blobs)) if is_enough else None
        return Row(begin, begin + DAY, self.calls, self.failures, durations)


def _counted(row: Row) -> Row:
    """A row without its durations: those of a WebSocket are how long it was open."""
    return Row(row.begin, row.end, row.calls, row.failures)
