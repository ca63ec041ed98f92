"""Reports while some counts wait in the inbox: exactly the added counts are shown."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.rows import APP, delta, worker
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.worker import Heartbeat, Progress, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import Batch, Delta
from fastapi_lens.storage.writing.drain import drain_all
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.registrar import Registrar
from tests.reporting.recount import (
    ENDPOINTS,
    NOW,
    WINDOWS,
    Call,
    begin_of,
    random_calls,
    reader_of,
    recount,
)

NOW_US = round(NOW * 1_000_000)


def delta_of(call: Call) -> Delta:
    return Delta(
        endpoint_id=endpoint_id(APP, "GET", call.path),
        minute=int(call.at // 60),
        status=call.status,
        calls=1,
        duration_us=call.duration_us,
        max_us=call.duration_us,
        first_at_us=call.at_us,
        last_at_us=call.at_us,
        histogram=Histogram.from_counts({bucket_index(call.duration_us * 1_000): 1}),
    )


def put(database: Database, name: str, calls: Sequence[Call], batches: int) -> None:
    """As one worker: all calls in so many batches."""
    Registrar(database, worker(name)).register(ENDPOINTS, applied=0, now_us=NOW_US)
    inbox = Inbox(database, worker(name))
    for seq in range(1, batches + 1):
        deltas = tuple(map(delta_of, calls[seq - 1 :: batches]))
        inbox.put(Batch(seq, deltas, since_us=1), Progress())


def assert_equal_to_recount(
    database: Database, calls: Sequence[Call], windows: Iterable[int | None]
) -> None:
    reader = reader_of(database)
    for seconds in windows:
        begin = begin_of(seconds, None)
        for endpoint in reader.endpoints(window=Window(seconds), now=NOW):
            mine = [one for one in calls if one.path == endpoint.path and one.at >= begin]
            assert endpoint.usage == recount(mine)
            assert reader.endpoint(endpoint.key, window=Window(seconds), now=NOW) == endpoint


@pytest.mark.unmeasured
@settings(max_examples=8)
@given(
    st.integers(0, 2**16),
    st.floats(0, 1),
    st.lists(st.none() | st.sampled_from(WINDOWS), min_size=3, max_size=3),
)
def test_any_window_equals_a_recount_of_what_was_added_while_the_rest_waits(
    seed: int, share: float, windows: list[int | None]
) -> None:
    chance, calls = random.Random(seed), random_calls(seed)
    added = [one for one in calls if chance.random() < share]
    waiting = [one for one in calls if one not in added]
    database = Database("sqlite://")
    migrate(database)
    put(database, "w1", added, 3)
    drain_all(database)
    put(database, "w2", waiting, 4)
    assert_equal_to_recount(database, added, windows)
    drain_all(database)
    assert_equal_to_recount(database, calls, windows)
    database.close()


class Fleet:
    """Workers whose counts wait, and the numbers of their app."""

    def __init__(self, database: Database) -> None:
        self.database = database
        migrate(database)

    def add(self, name: str, *, complete_to: float, waits_since: float | None = None) -> None:
        facts = replace(worker(name), started_at_us=NOW_US)
        Registrar(self.database, facts).register([], applied=0, now_us=NOW_US)
        self.beat(facts, complete_to)
        if waits_since is not None:
            since_us = round(waits_since * 1_000_000)
            Inbox(self.database, facts).put(Batch(1, (delta(1),), since_us=since_us), Progress())

    def beat(self, facts: WorkerFacts, complete_to: float, *, ended: bool = False) -> None:
        told = Heartbeat(now_us=NOW_US, complete_to_us=round(complete_to * 1e6), ended=ended)
        beat(self.database, facts, told)

    @property
    def complete_to(self) -> float | None:
        return reader_of(self.database).health(NOW).complete_to


@pytest.fixture
def fleet(memory: Database) -> Fleet:
    return Fleet(memory)


def test_counts_are_complete_up_to_the_oldest_that_waits(fleet: Fleet) -> None:
    fleet.add("w1", complete_to=NOW - 2)
    fleet.add("w2", complete_to=NOW - 1, waits_since=NOW - 30)
    fleet.add("w3", complete_to=NOW, waits_since=NOW - 20)
    assert fleet.complete_to == NOW - 30
    drain_all(fleet.database)
    assert fleet.complete_to == NOW - 2


def test_what_waits_makes_nothing_complete_that_a_worker_has_not_written(fleet: Fleet) -> None:
    fleet.add("w1", complete_to=NOW - 50)
    fleet.add("w2", complete_to=NOW, waits_since=NOW - 30)
    assert fleet.complete_to == NOW - 50


def test_counts_of_workers_that_ended_are_not_complete_while_they_wait(fleet: Fleet) -> None:
    fleet.add("w1", complete_to=NOW, waits_since=NOW - 30)
    fleet.beat(worker("w1"), NOW, ended=True)
    assert fleet.complete_to == NOW - 30
    drain_all(fleet.database)
    assert fleet.complete_to == NOW


def test_what_another_app_has_waiting_does_not_matter(fleet: Fleet) -> None:
    fleet.add("w1", complete_to=NOW)
    other = worker("w2", "other")
    Registrar(fleet.database, other).register([], applied=0, now_us=NOW_US)
    Inbox(fleet.database, other).put(Batch(1, (delta(1),), since_us=5), Progress())
    assert fleet.complete_to == NOW


def test_without_workers_nothing_is_complete(fleet: Fleet) -> None:
    assert fleet.complete_to is None
