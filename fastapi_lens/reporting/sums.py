"""Adds bucket rows up, by endpoint. Knows no clock, and nothing of endpoints but their ids.

The database adds the numbers, which takes it a few milliseconds for all endpoints. Histograms are
added here, which takes longer, so those of rows that belong to the past are remembered merged. A
row only ever grows by calls, and the sums of the same rows are read each time: as long as they are
what they were, so are the rows and the histogram. Counts that come late (another host's, or after
an outage) change the sums, and those endpoints are merged anew. In the same way what an endpoint
did is made anew only if it was called since: of thousands few are between two looks at a page.
"""

import struct
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram import Histogram
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.tables import BUCKET

MAX_REMEMBERED = 20_000
"""Merged histograms that are remembered; one takes about 400 bytes."""

MAX_WINDOWS = 2
"""Windows of which it is remembered what every endpoint did; 5,000 endpoints take 10 MB."""

FEW = 50
"""So many endpoints are asked for by name; for more, all rows are read."""

AT_ONCE = 1_000
"""Rows that are taken from the database at once."""

Row = tuple[Any, ...]
Past = dict[int, bytes]
"""By endpoint: the sums of its rows, packed, and after them their histograms merged."""

Known = dict[int, tuple[bytes, Usage]]
"""By endpoint: the sums of its rows in each part of a window, packed, and what they come to."""

_PACKED = struct.Struct("<6q")
_SUMS = _PACKED.size
_UNKNOWN = (b"", Usage())

_ADDED = ("calls", "redirects", "errors_4xx", "errors_5xx", "duration_us")


class Sums:
    """Adds up rows, and remembers merged histograms; safe to use from several threads.

    Args:
        max_remembered: Histograms that are remembered, of the spans that were asked for last.
        max_windows: Windows of which all is remembered, those that were asked for last.
    """

    def __init__(
        self, *, max_remembered: int = MAX_REMEMBERED, max_windows: int = MAX_WINDOWS
    ) -> None:
        """Remember nothing yet."""
        self._max_remembered = max_remembered
        self._max_windows = max_windows
        self._remembered: OrderedDict[Span, Past] = OrderedDict()
        self._known: OrderedDict[tuple[Span, ...], Known] = OrderedDict()
        self._guard = threading.Lock()
        self._merging = threading.Lock()

    def all(self, connection: Connection, spans: Iterable[Span], *, now: float) -> dict[int, Usage]:
        """What every endpoint did in these spans together; none that has no row there.

        Args:
            connection: In a transaction that sees one state.
            spans: Without overlaps; one without an end is added up to the present and beyond.
            now: Epoch seconds.
        """
        parts = tuple(part for span in spans for part in parted(span, now))
        found: list[dict[int, bytes]] = [{} for _ in parts]
        for row in fetched(connection, _grouped(parts)):
            found[row[0]][row[1]] = _PACKED.pack(*row[2:])
        sums = _joined(found)
        with self._guard:
            known = self._known.get(parts, {})
        called = {one for one, row in sums.items() if known.get(one, _UNKNOWN)[0] != row}
        added = self._added(connection, parts, found, called) if called else {}
        made = {
            identity: (row, added[identity] if identity in called else known[identity][1])
            for identity, row in sums.items()
        }
        with self._guard:
            self._known[parts] = made
            self._known.move_to_end(parts)
            while len(self._known) > self._max_windows:
                self._known.popitem(last=False)
        return {identity: usage for identity, (_, usage) in made.items()}

    def of(
        self, connection: Connection, endpoint_id: int, spans: Iterable[Span], *, now: float
    ) -> Usage:
        """What one endpoint did in these spans together; see `all`."""
        rows = [row for span in spans for row in rows_of(connection, endpoint_id, span, now=now)]
        return usage_of([row[1:] for row in rows])

    def _added(
        self,
        connection: Connection,
        parts: Sequence[Span],
        found: Sequence[dict[int, bytes]],
        called: set[int],
    ) -> dict[int, Usage]:
        """What some endpoints did in all parts together."""
        adding = {identity: _Adding() for identity in called}
        for part, sums in zip(parts, found, strict=True):
            for identity in called & sums.keys():
                adding[identity].add(_PACKED.unpack(sums[identity]))
            for identity, blob in self._histograms(connection, part, sums, called):
                adding[identity].blobs.append(blob)
        return {identity: one.usage() for identity, one in adding.items()}

    def _histograms(
        self, connection: Connection, part: Span, now: Past, called: set[int]
    ) -> Iterator[tuple[int, bytes]]:
        """Endpoint and histogram: of the past merged, of the present row by row."""
        if part.last is None:
            asked = list(called) if len(called) <= FEW else None
            rows = fetched(connection, _blobs(part, asked))
            yield from (row for row in rows if row[0] in called)
            return
        past = self._recalled(part)
        if _changed(past, now):
            # One at a time: it takes the interpreter and some memory, and whoever has waited
            # finds most of it done.
            with self._merging:
                past = self._merged_anew(connection, part, now)
        else:
            self._remember(part, past)
        yield from ((identity, past[identity][_SUMS:]) for identity in called & now.keys())

    def _merged_anew(self, connection: Connection, part: Span, now: Past) -> Past:
        past = self._recalled(part)
        changed = _changed(past, now)
        asked = changed if len(changed) <= FEW else None
        merged = _merged(connection, part, asked) if changed else {}
        past = {
            identity: row + merged[identity] if identity in merged else past[identity]
            for identity, row in now.items()
        }
        self._remember(part, past)
        return past

    def _recalled(self, part: Span) -> Past:
        with self._guard:
            return self._remembered.get(part, {})

    def _remember(self, part: Span, past: Past) -> None:
        with self._guard:
            self._keep(part, past)

    def _keep(self, part: Span, past: Past) -> None:
        self._remembered[part] = past
        self._remembered.move_to_end(part)
        while sum(map(len, self._remembered.values())) > self._max_remembered:
            self._remembered.popitem(last=False)


