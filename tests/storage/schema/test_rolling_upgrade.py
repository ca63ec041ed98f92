"""Workers of the first edition go on while others are upgraded: no call is lost, none twice."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, islice

import pytest

from benchmarks.support.ordeal import ENDPOINTS, stream
from benchmarks.support.rows import FlakyDatabase, facts, rows_in, rows_of, table_rows, worker
from fastapi_lens.recording.flush.flusher import Flusher, FlushSettings
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import known_version, migrate
from fastapi_lens.storage.schema.tables import ENDPOINT, INBOX, META, SCHEMA_STEP
from fastapi_lens.storage.writing.batches import Batch, Delta
from fastapi_lens.storage.writing.drain import Drain, drain_all
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.registrar import Registrar
from tests.storage.first_edition import (
    VERSION,
    FirstWorker,
    make_tables,
    until_alone,
    version_in,
)

BATCHES = 12
FACTS = [replace(facts(f"/{number}"), id=number) for number in range(1, ENDPOINTS + 1)]


@pytest.fixture
def old(database_url: str) -> Iterator[FlakyDatabase]:
    """A database of the first edition, on each kind of database."""
    made = FlakyDatabase(database_url)
    make_tables(made)
    yield made
    made.close()


def batches(seed: int, number: int = BATCHES) -> list[Batch]:
    return list(islice(stream(seed), number))


def deltas_of(*written: Sequence[Batch]) -> list[Delta]:
    return list(chain.from_iterable(batch.deltas for batch in chain(*written)))


def first_worker(database: FlakyDatabase, name: str = "old") -> FirstWorker:
    made = FirstWorker(database, worker(name))
    made.start(FACTS)
    return made


def test_a_database_of_the_first_edition_keeps_all_its_counts(old: FlakyDatabase) -> None:
    writer, written = first_worker(old), batches(1)
    for batch in written:
        writer.write(batch)
    migrate(old)
    assert rows_in(old) == rows_of(deltas_of(written))
    found = {row.name: row.value for row in table_rows(old, META)}
    assert found[SCHEMA_STEP] == str(known_version())
    drain_all(old)
    assert rows_in(old) == rows_of(deltas_of(written))


def test_endpoints_of_an_older_database_get_the_shapes_of_their_paths(old: FlakyDatabase) -> None:
    paths = ("/orders/{id}", "/orders/{order_id}", "/orders")
    registered = [replace(facts(path), id=endpoint_id("orders", "GET", path)) for path in paths]
    FirstWorker(old, worker("old")).start(registered)
    migrate(old)
    shapes = {row.path: row.shape_id for row in table_rows(old, ENDPOINT)}
    assert shapes["/orders/{id}"] == shapes["/orders/{order_id}"] != shapes["/orders"]
    assert 0 not in shapes.values()


def test_an_old_worker_goes_on_after_the_migration_and_one_may_still_start(
    old: FlakyDatabase,
) -> None:
    running, (first, second, third) = first_worker(old), batches(2, 3)
    running.write(first)
    migrate(old)
    for _ in range(2):
        # The acknowledgement of the first time has got lost.
        running.write(second)
    running.beat()
    late, of_late = first_worker(old, "late"), batches(3, 2)
    for batch in of_late:
        late.write(batch)
    running.write(third)
    with old.read() as connection:
        assert version_in(connection) == VERSION
    assert rows_in(old) == rows_of(deltas_of([first, second, third], of_late))


def test_old_and_new_workers_add_up_exactly_while_the_database_is_migrated(
    old: FlakyDatabase,
) -> None:
    before = first_worker(old, "before")
    streams = {f"old {seed}": batches(seed) for seed in range(2)}
    streams |= {f"new {seed}": batches(seed) for seed in range(2, 4)}
    begin = threading.Barrier(len(streams))

    def write_old(name: str) -> None:
        writer = first_worker(old, name)
        begin.wait(30)
        for batch in streams[name]:
            writer.write(batch)
            writer.beat()

    def write_new(name: str) -> None:
        begin.wait(30)
        registrar, inbox, drain = Registrar(old, worker(name)), Inbox(old, worker(name)), Drain(old)
        until_alone(lambda: migrate(old))
        until_alone(lambda: registrar.register(FACTS, applied=0, now_us=1))
        for batch in streams[name]:
            until_alone(partial(inbox.put, batch, Progress()))
            until_alone(lambda: drain.run(seconds=5))

    with ThreadPoolExecutor(len(streams)) as pool:
        writing = {name: write_old if "old" in name else write_new for name in streams}
        started = [pool.submit(write, name) for name, write in writing.items()]
    for one in started:
        one.result()
    drain_all(old)
    assert table_rows(old, INBOX) == []
    last = batches(9, 1)
    before.write(last[0])
    assert rows_in(old) == rows_of(deltas_of(*streams.values(), last))


def test_a_new_worker_beside_an_old_one_shows_what_both_have_counted(old: FlakyDatabase) -> None:
    writer, written = first_worker(old), batches(4, 2)
    writer.write(written[0])
    recorder = Recorder(clock=lambda: 1_773_014_400.0)
    settings = FlushSettings(interval=5, max_batch_size=100)
    flusher = Flusher(recorder, old, worker("new"), settings, lambda: FACTS)
    recorder.count(method="GET", path="/shared", status=200, duration_ns=1_000_000)
    assert flusher.flush()
    writer.write(written[1])
    recorder.count(method="GET", path="/shared", status=200, duration_ns=1_000_000)
    assert flusher.stop()
    calls = rows_of(deltas_of(written)).statuses.total() + 2
    assert rows_in(old).statuses.total() == calls
