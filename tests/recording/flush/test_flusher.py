import logging
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import (
    facts,
    rows_of,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.recording.flush import collector, outbox
from fastapi_lens.recording.flush.draining import Draining
from fastapi_lens.recording.flush.flusher import Flusher, FlushSettings
from fastapi_lens.recording.flush.processes import new_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import lens_metadata
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    INBOX,
    META,
    SCHEMA_VERSION,
    STATUS,
    WORKER,
)
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.drain import drain_all
from fastapi_lens.storage.writing.registrar import Registrar
from tests.recording.rig import (
    NEVER,
    ORDER,
    ORDERS,
    START,
    Rig,
    opened,
    paths_in,
    worker_row,
)


@pytest.fixture
def rig(database_url: str) -> Iterator[Rig]:
    """Once on SQLite and once on PostgreSQL."""
    with opened(database_url) as made:
        yield made


def test_a_flush_writes_every_call_and_every_endpoint(rig: Rig) -> None:
    rig.work_for(range(90), random.Random(1))
    assert rig.flusher.pending_calls == len(rig.sent) > 0
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert rig.flusher.pending_calls == 0
    assert paths_in(rig) == {ORDERS.path, ORDER.path, NEVER.path}
    assert rig.flusher.flush()
    assert rig.rows == rig.expected


