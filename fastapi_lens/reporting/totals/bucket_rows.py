"""SQL that reads bucket rows of spans and endpoints. Adds nothing up in Python."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS
from fastapi_lens.storage.engine.expressions import Bounds, Bytes
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.tables import BUCKET

Row = tuple[Any, ...]
"""A row as the driver returns it."""


def within(span: Span) -> list[sa.ColumnElement[bool]]:
    """Conditions for the rows of a span."""
    conditions = [BUCKET.c.tier == span.tier.value, BUCKET.c.bucket >= span.first]
    end = span.until if span.last is None else span.last
    if end is not None:
        conditions.append(BUCKET.c.bucket < end)
    return conditions


def parted(span: Span, now: float) -> list[Span]:
    """Split an open span into its finished and its unfinished part; a closed span is finished.

    The unfinished part reaches a day ahead, because clocks of other hosts may.
    """
    if span.last is not None:
        return [span]
    present = int(now) // span.tier
    # One more, because the bucket that this time lies in counts as well.
    until = int(now + AHEAD_SECONDS) // span.tier + 1
    if span.first >= present:
        return [replace(span, until=until)]
    return [Span(span.tier, span.first, present), Span(span.tier, present, None, until)]


def one_by_one(part: Span) -> list[sa.ColumnElement[bool]]:
    """Conditions for few endpoints: with a list of buckets, because a range would read all rows."""
    if part.last is None:
        return within(part)
    tier, *bounds = within(part)
    return [tier, Bounds(*bounds), BUCKET.c.bucket.in_(range(part.first, part.last))]


HISTOGRAM = Bytes(BUCKET.c.histogram)


def of_endpoints(part: Span, ids: Sequence[int] | None) -> list[sa.ColumnElement[bool]]:
    """Conditions for the rows of a part: of few endpoints, or of all with None."""
    return within(part) if ids is None else [*one_by_one(part), BUCKET.c.endpoint_id.in_(ids)]


def whole_rows(parts: Sequence[Span], endpoint_id: int) -> sa.Executable:
    """The rows of one endpoint: number of the part, bucket, counters, maximum and histogram."""
    counters = [BUCKET.c[name] for name in COUNTERS]
    return _numbered(parts, [endpoint_id], BUCKET.c.bucket, *counters, BUCKET.c.max_us, HISTOGRAM)


def histograms(parts: Sequence[Span], ids: Sequence[int] | None) -> sa.Executable:
    """Number of the part, endpoint and histogram of the rows of some endpoints, or of all."""
    return _numbered(parts, ids, BUCKET.c.endpoint_id, HISTOGRAM)


def sums(parts: Sequence[Span], ids: Sequence[int] | None = None) -> sa.Subquery:
    """The sums and the maximum of the rows of some endpoints, or of all, over all parts."""
    columns = [BUCKET.c.endpoint_id, *(BUCKET.c[name] for name in COUNTERS), BUCKET.c.max_us]
    rows = sa.union_all(
        *(sa.select(*columns).where(*of_endpoints(part, ids)) for part in parts)
    ).subquery()
    # The sum of big integers is a decimal number on PostgreSQL.
    added = [sa.cast(sa.func.sum(rows.c[name]), sa.BigInteger).label(name) for name in COUNTERS]
    most = sa.func.max(rows.c.max_us).label("max_us")
    return sa.select(rows.c.endpoint_id, *added, most).group_by(rows.c.endpoint_id).subquery()


def _numbered(
    parts: Sequence[Span], ids: Sequence[int] | None, *columns: sa.ColumnElement[Any]
) -> sa.Executable:
    return sa.union_all(
        *(
            sa.select(sa.literal_column(str(number), sa.Integer), *columns).where(
                *of_endpoints(part, ids)
            )
            for number, part in enumerate(parts)
        )
    )


def fetched_in_parts(
    connection: Connection, statement: sa.Executable, rows: int
) -> Iterator[list[Row]]:
    """The same as `fetched`, this number of rows at a time."""
    result = connection.execute(statement)
    cursor: Any = result.cursor
    while part := cursor.fetchmany(rows):
        yield list(part)
    result.close()


def fetched(connection: Connection, statement: sa.Executable) -> list[Row]:
    """All rows as the driver returns them: SQLAlchemy's row objects would double the cost."""
    result = connection.execute(statement)
    cursor: Any = result.cursor
    rows = cursor.fetchall()
    result.close()
    # PyMySQL returns a tuple.
    return list(rows)
