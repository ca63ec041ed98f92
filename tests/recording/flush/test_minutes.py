"""Calls keep their minute whatever the flusher's thread waits for."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import table_rows, worker
from benchmarks.support.waiting import wait_until
from fastapi_lens.errors import StorageError
from fastapi_lens.recording.flush import flusher as flusher_module
from fastapi_lens.recording.flush.draining import LEASE
from fastapi_lens.recording.flush.flusher import BEFORE_MINUTE_SECONDS, Flusher, FlushSettings
from fastapi_lens.recording.flush.registration import Registration
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, INBOX
from fastapi_lens.storage.schema.tables import LEASE as LEASES
from fastapi_lens.storage.writing.drain import drain_all
from tests.recording.rig import ORDERS, START, HangingDatabase, Rig, opened

FIRST = int(START // 60)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """One that flushes once a minute, and collects all the time as if each minute ended now."""
    with opened(f"sqlite:///{tmp_path / 'lens.db'}", interval=60.0) as made:
        monkeypatch.setattr(flusher_module, "MINUTE", 0.005)
        yield made


@pytest.fixture
def ended(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return values of the rig's flushes."""
    found: list[bool] = []
    flush = rig.flusher.flush

    def noted(*, ending: bool = False) -> bool:
        found.append(flush(ending=ending))
        return found[-1]

    monkeypatch.setattr(rig.flusher, "flush", noted)
    return found


def call_on_both_sides_of_a_minute(rig: Rig) -> None:
    before = rig.flusher.pending_calls
    for number, second in enumerate((59.9, 60.5), before + 1):
        rig.now = START + second
        rig.call()
        wait_for_pending(rig, number)


def wait_for_pending(rig: Rig, calls: int) -> None:
    wait_until(lambda: rig.flusher.pending_calls == calls)


def minutes_in(database: Database) -> dict[int, int]:
    found = table_rows(database, BUCKET)
    return {row.bucket - FIRST: row.calls for row in found if row.tier == 60}


def test_calls_keep_their_minute_while_the_thread_hangs_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig("sqlite://")
    rig.database = database = HangingDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    settings = FlushSettings(interval=60.0, max_batch_size=100)
    rig.flusher = Flusher(rig.recorder, database, worker(), settings, lambda: [ORDERS])
    monkeypatch.setattr(flusher_module, "MINUTE", 0.005)
    rig.flusher.start()
    assert database.entered.wait(30)
    call_on_both_sides_of_a_minute(rig)
    database.released.set()
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    assert minutes_in(database) == {0: 1, 1: 1}
    database.close()


def test_calls_keep_their_minute_while_the_thread_waits_after_an_error(
    rig: Rig, ended: list[bool]
) -> None:
    rig.database.down = True
    rig.flusher.start()
    wait_until(lambda: ended == [False])
    call_on_both_sides_of_a_minute(rig)
    rig.database.down = False
    assert rig.flusher.stop()
    assert rig.rows == rig.expected
    assert minutes_in(rig.database) == {0: 1, 1: 1}


def test_calls_keep_their_minute_while_the_interval_is_stretched(
    rig: Rig, ended: list[bool]
) -> None:
    migrate(rig.database)
    with rig.database.write() as connection:
        values = {"name": LEASE, "owner": "busy", "expires_at": round(START) + 100}
        connection.execute(sa.insert(LEASES), values)
    rig.flusher.interval = 1.0
    # Of an interval of a second it takes six flushes, and half a minute, to come to this one.
    rig.flusher._longer_interval = 60.0
    rig.flusher.start()
    wait_until(lambda: ended == [True])
    call_on_both_sides_of_a_minute(rig)
    assert ended == [True]
    assert rig.flusher.stop()
    assert minutes_in(rig.database) == {0: 1, 1: 1}
    assert rig.rows == rig.expected


def test_each_flush_of_an_outage_holds_the_minutes_that_were_counted(rig: Rig) -> None:
    migrate(rig.database)
    rig.call()
    rig.database.loses = lambda: True
    assert not rig.flusher.flush()
    for minute in range(1, 4):
        rig.now = START + 60 * minute
        rig.call()
        rig.flusher.collect()
        assert not rig.flusher.flush()
    rig.database.loses = lambda: False
    assert rig.flusher.flush()
    assert minutes_in(rig.database) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert rig.rows == rig.expected


def test_an_endpoint_whose_first_call_is_collected_during_a_flush_is_registered_with_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, renew = list[str](), Registration.renew

    def renew_before_the_other_thread_collects(self: Registration, **options: int) -> None:
        renew(self, **options)
        # On a slow machine, a flush renews more than once.
        if not called:
            called.append("/v2/new")
            rig.call("/v2/new")
            rig.flusher.collect()

    monkeypatch.setattr(Registration, "renew", renew_before_the_other_thread_collects)
    rig.endpoints = []
    rig.call("/v2/old")
    assert rig.flusher.flush()
    assert {row.path: row.total_calls for row in table_rows(rig.database, ENDPOINT)} == {
        "/v2/old": 1,
        "/v2/new": 1,
    }
    assert rig.rows == rig.expected


def test_a_batch_is_written_with_its_endpoints_although_registering_them_fails_at_first(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rig.flusher.flush()
    renew = Registration.renew

    def renew_before_the_other_thread_collects(self: Registration, **options: int) -> None:
        renew(self, **options)
        rig.call("/v2/new")
        rig.flusher.collect()

    def fail(_: Registration, **_options: int) -> None:
        raise StorageError("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(Registration, "renew", renew_before_the_other_thread_collects)
        patched.setattr(Registration, "register", fail)
        assert not rig.flusher.flush()
    assert rig.flusher.flush()
    assert rig.rows == rig.expected


@pytest.mark.unmeasured
def test_the_end_of_a_minute_is_met_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    begun: list[float] = []

    def clock() -> float:
        """Stands still at first, because a start may take longer than half a second."""
        return START + 59.5 + (time.monotonic() - begun[0] if begun else 0)

    recorder, holds, released = Recorder(clock=clock), threading.Event(), threading.Event()
    settings = FlushSettings(interval=60.0, max_batch_size=100)

    def hold(**_: float) -> None:
        holds.set()
        released.wait(30)

    deletion = SimpleNamespace(visit_when_due=hold)
    monkeypatch.setattr(flusher_module, "Pruner", lambda *_, **__: deletion)
    flusher = Flusher(recorder, database, worker(), settings, lambda: [ORDERS])
    flusher.start()
    assert holds.wait(30)
    begun.append(time.monotonic())
    recorder.count(method="GET", path=ORDERS.path, status=200, duration_ns=1)
    wait_until(lambda: clock() > START + 60 + BEFORE_MINUTE_SECONDS)
    recorder.count(method="GET", path=ORDERS.path, status=200, duration_ns=1)
    released.set()
    assert flusher.stop()
    drain_all(database)
    assert minutes_in(database) == {0: 1, 1: 1}
    assert table_rows(database, INBOX) == []
    database.close()
