"""Changes that calls make in the rows of their endpoints: last uses, and releases."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.rows import MINUTE, FlakyDatabase, delta, facts, table_rows, worker
from fastapi_lens.storage.coordination.worker import Progress, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import release_id
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER
from fastapi_lens.storage.writing.batches import Batch, Delta, EndpointChange, Use, endpoint_changes
from fastapi_lens.storage.writing.drain import Drain, drain_all
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.registrar import Registrar
from fastapi_lens.verdict.history import REFUSED

APP = "orders"
AT_US = MINUTE * 60_000_000


def of_release(name: str) -> WorkerFacts:
    return replace(worker(f"of-{name}"), release=name)


def put(database: Database, writer: WorkerFacts, *batches: Batch) -> None:
    Registrar(database, writer).register([], applied=batches[0].seq - 1, now_us=AT_US)
    for batch in batches:
        Inbox(database, writer).put(batch, Progress())


def row_of(database: Database, endpoint: int = 1) -> Any:
    return next(row for row in table_rows(database, ENDPOINT) if row.id == endpoint)


def call(at: int, status: int = 200, endpoint: int = 1) -> Delta:
    """One call, so many minutes after the first."""
    return delta(endpoint, minute=MINUTE + at, status=status)


def called_by(database: Database) -> tuple[str | None, str | None]:
    """The releases that recorded the first and the last call."""
    names = {release_id(APP, name): name for name in ("1", "2", "3", "1.4.2", "")}
    row = row_of(database)
    return names.get(row.first_called_release_id), names.get(row.last_called_release_id)


def test_a_refusal_is_a_call_and_no_use(flaky: FlakyDatabase) -> None:
    put(flaky, worker(), Batch(1, (call(1), call(2, 409), call(3, 404))))
    drain_all(flaky)
    put(flaky, worker(), Batch(2, tuple(call(4 + n, status) for n, status in enumerate(REFUSED))))
    drain_all(flaky)
    row = row_of(flaky)
    assert row.last_used_at == AT_US + 2 * 60_000_000 + 1_000
    assert row.last_called_at == AT_US + (3 + len(REFUSED)) * 60_000_000 + 1_000


def test_an_endpoint_that_only_refuses_has_no_last_use(flaky: FlakyDatabase) -> None:
    put(flaky, worker(), Batch(1, (call(1, 401),)))
    drain_all(flaky)
    assert (row_of(flaky).last_used_at, row_of(flaky).total_calls) == (0, 1)


def test_an_open_call_is_a_use_at_each_report(flaky: FlakyDatabase) -> None:
    put(flaky, worker(), Batch(1, uses=(Use(1, 2, since_us=AT_US, until_us=AT_US + 50),)))
    drain_all(flaky)
    row = row_of(flaky)
    assert (row.first_called_at, row.last_called_at) == (AT_US, AT_US + 50)
    assert (row.last_used_at, row.total_calls) == (AT_US + 50, 0)
    assert called_by(flaky) == ("1.4.2", "1.4.2")


def test_a_use_gives_way_to_an_earlier_one_only_if_it_came_from_a_wrong_clock(
    flaky: FlakyDatabase,
) -> None:
    put(flaky, worker(), Batch(1, (call(500),)))
    drain_all(flaky)
    put(flaky, worker(), Batch(2, (call(9),)))
    drain_all(flaky)
    assert row_of(flaky).last_used_at == AT_US + 500 * 60_000_000 + 1_000

    ahead = AT_US + 400 * 60_000_000
    put(flaky, worker(), Batch(3, (call(10, 404), call(8)), ahead_us=ahead))
    Drain(flaky, clock=lambda: 0.0).run_once()
    assert row_of(flaky).last_used_at == AT_US + 8 * 60_000_000 + 1_000
    # A batch without a use changes no use, whatever is stored.
    put(flaky, worker(), Batch(4, (call(2, 404),), ahead_us=AT_US))
    Drain(flaky, clock=lambda: 0.0).run_once()
    assert row_of(flaky).last_used_at == AT_US + 8 * 60_000_000 + 1_000


def test_the_releases_of_the_first_and_of_the_last_call_are_kept(flaky: FlakyDatabase) -> None:
    put(flaky, of_release("2"), Batch(1, (call(20), call(30, 404))))
    put(flaky, of_release("1"), Batch(1, (call(10), call(15))))
    put(flaky, of_release("3"), Batch(1, (call(25),)))
    drain_all(flaky)
    assert called_by(flaky) == ("1", "2")
    # Later calls of another release, and earlier ones that were late.
    put(flaky, of_release("3"), Batch(2, (call(5), call(40))))
    drain_all(flaky)
    assert called_by(flaky) == ("3", "3")
    # Neither the first nor the last.
    put(flaky, of_release("1"), Batch(2, (call(7), call(39))))
    drain_all(flaky)
    assert called_by(flaky) == ("3", "3")


def test_the_release_of_a_worker_whose_row_was_deleted_is_unknown(flaky: FlakyDatabase) -> None:
    put(flaky, of_release("1"), Batch(1, (call(10),)))
    with flaky.write() as connection:
        connection.execute(sa.delete(WORKER).where(WORKER.c.id == "of-1"))
    drain_all(flaky)
    row = row_of(flaky)
    assert (row.first_called_release_id, row.last_called_release_id) == (0, 0)
    assert row.total_calls == 1


def test_registration_keeps_the_first_release_and_follows_the_last(flaky: FlakyDatabase) -> None:
    for name in ("2", "3"):
        known = replace(facts("/1"), id=1)
        Registrar(flaky, of_release(name)).register([known], applied=0, now_us=AT_US)
    row = row_of(flaky)
    assert (row.first_release_id, row.last_release_id) == (
        release_id(APP, "1.4.2"),
        release_id(APP, "3"),
    )


PARTS = st.tuples(
    st.integers(0, 2), st.integers(1, 2), st.integers(0, 9), st.sampled_from((200, 404, 500))
)


@given(parts=st.lists(PARTS, min_size=1, max_size=12))
def test_changes_of_several_releases_are_those_of_the_calls_one_by_one(
    parts: Sequence[tuple[int, int, int, int]],
) -> None:
    batches = [
        Batch(0, (call(at, status, endpoint),), release_id=release)
        for release, endpoint, at, status in parts
    ]
    found = endpoint_changes(batches)
    for endpoint, change in found.items():
        calls = [
            (one.deltas[0].first_at_us, one.deltas[0].status, one.release_id)
            for one in batches
            if one.deltas[0].endpoint_id == endpoint
        ]
        first, last = min(at for at, _, _ in calls), max(at for at, _, _ in calls)
        used = max((at for at, status, _ in calls if status != 404), default=0)
        assert change == EndpointChange(
            *(len(calls), first, last, used, change.first_release, change.last_release),
            unattributed_at_us=last,
        )
        assert (first, change.first_release) in [(at, release) for at, _, release in calls]
        assert (last, change.last_release) in [(at, release) for at, _, release in calls]
