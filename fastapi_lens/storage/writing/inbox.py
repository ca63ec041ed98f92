"""The inbox: the counts of one flush are one packed row, until the drain adds them up.

The body of a row is a byte that names the format, and then, compressed: the number of sums and of
uses and the batch's `ahead_us`; each field of all sums, then each field of all uses, as 64-bit
integers; and the histograms, see `histogram.codec.pack_many`. Little-endian.

A batch with callers has the second format. Before the rest it has their number, whether the batch
is attributed, and the size of their names; their fields, as above; and their names as JSON.
"""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, cast

import sqlalchemy as sa

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.coordination.sequence import SequenceGuard, retry_on_deadlock
from fastapi_lens.storage.coordination.worker import Progress, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import Prepared
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.tables import INBOX, WORKER
from fastapi_lens.storage.writing.batches import Batch, CallerCalls, CallerFacts, Delta, Use

_COUNTS, _COUNTS_AND_CALLERS = b"\1", b"\2"
"""The bytes of the formats; later ones have greater numbers."""

_COMPRESSION = 1
"""The fastest of zlib's levels; higher ones save little, because most values are distinct."""

# Byte order and sizes are fixed: another machine may unpack it.
_HEAD = struct.Struct("<IIq")
_CALLERS_HEAD = struct.Struct("<I?I")
_SUM_FIELDS = len(Delta._fields) - 1
"""All but the histogram."""

_USE_FIELDS = len(Use._fields)
_CALLER_FIELDS = len(CallerCalls._fields)
_BYTES = 8


class UnreadableError(ValueError):
    """The body of a row was not written by `pack`."""


def is_newer(body: bytes) -> bool:
    """True if a newer release has packed a body, which only workers of that release can read."""
    return body[:1] > _COUNTS_AND_CALLERS


def newer_bodies() -> sa.ColumnElement[bool]:
    """The same as `is_newer`, as a condition of a SELECT."""
    # As bytes, because the order of texts depends on the collation.
    return sa.func.substr(INBOX.c.body, 1, 1) > sa.literal(_COUNTS_AND_CALLERS, sa.LargeBinary())


def pack(batch: Batch) -> bytes:
    """The body of a batch's row: its sums, its uses, its callers and its `ahead_us`."""
    parts = (
        _HEAD.pack(len(batch.deltas), len(batch.uses), batch.ahead_us),
        *_columns(batch.deltas, _SUM_FIELDS),
        *_columns(batch.uses, _USE_FIELDS),
        Histogram.pack_many(delta.histogram for delta in batch.deltas),
    )
    # Without callers there is nothing that an older release could not read.
    has_callers = batch.is_attributed or batch.callers
    callers = _packed_callers(batch) if has_callers else b""
    body = zlib.compress(b"".join((callers, *parts)), _COMPRESSION)
    return (_COUNTS_AND_CALLERS if has_callers else _COUNTS) + body


def unpack(body: bytes) -> Batch:
    """The inverse of `pack`; the number of the batch is 0, and its open calls are unchanged.

    Raises:
        UnreadableError: The body was not written by `pack`.
    """
    if body[:1] not in (_COUNTS, _COUNTS_AND_CALLERS):
        raise UnreadableError(f"unknown format {body[:1].hex() or 'of no bytes'}")
    try:
        data = zlib.decompress(body[1:])
        if body[:1] == _COUNTS:
            return _unpacked(data, 0, Batch(0))
        return _unpacked(data, *_unpacked_callers(data))
    # The last two, and some of the others, are those of names that are no JSON, or other JSON.
    except (zlib.error, struct.error, ValueError, TypeError, RecursionError) as error:
        raise UnreadableError(str(error)) from error


def _packed_callers(batch: Batch) -> bytes:
    # Escapes all characters, so that any text becomes bytes.
    names = json.dumps(batch.names).encode()
    head = _CALLERS_HEAD.pack(len(batch.callers), batch.is_attributed, len(names))
    return b"".join((head, *_columns(batch.callers, _CALLER_FIELDS), names))