def test_calls_are_booked_to_the_minute_of_the_last_one_since_they_were_collected(
    file_rig: Rig,
) -> None:
    for at in (59.999, 60.0, 119.999):
        file_rig.now = START + at
        file_rig.call()
        file_rig.flusher.collect()
    file_rig.now = START + 170
    file_rig.recorder.count(method="GET", path=ORDERS.path, status=200, duration_ns=1)
    file_rig.now = START + 190
    file_rig.recorder.count(method="GET", path=ORDERS.path, status=200, duration_ns=1)
    assert file_rig.flusher.flush()
    minutes = {
        row.bucket: row.calls for row in table_rows(file_rig.database, BUCKET) if row.tier == 60
    }
    first = int(START // 60)
    assert minutes == {first: 1, first + 1: 2, first + 3: 2}


def test_counts_wait_while_the_database_is_down_and_are_written_when_it_is_back(rig: Rig) -> None:
    chance = random.Random(2)
    rig.database.down = True
    for _ in range(4):
        rig.work_for(range(10), chance)
        assert not rig.flusher.flush()
        assert rig.flusher.pending_calls == len(rig.sent)
    rig.database.down = False
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert rig.flusher.dropped == 0


@pytest.mark.parametrize("seed", range(3))
def test_acknowledgements_that_get_lost_cost_and_double_nothing(file_rig: Rig, seed: int) -> None:
    chance = random.Random(seed)
    file_rig.database.loses = lambda: chance.random() < 0.3
    failures = 0
    for _ in range(6):
        file_rig.work_for(range(8), chance)
        failures += not file_rig.flusher.flush()
    file_rig.database.loses = lambda: False
    assert file_rig.flusher.flush()
    assert failures > 0
    drain_all(file_rig.database)
    assert file_rig.rows == file_rig.expected


def test_a_worker_that_the_database_has_forgotten_registers_again(file_rig: Rig) -> None:
    chance = random.Random(3)
    file_rig.work_for(range(20), chance)
    assert file_rig.flusher.flush()
    with file_rig.database.write() as connection:
        connection.execute(sa.delete(WORKER))
    file_rig.work_for(range(20), chance)
    assert not file_rig.flusher.flush()
    file_rig.work_for(range(3), chance)
    assert file_rig.flusher.flush()
    assert file_rig.rows == file_rig.expected
    assert worker_row(file_rig).seq > 0


def test_tables_that_were_dropped_are_made_again(rig: Rig) -> None:
    chance = random.Random(4)
    rig.work_for(range(20), chance)
    assert rig.flusher.flush()
    with rig.database.write() as connection:
        lens_metadata.drop_all(connection)
    first_calls = {each.endpoint_id: each.first_at_us for each in reversed(rig.sent)}
    rig.sent.clear()
    rig.work_for(range(20), chance)
    assert not rig.flusher.flush()
    assert rig.flusher.flush()
    expected = rig.expected
    # The worker still knows when it counted an endpoint for the first time.
    for identity, (calls, _, last) in expected.endpoints.items():
        expected.endpoints[identity] = (calls, first_calls[identity], last)
    assert rig.rows == expected
    assert paths_in(rig) == {ORDERS.path, ORDER.path, NEVER.path}


def test_a_database_of_a_newer_release_is_waited_for(
    file_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(file_rig.database)
    version = sa.update(META).where(META.c.name == SCHEMA_VERSION)
    with file_rig.database.write() as connection:
        connection.execute(version.values(value="99"))
    file_rig.call()
    assert not file_rig.flusher.flush()
    assert file_rig.flusher.pending_calls == 1
    assert "upgrade fastapi_lens" in caplog.text
    with file_rig.database.write() as connection:
        connection.execute(version.values(value="1"))
    assert file_rig.flusher.flush()
    assert file_rig.rows == file_rig.expected


def test_a_flush_is_one_row_of_the_inbox_in_one_transaction(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = file_rig
    rig.endpoints = [facts(f"/v1/{number}") for number in range(300)]
    assert rig.flusher.flush()
    monkeypatch.setattr(Draining, "turn", lambda _: 1.0)
    for number in range(300):
        rig.call(f"/v1/{number}")
    assert rig.flusher.flush()
    (row,) = table_rows(rig.database, INBOX)
    assert (row.worker_id, row.calls) == (worker().id, 300)
    assert rig.rows == rows_of([])
    drain_all(rig.database)
    assert rig.rows == rig.expected


def test_a_flush_of_very_many_sums_takes_several_rows(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_SUMS", 7)
    for number in range(40):
        file_rig.call(f"/v1/{number}")
    monkeypatch.setattr(Draining, "turn", lambda _: 1.0)
    assert file_rig.flusher.flush()
    assert [row.calls for row in table_rows(file_rig.database, INBOX)] == [7, 7, 7, 7, 7, 5]
    drain_all(file_rig.database)
    assert file_rig.rows == file_rig.expected


def test_a_worker_that_ends_without_having_counted_opens_no_database(tmp_path: Path) -> None:
    rig = Rig(f"sqlite:///{tmp_path / 'lens.db'}")
    assert rig.flusher.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_ends_says_so_and_how_far_it_has_written(file_rig: Rig) -> None:
    file_rig.call()
    assert file_rig.flusher.stop()
    row = worker_row(file_rig)
    now_us = round(START * 1_000_000)
    assert (row.ended_at, row.seen_at, row.complete_to) == (now_us, now_us, now_us)
    assert file_rig.rows == file_rig.expected


def test_an_idle_worker_is_heard_of_every_quarter_of_a_minute(file_rig: Rig) -> None:
    def seen_after(seconds: float) -> float:
        file_rig.now = START + seconds
        assert file_rig.flusher.flush()
        row = worker_row(file_rig)
        assert row.seen_at == row.complete_to
        return float(row.seen_at / 1_000_000 - START)

    assert [seen_after(at) for at in (0, 5, 14.9, 15, 29, 30)] == [0, 0, 0, 15, 15, 30]
    # A clock that was set back.
    assert seen_after(10) == 10


def test_an_endpoint_that_nobody_discovered_is_kept_as_it_was_called(file_rig: Rig) -> None:
    file_rig.call("<unmapped>", status=404)
    assert file_rig.flusher.flush()
    rows = {row.path: row for row in table_rows(file_rig.database, ENDPOINT)}
    assert rows["<unmapped>"].total_calls == 1
    assert rows["<unmapped>"].first_seen_at == round(START * 1_000_000)
    assert file_rig.rows == file_rig.expected


def test_new_endpoints_are_looked_for_now_and_then(file_rig: Rig, monotonic: list[float]) -> None:
    assert file_rig.flusher.flush()
    file_rig.endpoints.append(facts("/v2/orders"))
    monotonic[0] += 29
    assert file_rig.flusher.flush()
    assert "/v2/orders" not in paths_in(file_rig)
    monotonic[0] += 1
    assert file_rig.flusher.flush()
    assert "/v2/orders" in paths_in(file_rig)
    file_rig.endpoints.append(facts("/v3/orders"))
    file_rig.flusher.rediscover()
    assert file_rig.flusher.flush()
    assert "/v3/orders" in paths_in(file_rig)


def test_an_endpoint_that_was_called_before_it_was_discovered_gets_its_facts(
    file_rig: Rig,
) -> None:
    assert file_rig.flusher.flush()
    file_rig.call("/v2/feed")
    assert file_rig.flusher.flush()
    file_rig.endpoints.append(facts("/v2/feed", kind="mount", name="feed.app", tags=("feeds",)))
    file_rig.flusher.rediscover()
    assert file_rig.flusher.flush()
    row = next(row for row in table_rows(file_rig.database, ENDPOINT) if row.path == "/v2/feed")
    assert (row.kind, row.name, row.tags, row.total_calls) == ("mount", "feed.app", '["feeds"]', 1)


def test_an_endpoint_whose_row_was_deleted_while_it_is_called_is_shown_and_named_again(
    file_rig: Rig, monotonic: list[float]
) -> None:
    file_rig.call()
    assert file_rig.flusher.flush()
    drain_all(file_rig.database)
    with file_rig.database.write() as connection:
        connection.execute(sa.delete(ENDPOINT).where(ENDPOINT.c.id == ORDERS.id))
    file_rig.call()
    assert file_rig.flusher.flush()
    drain_all(file_rig.database)
    assert paths_in(file_rig) == {f"<endpoint {ORDERS.id}>", ORDER.path, NEVER.path}
    monotonic[0] += 30
    assert file_rig.flusher.flush()
    assert paths_in(file_rig) == {ORDERS.path, ORDER.path, NEVER.path}
    assert file_rig.rows.endpoints[ORDERS.id][0] == 1


def test_what_is_unchanged_is_not_registered_again(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[object] = []
    write = Registrar.register

    def register(self: Registrar, new: list[EndpointFacts], **options: Any) -> None:
        registered.append(new)
        write(self, new, **options)

    monkeypatch.setattr(Registrar, "register", register)
    for _ in range(3):
        file_rig.call()
        file_rig.flusher.rediscover()
        assert file_rig.flusher.flush()
    assert registered == [[ORDERS, ORDER, NEVER]]


def test_the_log_is_told_once_a_minute(
    file_rig: Rig, monotonic: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    file_rig.database.down = True
    for _ in range(5):
        assert not file_rig.flusher.flush()
        monotonic[0] += 20
    assert [record.getMessage() for record in caplog.records] == [
        "fastapi_lens could not write; counts wait in memory: connection refused"
    ] * 2


def test_one_worker_at_a_time_deletes(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    rig.call()
    rig.now += 7 * 3_600
    assert rig.flusher.flush()
    other = Flusher(
        rig.recorder,
        rig.database,
        worker("w2"),
        FlushSettings(interval=5, max_batch_size=100),
        list,
    )
    assert rig.flusher.prune() == 1
    assert other.prune() == 0
    assert {row.tier for row in table_rows(rig.database, BUCKET)} == {3_600, 86_400, 604_800}
    assert len(table_rows(rig.database, STATUS)) == 1
    assert caplog.records == []


def test_workers_of_this_host_that_were_killed_are_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = new_id()
    # A container starts every process under the same number.
    killed = replace(worker(f"{mine[:12]}{'0' * 20}"), pid=os.getpid())
    with opened(f"sqlite:///{tmp_path / 'lens.db'}", who=replace(worker(), id=mine)) as rig:
        migrate(rig.database)
        Writer(rig.database, killed).register([], applied=0, now_us=1)
        assert rig.flusher.flush()
        assert f"worker {os.getpid()} of orders was killed before it could write" in caplog.text
        caplog.clear()
        rig.database.down = True
        rig.call()
        assert not rig.flusher.flush()
        rig.database.down = False
        assert rig.flusher.flush()
        assert "was killed" not in caplog.text


def test_a_batch_that_the_inbox_refuses_is_given_up_after_some_tries_counted_and_told(
    file_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig = file_rig
    assert rig.flusher.flush()
    with rig.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refused BEFORE INSERT ON lens_inbox WHEN NEW.calls = 3 "
            "BEGIN SELECT RAISE(ABORT, 'it takes no three'); END"
        )
    for _ in range(3):
        rig.call()
    for tries in range(1, outbox.MAX_TRIES + 1):
        # Errors of the connection are no tries.
        rig.database.down = True
        assert not rig.flusher.flush()
        rig.database.down = False
        assert rig.flusher.pending_calls == 3
        assert not rig.flusher.flush()
        assert rig.flusher.pending_calls == (0 if tries == outbox.MAX_TRIES else 3)
    assert rig.flusher.dropped == 3
    assert "drops 3 calls, which the database refuses: IntegrityError: it take" in caplog.text
    rig.sent.clear()
    rig.call()
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert worker_row(rig).dropped == 3
