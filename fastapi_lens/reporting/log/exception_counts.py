"""Exceptions over time: the number of each kind in a window, and in its steps. No clock, no HTML.

Kinds are kept for as long as the hours of their counts, so a window never reaches further back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.series.time_series import Steps, Times, steps_of
from fastapi_lens.reporting.totals.bucket_rows import fetched
from fastapi_lens.reporting.windows import Span, bounds_of, cover
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import EXCEPTION_COUNT, EXCEPTIONS_COUNTED_SINCE, META

_SINCE = 0


def kept_period(times: Times) -> Times:
    """The part of a window from which kinds of exceptions are kept."""
    window, now, reach = times.window, int(times.now), times.kept(Tier.HOUR)
    oldest = 0 if reach is None else max(0, now - reach)
    begin = max(window.begin(times.now) or 0, oldest)
    if window.end is None:
        return replace(times, window=Window(now - begin))
    return replace(times, window=Window.between(begin, max(begin, window.end)))


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """The exceptions of a period.

    Attributes:
        calls: Their number by the id of the kind.
        since: Microseconds since the epoch: before this time they were not counted by period.
    """

    calls: Mapping[int, int]
    since: int


def read_counts(connection: Connection, times: Times) -> PeriodCounts:
    """The number of exceptions of each kind in a window.

    Args:
        connection: In a reading transaction.
        times: From `kept_period`.
    """
    bounds = bounds_of(times.window, now=times.now, kept=times.kept)
    spans = cover(bounds.start or 0, end=bounds.end, coarsest=Tier.HOUR)
    # In the same query: no kind has this id.
    selects: list[Any] = [
        sa.select(sa.literal(_SINCE), sa.cast(META.c.value, sa.BigInteger)).where(
            META.c.name == EXCEPTIONS_COUNTED_SINCE
        )
    ]
    selects += [
        sa.select(EXCEPTION_COUNT.c.failure_id, sa.func.sum(EXCEPTION_COUNT.c.calls))
        .where(*_within(span, times.now))
        .group_by(EXCEPTION_COUNT.c.failure_id)
        for span in spans
    ]
    found: dict[int, int] = {}
    for identity, number in fetched(connection, sa.union_all(*selects)):
        found[identity] = found.get(identity, 0) + whole(number)
    since = found.pop(_SINCE, 0)
    return PeriodCounts(found, since)


def read_exception_trends(
    connection: Connection, ids: Sequence[int], times: Times
) -> Mapping[int, Sequence[int]]:
    """Exceptions of some kinds per step of a window, oldest first; see `read_trends`.

    Args:
        connection: In a reading transaction.
        ids: The ids of the kinds.
        times: From `kept_period`.
    """
    steps = _steps(times)
    numbers = steps.numbers(times.now)
    found = {identity: [0] * len(numbers) for identity in ids}
    if not ids:
        return found
    selects: list[Any] = []
    for span in steps.spans():
        number = EXCEPTION_COUNT.c.bucket * span.tier.value // steps.size
        calls = sa.select(
            EXCEPTION_COUNT.c.failure_id, number, sa.func.sum(EXCEPTION_COUNT.c.calls)
        )
        of_ids = EXCEPTION_COUNT.c.failure_id.in_(sorted(ids))
        selects.append(
            calls.where(of_ids, *_within(span, times.now)).group_by(
                EXCEPTION_COUNT.c.failure_id, number
            )
        )
    for identity, at, calls in fetched(connection, sa.union_all(*selects)):
        # Clocks of other hosts may be ahead of ours.
        if int(at) in numbers:
            found[identity][numbers.index(int(at))] += whole(calls)
    return found


def _steps(times: Times) -> Steps:
    steps = steps_of(times, None)
    # Counts have no coarser tiers.
    return replace(steps, tier=min(steps.tier, Tier.HOUR))


def _within(span: Span, now: float) -> list[sa.ColumnElement[bool]]:
    """Conditions for the counts of a span."""
    bucket = EXCEPTION_COUNT.c.bucket
    end = span.last
    if end is None:
        # One more, because the bucket that this time lies in counts as well.
        end = int(now + AHEAD_SECONDS) // span.tier + 1
    return [EXCEPTION_COUNT.c.tier == span.tier.value, bucket >= span.first, bucket < end]
