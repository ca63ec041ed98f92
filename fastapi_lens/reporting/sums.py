"""Adds bucket rows up, by endpoint. Knows no clock, and nothing of endpoints but their ids.

The database adds the numbers, which takes it a few milliseconds for all endpoints. Histograms are
added here, which takes longer, so those of rows that belong to the past are remembered merged. A
row only ever grows by calls, and the sums of the same rows are read each time: as long as they are
what they were, so are the rows and the histogram. Counts that come late (another host's, or after
an outage) change the sums, and those endpoints are merged anew. In the same way what an endpoint
did is read and made anew only if it was called since, which its calls of all time tell: of
thousands few are between two looks at a page. What nobody has told us of (rows that are gone) is
found when everything is read again, which it is from time to time.
"""

import struct
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram import Histogram
from fastapi_lens.reporting.bucket_rows import (
    ADDED,
    HISTOGRAM,
    Row,
    blobs,
    fetched,
    few,
    grouped,
    one_by_one,
    parted,
)
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.unhurried import unhurried
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.sound import whole
from fastapi_lens.storage.tables import BUCKET

MAX_REMEMBERED = 20_000
"""Merged histograms that are remembered; one takes about 400 bytes."""

MAX_WINDOWS, MAX_MADE = 6, 10_000
"""Windows of which it is remembered what every endpoint did, as many as a page offers; fewer where
they come to more endpoints than this in all. One takes 2 kB."""

COMPLETE_SECONDS = 60.0
"""After them all rows are read again, those of endpoints as well, whoever was called."""

AT_ONCE = 1_000
"""Rows that are taken from the database at once."""

Past = dict[int, bytes]
"""By endpoint: the sums of its rows, packed, and after them their histograms merged."""

Made = dict[int, tuple[bytes, Usage]]
"""By endpoint: the sums of its rows in each part of a window, packed, and what they come to."""

_PACKED = struct.Struct("<6q")
_SUMS = _PACKED.size
_UNKNOWN = (b"", Usage())


@dataclass(frozen=True, slots=True)
class State:
    """What tells whether rows have changed, read in the same transaction as the rows.

    Attributes:
        totals: Calls of all time, by endpoint; empty where that is not known.
        sign: See `storage.rewriting`.
    """

    totals: Mapping[int, int]
    sign: str | None = None


