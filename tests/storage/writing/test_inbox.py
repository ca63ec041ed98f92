"""Batches on their way into the inbox: what a body holds, and that each is there once."""

import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.support.rows import (
    APP,
    FlakyDatabase,
    called_by,
    caller,
    delta,
    table_rows,
    worker,
)
from fastapi_lens.errors import StorageError
from fastapi_lens.histogram.histogram import BUCKETS, Histogram
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.tables import INBOX, WORKER
from fastapi_lens.storage.writing.batches import Batch, CallerCalls, CallerFacts, Delta, Use
from fastapi_lens.storage.writing.drain import backlog
from fastapi_lens.storage.writing.inbox import (
    Inbox,
    UnreadableError,
    is_newer,
    pack,
    unpack,
)
from fastapi_lens.storage.writing.open_calls import as_text
from fastapi_lens.storage.writing.registrar import Registrar

NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
HISTOGRAMS = st.builds(
    Histogram.from_counts,
    st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, (1 << 40) - 1), max_size=8),
)
DELTAS = st.builds(Delta, *[NUMBERS] * 8, HISTOGRAMS)
USES = st.builds(Use, *[NUMBERS] * 4)
CALLER_CALLS = st.builds(CallerCalls, *[NUMBERS] * 8)
NAMES = st.builds(CallerFacts, NUMBERS, st.sampled_from(CallerKind), st.text(), NUMBERS)
BATCHES = st.builds(
    Batch,
    st.just(0),
    st.lists(DELTAS, max_size=5).map(tuple),
    st.lists(USES, max_size=5).map(tuple),
    ahead_us=NUMBERS,
) | st.builds(
    Batch,
    st.just(0),
    st.lists(DELTAS, max_size=3).map(tuple),
    is_attributed=st.booleans(),
    callers=st.lists(CALLER_CALLS, min_size=1, max_size=5).map(tuple),
    names=st.lists(NAMES, max_size=5).map(tuple),
)
BATCH = Batch(0, (delta(1, [5, 70_000]), delta(2, status=503)), (Use(2, 1, 5, 9),), ahead_us=7)


@pytest.fixture
def inbox(local: FlakyDatabase) -> Inbox:
    """That of a registered worker on SQLite."""
    return inbox_of(local)


def inbox_of(database: Database, name: str = "w1", app: str = APP) -> Inbox:
    Registrar(database, worker(name, app)).register([], applied=0, now_us=1)
    return Inbox(database, worker(name, app))


def waits(database: Database) -> tuple[int, int, int]:
    with database.read() as connection:
        return backlog(connection)


def rows(database: Database) -> list[Any]:
    return table_rows(database, INBOX)


def seq_of(database: Database, name: str = "w1") -> int:
    return next(row.seq for row in table_rows(database, WORKER) if row.id == name)


@given(BATCHES)
@example(Batch(0))
def test_a_batch_is_read_as_it_was_packed(batch: Batch) -> None:
    assert unpack(pack(batch)) == batch


@given(BATCHES, st.data())
def test_a_body_that_was_cut_or_altered_is_unreadable_or_the_same(
    batch: Batch, data: st.DataObject
) -> None:
    body = pack(batch)
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.binary(max_size=3))
    for altered in (body[:at], body[:at] + other + body[at + len(other) :]):
        with suppress(UnreadableError):
            assert unpack(altered) == batch


@given(BATCHES, st.data())
def test_what_nobody_has_packed_raises_nothing_else_even_if_it_is_compressed_well(
    batch: Batch, data: st.DataObject
) -> None:
    plain = zlib.decompress(pack(batch)[1:])
    at = data.draw(st.integers(0, len(plain)))
    other = data.draw(st.binary(max_size=20))
    altered = data.draw(st.sampled_from([plain[:at] + other, plain[:at] + other + plain[at + 1 :]]))
    with suppress(UnreadableError):
        unpack(pack(batch)[:1] + zlib.compress(altered))


@given(st.binary())
@example(b"")
@example(b"\1")
def test_bytes_of_somebody_else_are_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        unpack(body)


def test_what_is_wrong_with_a_body_is_said() -> None:
    def compressed(data: bytes) -> bytes:
        return b"\1" + zlib.compress(data)

    plain = zlib.decompress(pack(BATCH)[1:])
    many = struct.pack("<IIq", 2**32 - 1, 2**32 - 1, 0)
    for body, problem in {
        b"": "^unknown format of no bytes$",
        b"\3abc": "^unknown format 03$",
        b"\1abc": "while decompressing",
        compressed(many): "requires a buffer",
        compressed(plain + b"x"): "^it has another length than it says$",
        compressed(plain[:-1]): "^it has another length than it says$",
    }.items():
        with pytest.raises(UnreadableError, match=problem):
            unpack(body)


@given(BATCHES)
def test_what_this_release_packs_is_not_newer(batch: Batch) -> None:
    assert not is_newer(pack(batch))


def test_a_later_format_is_newer_and_no_bytes_are_not() -> None:
    assert is_newer(b"\3")
    assert is_newer(b"\3abc")
    assert not is_newer(b"")


def test_a_batch_without_callers_is_packed_as_before_there_were_any() -> None:
    assert pack(BATCH)[:1] == b"\1"
    assert unpack(pack(BATCH)).is_attributed is False
    assert pack(replace(BATCH, is_attributed=True))[:1] == b"\2"


@pytest.mark.parametrize(
    "names",
    [
        "5",
        "[5]",
        "[[1, 2]]",
        '[[1, "nobody", "a", 0]]',
        '[["x", "hook", "a", 0]]',
        "[" * 10_000,
        "\xff",
    ],
)
def test_names_that_nobody_has_packed_are_unreadable(names: str) -> None:
    text = names.encode("latin-1")
    callers = struct.pack("<IBI", 0, 1, len(text)) + text
    plain = zlib.decompress(pack(Batch(0))[1:])
    with pytest.raises(UnreadableError):
        unpack(b"\2" + zlib.compress(callers + plain))


