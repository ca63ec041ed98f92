"""Calls over time: in steps of a window, and by hour of the week. No clock, no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import Point, Series, WeekHours, Window
from fastapi_lens.reporting.totals.aggregate import usage_of
from fastapi_lens.reporting.totals.bucket_rows import Row, fetched, one_by_one, parted
from fastapi_lens.reporting.windows import Kept, Span, bounds_of, cover, finest
from fastapi_lens.storage.engine.clock_skew import EARLIEST
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT

MAX_STEPS = 60
HOURS_PER_WEEK = 168
_MONDAY = 4 * 24
"""Hours from the epoch, a Thursday, to the first Monday."""

_STEPS_SECONDS = (
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    # No half days: they would be summed from hours, 720 rows of each endpoint in a month.
    *(3_600 * hours for hours in (1, 2, 3)),
    *(86_400 * days for days in (1, 2, 3)),
    *(604_800 * weeks for weeks in (1, 2, 4, 8, 16, 52)),
)


@dataclass(frozen=True, slots=True)
class Times:
    """A window, the present time, and the retention of each tier."""

    window: Window
    now: float
    kept: Kept


@dataclass(frozen=True, slots=True)
class Steps:
    """The division of a window into steps.

    Attributes:
        begin: Start of the window in epoch seconds.
        end: End of the window in epoch seconds; None for now.
        size: Length of a step in seconds; steps begin at its multiples.
        tier: The coarsest tier that steps consist of.
    """

    begin: int
    end: int | None
    size: int
    tier: Tier

    def spans(self) -> list[Span]:
        """The rows of all steps."""
        return cover(self.begin, end=self.end, coarsest=self.tier)

    def numbers(self, now: float) -> range:
        """The numbers of all steps, counted from the epoch."""
        last = int(now) if self.end is None else self.end - 1
        return range(self.begin // self.size, last // self.size + 1)

    def cut(self, number: int) -> tuple[int, int]:
        """Start and end of a step, limited to the window."""
        start, end = number * self.size, (number + 1) * self.size
        return max(start, self.begin), end if self.end is None else min(end, self.end)


def read_trends(
    connection: Connection, ids: Sequence[int], times: Times, *, counter: str = "calls"
) -> Mapping[int, Sequence[int]]:
    """Calls of several endpoints per step, oldest first; the same number of steps for each.

    Args:
        connection: In a reading transaction.
        ids: The endpoints.
        times: The window.
        counter: One of `COUNTERS`.
    """
    steps, now = steps_of(times, first_call(connection, ids, times)), times.now
    numbers = steps.numbers(now)
    found = {identity: [0] * len(numbers) for identity in ids}
    for identity, at, calls in fetched(connection, _sums_by_step(steps, ids, now, counter)):
        # Clocks of other hosts may be ahead of ours.
        if int(at) in numbers:
            found[identity][numbers.index(int(at))] += whole(calls)
    return found


def _sums_by_step(steps: Steps, ids: Sequence[int], now: float, counter: str) -> sa.Executable:
    wanted = BUCKET.c.endpoint_id.in_(sorted(ids))
    selects: list[Any] = []
    for span in steps.spans():
        number = BUCKET.c.bucket * span.tier.value // steps.size
        added = sa.func.sum(BUCKET.c[counter])
        sums = sa.select(BUCKET.c.endpoint_id, number, added).where(wanted)
        sums = sums.group_by(BUCKET.c.endpoint_id, number)
        selects += [sums.where(*one_by_one(part)) for part in parted(span, now)]
    return sa.union_all(*selects)


def series_of(rows: Sequence[tuple[int, Row]], steps: Steps, times: Times) -> Series:
    """The calls of one endpoint in each step; their sum is that of the window.

    Args:
        rows: The rows of `Steps.spans`, from `aggregate.read_rows`.
        steps: The steps of the window.
        times: The window.
    """
    now, kept = times.now, times.kept
    by_step: dict[int, list[Row]] = {}
    for begin, row in rows:
        by_step.setdefault(begin // steps.size, []).append(row)
    points: list[Point] = []
    for number in steps.numbers(now):
        start, end = steps.cut(number)
        # A step that is a single row has no parts to show.
        divides = end - start > finest(start, now=now, kept=kept)
        points.append(Point(start, end, usage_of(by_step.get(number, ())), divides))
    return Series(steps.size, tuple(points))


def hours_until_now(times: Times, *, since: float) -> Span:
    """The hours of a window that are over.

    Args:
        times: A window that is within the retention of hours.
        since: Epoch seconds; earlier hours do not count.
    """
    present = int(times.now) // Tier.HOUR
    first = max((times.window.begin(times.now) or 0) // Tier.HOUR, int(since) // Tier.HOUR)
    return Span(Tier.HOUR, min(first, present), present)


def hours_of_week(rows: Sequence[tuple[int, Row]], span: Span) -> WeekHours:
    """The calls of one endpoint by hour of the week.

    Args:
        rows: The rows of the span, from `aggregate.read_rows`.
        span: From `hours_until_now`.
    """
    first, present = span.first, span.first if span.last is None else span.last
    calls, hours = [0] * HOURS_PER_WEEK, [0] * HOURS_PER_WEEK
    for hour in range(first, present):
        hours[(hour - _MONDAY) % HOURS_PER_WEEK] += 1
    for begin, (count, *_) in rows:
        calls[(begin // Tier.HOUR - _MONDAY) % HOURS_PER_WEEK] += whole(count)
    return WeekHours(first * Tier.HOUR, present * Tier.HOUR, tuple(calls), tuple(hours))


def first_call(connection: Connection, ids: Sequence[int], times: Times) -> float | None:
    """The earliest first call of some endpoints, in epoch seconds, for a window without a start."""
    if times.window.seconds is not None:
        return None
    oldest = connection.execute(
        sa.select(sa.func.min(ENDPOINT.c.first_called_at)).where(
            ENDPOINT.c.id.in_(sorted(ids)), ENDPOINT.c.first_called_at > 0
        )
    ).scalar()
    return None if oldest is None else whole(oldest) / 1_000_000


def steps_of(times: Times, first_called_at: float | None, *, least_seconds: int = 0) -> Steps:
    """The steps of a window.

    Args:
        times: The window.
        first_called_at: Epoch seconds, the start of a window of everything; None without calls.
        least_seconds: Shortest length of a step; that of the longest step wins.
    """
    window, now, kept = times.window, times.now, times.kept
    begin = window.begin(now)
    if begin is None:
        # Clocks of other hosts may be ahead of ours, or not set yet.
        begin = int(now if first_called_at is None else min(now, max(EARLIEST, first_called_at)))
    reach = finest(begin, now=now, kept=kept)
    span = int(now) - begin if window.end is None else window.end - begin
    size = next(
        (
            size
            for size in _STEPS_SECONDS
            if size >= max(reach, least_seconds) and span / size <= MAX_STEPS
        ),
        _STEPS_SECONDS[-1],
    )
    # The coarsest tier that divides a step needs the fewest rows.
    tier = next(tier for tier in reversed(list(Tier)) if size % tier == 0)
    end = bounds_of(window, now=now, kept=kept).end
    return Steps(begin // reach * reach, end, size, tier)
