"""All-time sums of endpoints, which never decrease. Knows no window.

Only the rows of the last weeks are read each time. The sums of all earlier ones are known from the
last reading, until the number of their calls changes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.totals.aggregate import read_histograms, summed, usage_of_sums
from fastapi_lens.reporting.totals.bucket_rows import Row, fetched
from fastapi_lens.reporting.totals.endpoint_rows import ID, TOTAL, read_used
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier

OPEN_WEEKS = 2
"""Weeks that are read each time, with the present one: calls are added to an earlier one only by an
import, and by a worker that could not write for days."""

_END = 1 << 62
"""Later than every week. Weeks of clocks ahead of ours are included: a call stays counted."""


@dataclass(frozen=True, slots=True)
class EarlierWeeks:
    """The sums of an endpoint's baseline and of its weeks before the open ones.

    Attributes:
        calls: All calls of the endpoint without those of its open weeks. Whatever changes the sums
            changes this number, except that a deletion by age moves a week to the baseline.
        usage: The sums.
    """

    calls: int
    usage: Usage


_NONE = EarlierWeeks(0, Usage())


def read_totals(
    connection: Connection,
    known: dict[int, EarlierWeeks],
    *conditions: sa.ColumnElement[bool],
    now: float,
) -> Iterator[tuple[Row, Usage]]:
    """Rows of `FACTS` with the all-time usage of the endpoints, ordered by path and method.

    Args:
        connection: In a reading transaction, so that all sums are of one moment.
        known: Sums that were read before, by endpoint; those that are read now are added.
        conditions: Conditions on the endpoints.
        now: Epoch seconds.
    """
    first = int(now) // Tier.WEEK - OPEN_WEEKS + 1
    weeks = [Span(Tier.WEEK, first, _END)]
    rows = read_used(connection, summed(weeks, now=now), *conditions)
    histograms = read_histograms(connection, weeks, ids=None, now=now)
    calls = {row[ID]: row[TOTAL] - usage.calls for row, usage in rows}
    earlier = {identity: known.get(identity, _NONE) for identity in calls}
    if any(calls[identity] != one.calls for identity, one in earlier.items()):
        earlier = _read_earlier(connection, calls, first, now=now)
        known.update(earlier)
    for row, usage in yield_gil(rows):
        latest = replace(usage, histogram=histograms.get(row[ID], Histogram()))
        yield row, Usage.total([earlier[row[ID]].usage, latest])


def _read_earlier(
    connection: Connection, calls: Mapping[int, int], first: int, *, now: float
) -> dict[int, EarlierWeeks]:
    """The sums of the weeks before the first open one.

    Args:
        connection: In a transaction.
        calls: See `EarlierWeeks`, by endpoint.
        first: The first open week.
        now: Epoch seconds.
    """
    weeks = [Span(Tier.WEEK, BASELINE_BUCKET, first)]
    sums = {
        identity: usage_of_sums(row)
        for identity, *row in fetched(connection, sa.select(summed(weeks, now=now)))
    }
    histograms = read_histograms(connection, weeks, ids=None, now=now)
    return {
        identity: EarlierWeeks(
            number,
            replace(
                sums.get(identity, _NONE.usage), histogram=histograms.get(identity, Histogram())
            ),
        )
        for identity, number in calls.items()
    }
