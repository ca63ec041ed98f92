"""All-time sums of endpoints, which never decrease. Knows no window."""

from collections.abc import Iterable
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.aggregate import read_histograms, summed
from fastapi_lens.reporting.bucket_rows import Row
from fastapi_lens.reporting.endpoint_rows import ID, read_used
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier

_ALL_TIME = (Span(Tier.WEEK, BASELINE_BUCKET, 1 << 62),)
"""All weeks with the baseline, also weeks of clocks ahead of ours: a call stays counted."""


def read_totals(
    connection: Connection, *conditions: sa.ColumnElement[bool], now: float
) -> Iterable[tuple[Row, Usage]]:
    """Rows of `FACTS` with the all-time usage of the endpoints, ordered by path and method.

    Args:
        connection: In a reading transaction, so that sums and histograms agree.
        conditions: Conditions on the endpoints.
        now: Epoch seconds.
    """
    found = read_histograms(connection, _ALL_TIME, ids=None, now=now)
    for row, usage in read_used(connection, summed(_ALL_TIME, now=now), *conditions):
        yield row, replace(usage, histogram=found.get(row[ID], Histogram()))