def _joined(found: Sequence[dict[int, bytes]]) -> dict[int, bytes]:
    """By endpoint what it has in each part, with the part's number before it."""
    joined: dict[int, bytes] = {}
    for at, sums in enumerate(found):
        number = at.to_bytes()
        for identity, row in sums.items():
            joined[identity] = joined.get(identity, b"") + number + row
    return joined


def _changed(past: Past, now: Past) -> list[int]:
    """The endpoints whose sums are not those of what is remembered."""
    return [identity for identity, row in now.items() if past.get(identity, b"")[:_SUMS] != row]


def usage_of(rows: Sequence[Row]) -> Usage:
    """Rows of calls by class, microseconds, maximum and histogram, added up."""
    adding = _Adding()
    for *sums, blob in rows:
        adding.add(sums)
        adding.blobs.append(blob)
    return adding.usage()


def rows_of(connection: Connection, endpoint_id: int, span: Span, *, now: float) -> list[Row]:
    """The rows of one endpoint in a span: bucket, sums, maximum and histogram."""
    columns = (BUCKET.c.bucket, *(BUCKET.c[name] for name in _ADDED), BUCKET.c.max_us)
    mine = BUCKET.c.endpoint_id == endpoint_id
    return [
        row
        for part in parted(span, now)
        for row in fetched(
            connection, sa.select(*columns, BUCKET.c.histogram).where(*one_by_one(part), mine)
        )
    ]


class _Adding:
    """Sums of one endpoint so far."""

    __slots__ = ("blobs", "sums")

    def __init__(self) -> None:
        self.sums = (0, 0, 0, 0, 0, 0)
        self.blobs: list[bytes] = []

    def add(self, row: Sequence[int]) -> None:
        a, b, c, d, e, most = self.sums
        # Unrolled: it runs for each endpoint and part.
        added = (a + row[0], b + row[1], c + row[2], d + row[3], e + row[4])
        self.sums = (*added, max(most, row[5]))

    def usage(self) -> Usage:
        return Usage(*self.sums, latency=Histogram.merged_bytes(self.blobs))


def _within(span: Span) -> list[sa.ColumnElement[bool]]:
    conditions = [BUCKET.c.tier == span.tier.value, BUCKET.c.bucket >= span.first]
    if span.last is not None:
        conditions.append(BUCKET.c.bucket < span.last)
    return conditions


def parted(span: Span, now: float) -> list[Span]:
    """A span without an end as what is over and what is not; another is over already."""
    present = int(now) // span.tier
    if span.last is not None or span.first >= present:
        return [span]
    return [Span(span.tier, span.first, present), Span(span.tier, present, None)]


def one_by_one(part: Span) -> list[sa.ColumnElement[bool]]:
    """Conditions for few endpoints: buckets are named, else the rows of all would be read."""
    if part.last is None:
        return _within(part)
    # The bounds, too: where PostgreSQL does not follow the names, it reads no more than these.
    return [*_within(part), BUCKET.c.bucket.in_(range(part.first, part.last))]


def _grouped(parts: Sequence[Span]) -> sa.Executable:
    """The sums of each part's rows by endpoint, with the number of the part before them."""
    # PostgreSQL adds big integers up to a decimal number.
    added = [sa.cast(sa.func.sum(BUCKET.c[name]), sa.BigInteger) for name in _ADDED]
    columns: list[Any] = [BUCKET.c.endpoint_id, *added, sa.func.max(BUCKET.c.max_us)]
    selects: list[Any] = [
        sa.select(sa.literal_column(str(at), sa.Integer), *columns)
        .where(*_within(part))
        .group_by(BUCKET.c.endpoint_id)
        for at, part in enumerate(parts)
    ]
    return sa.union_all(*selects)


def _blobs(part: Span, ids: Sequence[int] | None) -> sa.Executable:
    statement = sa.select(BUCKET.c.endpoint_id, BUCKET.c.histogram).where(*_within(part))
    return statement if ids is None else statement.where(BUCKET.c.endpoint_id.in_(ids))


def _merged(connection: Connection, part: Span, ids: Sequence[int] | None) -> dict[int, bytes]:
    sums: dict[int, Histogram] = {}
    # A year of weeks at once would be 10 MB.
    rows: Iterable[Any] = connection.execute(
        _blobs(part, ids), execution_options={"yield_per": AT_ONCE}
    )
    for identity, blob in rows:
        one = Histogram.from_bytes(blob)
        sums[identity] = sums[identity] + one if identity in sums else one
    return {identity: one.to_bytes() for identity, one in sums.items()}


def fetched(connection: Connection, statement: sa.Executable) -> list[Row]:
    """All rows as the driver has them: SQLAlchemy's own cost as much as what is done to them."""
    result = connection.execute(statement)
    cursor: Any = result.cursor
    rows = cursor.fetchall()
    result.close()
    # PyMySQL gives a tuple.
    return list(rows)