def test_callers_alone_wait_too(local: FlakyDatabase) -> None:
    alone = replace(called_by(1, caller("billing"), 5), deltas=())
    assert inbox_of(local).put(alone, Progress()) == 1
    assert unpack(rows(local)[0].body) == replace(alone, seq=0)


def test_a_body_is_a_few_bytes_for_each_endpoint() -> None:
    deltas = tuple(delta(2**62 + number, [number * 7 % 9_000]) for number in range(500))
    assert len(pack(Batch(0, deltas))) < 20_000


def test_a_batch_waits_once_however_often_it_is_put(flaky: FlakyDatabase) -> None:
    inbox = inbox_of(flaky)
    batch = replace(BATCH, seq=1, since_us=123_456)
    assert [inbox.put(batch, Progress()), inbox.put(batch, Progress())] == [1, 1]
    (row,) = rows(flaky)
    assert (row.worker_id, row.seq, row.app) == ("w1", 1, APP)
    assert (row.since, row.calls) == (123_456, 3)
    assert unpack(row.body) == BATCH
    assert seq_of(flaky) == 1


@pytest.mark.parametrize("is_there", [True, False], ids=["committed", "rolled back"])
def test_a_batch_whose_acknowledgement_got_lost_is_put_again_and_waits_once(
    flaky: FlakyDatabase, *, is_there: bool
) -> None:
    inbox, batch = inbox_of(flaky), replace(BATCH, seq=1)
    flaky.loses, flaky.down = (lambda: is_there), not is_there
    with pytest.raises(StorageError):
        inbox.put(batch, Progress())
    flaky.loses, flaky.down = (lambda: False), False
    assert len(rows(flaky)) == is_there
    assert inbox.put(batch, Progress()) == 1
    assert len(rows(flaky)) == 1


def test_a_worker_is_told_how_many_of_its_own_batches_wait(local: FlakyDatabase) -> None:
    mine, other = inbox_of(local), inbox_of(local, "w2")
    told = [
        one.put(Batch(seq, (delta(1),)), Progress())
        for seq in (1, 2, 3)
        for one in (mine, other, mine)
    ]
    assert told == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    with local.write() as connection:
        connection.execute(sa.delete(INBOX).where(INBOX.c.seq < 3))
    assert mine.put(Batch(4, (delta(1),)), Progress()) == 2


def test_a_worker_says_with_each_batch_how_far_it_has_written(flaky: FlakyDatabase) -> None:
    inbox = inbox_of(flaky)
    inbox.put(Batch(1, (delta(1),)), Progress(complete_to_us=70, dropped=2, pending=5))
    (row,) = (one for one in table_rows(flaky, WORKER) if one.id == "w1")
    assert (row.seq, row.complete_to, row.dropped, row.pending) == (1, 70, 2, 5)
    # It is there already: nothing new is known of it.
    inbox.put(Batch(1, (delta(1),)), Progress(complete_to_us=80))
    (row,) = (one for one in table_rows(flaky, WORKER) if one.id == "w1")
    assert row.complete_to == 70


def test_what_waits_is_counted_and_since_the_oldest_of_it(database: Database) -> None:
    assert waits(database) == (0, 0, 0)
    for name, app, since in (("w1", APP, 30), ("w2", APP, 20), ("w3", "other", 10)):
        inbox = inbox_of(database, name, app)
        for seq in (1, 2):
            # In both formats.
            batch = Batch(seq, (delta(1),), since_us=since * seq, is_attributed=seq == 1)
            inbox.put(batch, Progress())
    assert waits(database) == (6, 10, 0)
    with database.write() as connection:
        connection.execute(sa.update(INBOX).where(INBOX.c.seq == 2).values(body=b"\3newer"))
    assert waits(database) == (6, 10, 3)


def test_uses_wait_like_calls_and_open_calls_are_told_at_once(local: FlakyDatabase) -> None:
    inbox, uses = inbox_of(local), (Use(1, 2, 3, 4),)
    assert inbox.put(Batch(1, (), uses, as_text(uses)), Progress()) == 1
    # Without calls and uses there is nothing to wait for.
    assert inbox.put(Batch(2, (), (), ""), Progress()) == 1
    assert [row.calls for row in rows(local)] == [0]
    assert seq_of(local) == 2
    (row,) = (one for one in table_rows(local, WORKER) if one.id == "w1")
    assert row.open_calls is None


def test_open_calls_are_those_of_the_worker_that_tells_them(local: FlakyDatabase) -> None:
    def open_calls() -> dict[str, str | None]:
        rows = (row for row in table_rows(local, WORKER) if row.id != "setup")
        return {row.id: row.open_calls for row in rows}

    mine, other, uses = inbox_of(local), inbox_of(local, "w2"), (Use(1, 2, 3, 4),)
    other.put(Batch(1, open_calls="other"), Progress())
    assert mine.put(Batch(1, (), uses, as_text(uses)), Progress()) == 1
    assert open_calls() == {"w1": as_text(uses), "w2": "other"}
    # None says that nothing has changed.
    mine.put(Batch(2, (), uses), Progress())
    assert open_calls() == {"w1": as_text(uses), "w2": "other"}
    mine.put(Batch(3, open_calls=""), Progress())
    assert open_calls() == {"w1": None, "w2": "other"}
    # Told together with what is there already, they are not noted once more.
    mine.put(Batch(3, open_calls="late"), Progress())
    assert open_calls() == {"w1": None, "w2": "other"}
