"""Which bucket rows are read, and how: SQL for spans and endpoints. Adds nothing up itself."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.clocks import AHEAD_SECONDS
from fastapi_lens.storage.tables import BUCKET

FEW, FEW_OF, MOST = 50, 5, 1_000
"""So many endpoints, or one in so many up to the last number, are asked for by name; for more, all
rows are read."""

Row = tuple[Any, ...]
"""As the driver has it."""

ADDED = ("calls", "redirects", "errors_4xx", "errors_5xx", "duration_us")
"""The columns that are added up."""


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
    until = int(now + AHEAD_SECONDS) // span.tier + 1
    if span.first >= present:
        return [replace(span, until=until)]
    return [Span(span.tier, span.first, present), Span(span.tier, present, None, until)]


def one_by_one(part: Span) -> list[sa.ColumnElement[bool]]:
    """Conditions for few endpoints: buckets are named, else the rows of all would be read."""
    if part.last is None:
        return within(part)
    tier, *bounds = within(part)
    return [tier, _Hint(*bounds), BUCKET.c.bucket.in_(range(part.first, part.last))]


class _Hint(FunctionElement[bool]):
    """Conditions that follow from others; `one_by_one` has them as bounds of the named buckets.

    Where PostgreSQL does not follow the names, it reads no more than these. SQLite would follow
    the bounds instead of the names, so it is not told.
    """

    inherit_cache = True
    type = sa.Boolean()


@compiles(_Hint)
def _told(hint: _Hint, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(sa.and_(*hint.clauses), **options)


@compiles(_Hint, "sqlite")
def _not_told(_hint: _Hint, _compiler: SQLCompiler, **_options: Any) -> str:
    return "1"


class _Bytes(FunctionElement[bytes]):
    """A column of bytes. SQLite accepts any value there, so it is asked to return bytes."""

    inherit_cache = True
    type = sa.LargeBinary()


@compiles(_Bytes)
def _as_it_is(column: _Bytes, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(column.clauses, **options)


@compiles(_Bytes, "sqlite")
def _as_bytes(column: _Bytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(column.clauses, **options)} AS BLOB)"


HISTOGRAM = _Bytes(BUCKET.c.histogram)


def few(ids: Collection[int], all_of_them: int) -> list[int] | None:
    """Endpoints to be asked for by name; None when they are too many for that."""
    return list(ids) if len(ids) <= max(FEW, min(MOST, all_of_them // FEW_OF)) else None


def rows_at(part: Span, ids: Sequence[int] | None) -> list[sa.ColumnElement[bool]]:
    """The rows of a part: all of them, or those of some endpoints."""
    if ids is None:
        return within(part)
    return [*one_by_one(part), BUCKET.c.endpoint_id.in_(ids)]


def grouped(parts: Sequence[Span], ids: Sequence[int] | None) -> sa.Executable:
    """The sums of each part's rows by endpoint, with the number of the part before them."""
    # PostgreSQL adds big integers up to a decimal number.
    added = [sa.cast(sa.func.sum(BUCKET.c[name]), sa.BigInteger) for name in ADDED]
    columns: list[Any] = [BUCKET.c.endpoint_id, *added, sa.func.max(BUCKET.c.max_us)]
    selects: list[Any] = [
        sa.select(sa.literal_column(str(at), sa.Integer), *columns)
        .where(*rows_at(part, ids))
        .group_by(BUCKET.c.endpoint_id)
        for at, part in enumerate(parts)
    ]
    return sa.union_all(*selects)


def blobs(part: Span, ids: Sequence[int] | None) -> sa.Executable:
    """Endpoint and histogram of a part's rows."""
    return sa.select(BUCKET.c.endpoint_id, HISTOGRAM).where(*rows_at(part, ids))


def fetched(connection: Connection, statement: sa.Executable) -> list[Row]:
    """All rows as the driver has them: SQLAlchemy's own cost as much as what is done to them."""
    result = connection.execute(statement)
    cursor: Any = result.cursor
    rows = cursor.fetchall()
    result.close()
    # PyMySQL gives a tuple.
    return list(rows)
