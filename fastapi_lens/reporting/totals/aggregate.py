"""Sums of bucket rows: for all endpoints, for one, and by step. Knows no clock and no facts."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.totals.bucket_rows import (
    Row,
    fetched,
    fetched_in_parts,
    histograms,
    parted,
    sums,
    whole_rows,
)
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.sanitized_rows import whole

AT_ONCE = 16_000
"""Histograms that are fetched from the database at once, about 4 MB."""


def summed(spans: Iterable[Span], *, now: float, ids: Sequence[int] | None = None) -> sa.Subquery:
    """Sums of each endpoint over several spans, as a part of a SELECT: one row for each.

    Args:
        spans: Spans without overlaps; an open one includes rows that clocks ahead of ours wrote.
        now: Epoch seconds.
        ids: A few endpoints; None for all.
    """
    return sums(_parts(spans, now), ids)


def usage_of_sums(row: Sequence[object]) -> Usage:
    """Counters and maximum of one endpoint in `summed`, each None without rows; no histogram."""
    return Usage.of(map(whole, row), None)


def read_histograms(
    connection: Connection, spans: Iterable[Span], *, ids: Sequence[int] | None, now: float
) -> dict[int, Histogram]:
    """Latency histograms of endpoints over several spans; empty without rows there.

    Args:
        connection: In a transaction.
        spans: The same as for `summed`.
        ids: A few endpoints; None for all.
        now: Epoch seconds.
    """
    found: dict[int, Histogram] = {}
    statement = histograms(_parts(spans, now), ids)
    for rows in fetched_in_parts(connection, statement, AT_ONCE):
        blobs: dict[int, list[bytes]] = {}
        for _, identity, blob in yield_gil(rows):
            blobs.setdefault(identity, []).append(blob)
        # One merge takes as long as many rows.
        for identity, parts in yield_gil(blobs.items()):
            merged = Histogram.merged_bytes(parts)
            found[identity] = found[identity] + merged if identity in found else merged
    return found


def read_rows(
    connection: Connection, endpoint_id: int, *wanted: Iterable[Span], now: float
) -> list[list[tuple[int, Row]]]:
    """The rows of one endpoint, in one query.

    Args:
        connection: In a transaction.
        endpoint_id: The endpoint.
        wanted: Groups of spans, each as for `summed`.
        now: Epoch seconds.

    Returns:
        For each of `wanted` its rows: the start of the bucket, in epoch seconds, and counters,
        maximum and histogram in the form that `usage_of` expects.
    """
    groups, parts = list[int](), list[Span]()
    for group, spans in enumerate(wanted):
        for part in _parts(spans, now):
            groups.append(group)
            parts.append(part)
    found: list[list[tuple[int, Row]]] = [[] for _ in wanted]
    for number, bucket, *row in fetched(connection, whole_rows(parts, endpoint_id)):
        at = int(number)
        found[groups[at]].append((bucket * parts[at].tier, tuple(row)))
    return found


def usage_of(rows: Sequence[Row]) -> Usage:
    """The sum of rows of counters, maximum and histogram."""
    if not rows:
        return Usage()
    *counters, longest, blobs = zip(*rows, strict=True)
    added = (sum(map(whole, column)) for column in counters)
    return Usage.of([*added, max(map(whole, longest))], Histogram.merged_bytes(blobs))


def _parts(spans: Iterable[Span], now: float) -> list[Span]:
    return [part for span in spans for part in parted(span, now)]