def _unpacked_callers(data: bytes) -> tuple[int, Batch]:
    """Where the rest begins, and a batch with the callers alone."""
    count, is_attributed, size = _CALLERS_HEAD.unpack_from(data)
    at = _CALLERS_HEAD.size
    calls = _rows(data, at, count, _CALLER_FIELDS)
    at += count * _CALLER_FIELDS * _BYTES
    named: list[tuple[Any, Any, Any, Any]] = json.loads(data[at : at + size])
    return at + size, Batch(
        0,
        is_attributed=is_attributed,
        callers=tuple(CallerCalls(*row) for row in calls),
        names=tuple(
            CallerFacts(int(one), CallerKind(kind), str(name), int(key))
            for one, kind, name, key in named
        ),
    )


def _unpacked(data: bytes, at: int, batch: Batch) -> Batch:
    """The batch with the sums and uses that begin at some byte."""
    sums, uses, ahead_us = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    deltas = _rows(data, at, sums, _SUM_FIELDS)
    at += sums * _SUM_FIELDS * _BYTES
    used = _rows(data, at, uses, _USE_FIELDS)
    at += uses * _USE_FIELDS * _BYTES
    histograms = Histogram.unpack_many(data[at:], sums)
    return replace(
        batch,
        deltas=tuple(_delta(*row, one) for row, one in zip(deltas, histograms, strict=True)),
        uses=tuple(Use(*row) for row in used),
        ahead_us=ahead_us,
    )


_delta = cast("Callable[..., Delta]", Delta)
"""The constructor, for all fields in their order."""


def _columns(rows: Sequence[tuple[Any, ...]], fields: int) -> list[bytes]:
    """The first fields of all rows, one field after the other."""
    # A column of similar numbers compresses better than rows, and takes one call.
    packed = struct.Struct(f"<{len(rows)}q")
    return [packed.pack(*column) for column in islice(zip(*rows, strict=True), fields)]


def _rows(data: bytes, at: int, count: int, fields: int) -> list[tuple[int, ...]]:
    column = struct.Struct(f"<{count}q")
    columns = [column.unpack_from(data, at + number * column.size) for number in range(fields)]
    return list(zip(*columns, strict=True))


class Inbox:
    """Puts the batches of one worker into the inbox, each exactly once."""

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker
        progress = WORKER.c.complete_to, WORKER.c.dropped, WORKER.c.pending
        self._guard = SequenceGuard(worker, WORKER.c.seq, *progress)

    def put(self, batch: Batch, progress: Progress) -> int:
        """Add a batch; calling it again with the same batch after an error is safe.

        Args:
            batch: The counts.
            progress: The worker's own state at this batch.

        Returns:
            Number of batches of this worker that wait in the inbox, including this one.

        Raises:
            StorageError: The database cannot be written. The batch may have been added or not;
                the next call with the same batch finds out.
            SchemaTooNewError: A newer release has migrated the database since this one began.
        """
        row = {
            "worker_id": self._worker.id,
            "seq": batch.seq,
            "app": storable(self._worker.app),
            "since": batch.since_us,
            "calls": batch.calls,
            "body": pack(batch),
        }
        waiting: list[int] = []
        # The body is packed by now: a repeated transaction stays short.
        retry_on_deadlock(lambda: waiting.append(self._put(batch, progress, row)))
        return waiting[-1]

    def _put(self, batch: Batch, progress: Progress, row: dict[str, Any]) -> int:
        with self._database.write() as connection:
            if self._guard.advance(connection, batch.seq, *progress):
                if batch.open_calls is not None:
                    own_row = sa.update(WORKER).where(WORKER.c.id == self._worker.id)
                    connection.execute(own_row.values(open_calls=batch.open_calls or None))
                # Open calls alone leave nothing to add up.
                if batch.deltas or batch.uses or batch.callers:
                    connection.execute(sa.insert(INBOX), row)
            ((waiting,),) = _WAITING.read(connection, {"worker": self._worker.id})
            return int(waiting)


_WAITING = Prepared(
    sa.select(sa.func.count()).select_from(INBOX).where(INBOX.c.worker_id == sa.bindparam("worker"))
)