UNKNOWN = State(MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class _Known:
    """A window, and what all endpoints did in it.

    Attributes:
        since: Epoch seconds at which all of its rows were read.
        state: Of the rows when they were last read.
        made: What each endpoint did.
    """

    since: float
    state: State
    made: Made

    def called(self, state: State, now: float) -> list[int] | None:
        """The endpoints that were called since; None when everything is to be read again."""
        totals = state.totals
        if not totals or state.sign != self.state.sign:
            return None
        if not 0 <= now - self.since < COMPLETE_SECONDS:
            return None
        called = [one for one, calls in totals.items() if self.state.totals.get(one) != calls]
        return few(called, len(totals))


_NOTHING = _Known(float("-inf"), UNKNOWN, {})


class Sums:
    """Adds up rows, and remembers merged histograms; safe to use from several threads.

    Args:
        max_remembered: Histograms that are remembered, of the spans that were asked for last.
        max_windows: Windows of which all is remembered, those that were asked for last.
        max_made: Endpoints that all of these windows come to at most, unless it is one.
    """

    def __init__(
        self,
        *,
        max_remembered: int = MAX_REMEMBERED,
        max_windows: int = MAX_WINDOWS,
        max_made: int = MAX_MADE,
    ) -> None:
        """Remember nothing yet."""
        self._max_remembered = max_remembered
        self._max_windows = max_windows
        self._max_made = max_made
        self._remembered: OrderedDict[Span, Past] = OrderedDict()
        self._known: OrderedDict[tuple[Span, ...], _Known] = OrderedDict()
        self._guard = threading.Lock()
        self._merging = threading.Lock()

    def all(
        self,
        connection: Connection,
        spans: Iterable[Span],
        *,
        now: float,
        state: State = UNKNOWN,
    ) -> dict[int, Usage]:
        """What every endpoint did in these spans together; none that has no row there.

        Args:
            connection: In a transaction that sees one state.
            spans: Without overlaps; one without an end is added up to the present and beyond.
            now: Epoch seconds.
            state: Tells who was called since these spans were asked for last; without it all
                rows are read.
        """
        parts = tuple(part for span in spans for part in parted(span, now))
        with self._guard:
            known = self._known.get(parts, _NOTHING)
        called = known.called(state, now)
        if called != []:
            known = self._read(connection, parts, known, called)
        since = now if called is None else known.since
        self._know(parts, _Known(since, state, known.made))
        return {identity: usage for identity, (_, usage) in known.made.items()}

    def _know(self, parts: tuple[Span, ...], known: _Known) -> None:
        with self._guard:
            self._known[parts] = known
            self._known.move_to_end(parts)
            made = sum(len(one.made) for one in self._known.values())
            while len(self._known) > (self._max_windows if made <= self._max_made else 1):
                _, oldest = self._known.popitem(last=False)
                made -= len(oldest.made)

    def _read(
        self, connection: Connection, parts: Sequence[Span], known: _Known, ids: list[int] | None
    ) -> _Known:
        """A window anew, or some endpoints of it."""
        found: list[dict[int, bytes]] = [{} for _ in parts]
        for row in unhurried(fetched(connection, grouped(parts, ids))):
            found[row[0]][row[1]] = _packed(row[2:])
        sums, before = _joined(found), known.made
        changed = {one for one, mine in sums.items() if before.get(one, _UNKNOWN)[0] != mine}
        added = self._added(connection, parts, found, changed) if changed else {}
        made = {} if ids is None else {one: before[one] for one in before.keys() - set(ids)}
        for one, mine in sums.items():
            made[one] = (mine, added[one] if one in changed else before[one][1])
        return _Known(known.since, known.state, made)

    def forget(self) -> None:
        """Read everything again from now on."""
        with self._guard:
            self._known.clear()

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
            for identity in unhurried(called & sums.keys()):
                adding[identity].add(_PACKED.unpack(sums[identity]))
            for identity, blob in self._histograms(connection, part, sums, called):
                adding[identity].blobs.append(blob)
        return {identity: one.usage() for identity, one in unhurried(adding.items())}

    def _histograms(
        self, connection: Connection, part: Span, now: Past, called: set[int]
    ) -> Iterator[tuple[int, bytes]]:
        """Endpoint and histogram: of the past merged, of the present row by row."""
        if part.last is None:
            rows = fetched(connection, blobs(part, few(called, len(now))))
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
        merged = _merged(connection, part, few(changed, len(now))) if changed else {}
        # Those of whom nothing was asked stay as they are.
        past = past | {identity: now[identity] + merged[identity] for identity in changed}
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


def _packed(sums: Sequence[Any]) -> bytes:
    try:
        return _PACKED.pack(*sums)
    except struct.error:
        return _PACKED.pack(*map(whole, sums))


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


def usage_in(
    connection: Connection, endpoint_id: int, spans: Iterable[Span], *, now: float
) -> Usage:
    """What one endpoint did in these spans together; see `Sums.all`."""
    rows = [row for span in spans for row in rows_of(connection, endpoint_id, span, now=now)]
    return usage_of([row[1:] for row in rows])


def usage_of(rows: Sequence[Row]) -> Usage:
    """Rows of calls by class, microseconds, maximum and histogram, added up."""
    adding = _Adding()
    for *sums, blob in rows:
        adding.add([whole(one) for one in sums])
        adding.blobs.append(blob)
    return adding.usage()


def rows_of(connection: Connection, endpoint_id: int, span: Span, *, now: float) -> list[Row]:
    """The rows of one endpoint in a span: bucket, sums, maximum and histogram."""
    columns = (BUCKET.c.bucket, *(BUCKET.c[name] for name in ADDED), BUCKET.c.max_us)
    mine = BUCKET.c.endpoint_id == endpoint_id
    return [
        row
        for part in parted(span, now)
        for row in fetched(
            connection, sa.select(*columns, HISTOGRAM).where(*one_by_one(part), mine)
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


def _merged(connection: Connection, part: Span, ids: Sequence[int] | None) -> dict[int, bytes]:
    sums: dict[int, Histogram] = {}
    # A year of weeks at once would be 10 MB.
    rows: Iterable[Any] = connection.execute(
        blobs(part, ids), execution_options={"yield_per": AT_ONCE}
    )
    for identity, blob in unhurried(rows):
        one = Histogram.from_bytes(blob)
        sums[identity] = sums[identity] + one if identity in sums else one
    return {identity: one.to_bytes() for identity, one in unhurried(sums.items())}
