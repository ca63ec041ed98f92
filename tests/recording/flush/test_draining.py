"""Which worker empties the inbox, and how soon another one takes over."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import FlakyDatabase, delta, table_rows, worker
from fastapi_lens.errors import StorageError
from fastapi_lens.recording.flush import draining as draining_module
from fastapi_lens.recording.flush import flusher as flusher_module
from fastapi_lens.recording.flush.draining import (
    AFTER_ERROR_SECONDS,
    BACKLOG_SECONDS,
    LEASE,
    LEASE_SECONDS,
    LOOK_SECONDS,
    RENEW_SECONDS,
    SELDOM_SECONDS,
    SOON_SECONDS,
    Draining,
)
from fastapi_lens.recording.flush.flusher import LONGEST_INTERVAL_SECONDS, MANY_WAITING, FlushHooks
from fastapi_lens.recording.flush.log_carrier import LogCarrier
from fastapi_lens.recording.flush.registration import Registration
from fastapi_lens.storage.coordination.heartbeat import beat, note_killed
from fastapi_lens.storage.coordination.worker import Heartbeat, Progress
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import INBOX, WORKER
from fastapi_lens.storage.schema.tables import LEASE as LEASES
from fastapi_lens.storage.writing import drain as drain_module
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.inbox import Inbox, unpack
from fastapi_lens.storage.writing.registrar import Registrar
from tests.recording.rig import START, Rig, opened


class Hosts:
    """Workers of one database, and the time that passes for all of them.

    Attributes:
        now: Epoch seconds.
    """

    def __init__(self, database: FlakyDatabase) -> None:
        self.database = database
        self.now = START
        self.next_seq = 1
        Registrar(database, worker("writer")).register([], applied=0, now_us=1)
        self._inbox = Inbox(database, worker("writer"))

    def draining(self, owner: str) -> Draining:
        clock = lambda: self.now  # noqa: E731
        return Draining(self.database, owner=owner, clock=clock, timer=clock)

    def write(self) -> None:
        self._inbox.put(Batch(self.next_seq, (delta(1),)), Progress())
        self.next_seq += 1

    @property
    def waiting(self) -> int:
        return len(table_rows(self.database, INBOX))

    @property
    def lease(self) -> Any:
        (row,) = (one for one in table_rows(self.database, LEASES) if one.name == LEASE)
        return row


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    database = FlakyDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(database)
    yield Hosts(database)
    database.close()


def test_one_worker_empties_the_inbox_and_the_others_only_look(hosts: Hosts) -> None:
    first, *others = (hosts.draining(name) for name in ("a", "b", "c"))
    assert first.turn() == SOON_SECONDS
    for _ in range(30):
        hosts.write()
        hosts.now += 1
        assert all(0 < one.turn() <= LOOK_SECONDS for one in others)
        assert hosts.waiting == 1
        assert first.turn() == SOON_SECONDS
        assert (hosts.waiting, hosts.lease.owner) == (0, "a")


def test_the_lease_is_renewed_before_it_ends_and_not_at_each_turn(hosts: Hosts) -> None:
    first = hosts.draining("a")
    ends: list[int] = []
    for _ in range(12):
        first.turn()
        ends.append(hosts.lease.expires_at)
        assert hosts.now + RENEW_SECONDS <= ends[-1] + 1
        hosts.now += 1
    assert len(set(ends)) == 12 / RENEW_SECONDS
    assert LEASE_SECONDS > RENEW_SECONDS


@pytest.mark.parametrize("looks_after", [0.0, 0.01, 0.5, 1.0, 1.49, 1.5, 1.99, 2.0, 2.01, 2.49])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.999])
def test_one_that_died_is_replaced_within_ten_seconds(
    hosts: Hosts, looks_after: float, fraction: float
) -> None:
    hosts.now += fraction
    dead, other = hosts.draining("dead"), hosts.draining("other")
    dead.turn()
    # It dies at once, which leaves its lease as long as it can be.
    died_at = hosts.now
    hosts.write()
    hosts.now += looks_after
    while other.turn() == LOOK_SECONDS:
        hosts.now += LOOK_SECONDS
    assert hosts.waiting == 0
    assert hosts.now - died_at <= 10
    assert hosts.lease.owner == "other"


def test_one_that_was_only_asleep_does_not_drain_beside_its_successor(hosts: Hosts) -> None:
    asleep, other = hosts.draining("asleep"), hosts.draining("other")
    asleep.turn()
    hosts.now += 2 * LEASE_SECONDS
    other.turn()
    hosts.write()
    assert asleep.turn() == LOOK_SECONDS
    assert hosts.waiting == 1
    # Nobody has taken it from this one meanwhile, however long it slept.
    hosts.now += 2 * LEASE_SECONDS
    assert other.turn() == SOON_SECONDS


def test_a_killed_worker_whose_successor_notes_it_frees_its_lease_at_once(hosts: Hosts) -> None:
    for name in ("killed", "next"):
        Registrar(hosts.database, worker(name)).register([], applied=0, now_us=1)
    beat(hosts.database, worker("killed"), Heartbeat(now_us=1, complete_to_us=1))
    hosts.draining("killed").turn()
    successor = hosts.draining("next")
    assert successor.turn() == LOOK_SECONDS
    noted = note_killed(
        hosts.database, worker("next"), lambda other: other.id == "killed", now_us=2
    )
    assert [one.id for one in noted] == ["killed"]
    hosts.now += LOOK_SECONDS
    assert successor.turn() == SOON_SECONDS


def test_the_last_worker_empties_the_inbox_and_gives_the_lease_back(hosts: Hosts) -> None:
    last = hosts.draining("last")
    last.turn()
    hosts.write()
    last.end()
    assert (hosts.waiting, hosts.lease.owner, hosts.lease.expires_at) == (0, "", 0)
    assert hosts.draining("next").turn() == SOON_SECONDS


def test_one_that_starts_again_after_its_end_empties_the_inbox_at_once(hosts: Hosts) -> None:
    again = hosts.draining("again")
    again.turn()
    again.end()
    hosts.write()
    again.turn()
    assert (hosts.waiting, hosts.lease.owner) == (0, "again")


def test_one_that_ends_empties_the_inbox_although_another_one_has_the_lease(hosts: Hosts) -> None:
    has_it, ends = hosts.draining("has it"), hosts.draining("ends")
    has_it.turn()
    ends.turn()
    hosts.write()
    ends.end()
    assert (hosts.waiting, hosts.lease.owner) == (0, "has it")


@pytest.mark.parametrize("ahead", [-10 * 86_400, 10 * 86_400, 400 * 86_400])
def test_a_lease_by_a_clock_that_was_wrong_is_taken(hosts: Hosts, ahead: int) -> None:
    hosts.now += ahead
    hosts.draining("wrong clock").turn()
    hosts.now -= ahead
    assert hosts.draining("right clock").turn() == SOON_SECONDS
    assert hosts.lease.owner == "right clock"


def test_a_renewal_whose_answer_gets_lost_is_tried_again_by_the_one_that_has_the_lease(
    hosts: Hosts,
) -> None:
    first, other = hosts.draining("a"), hosts.draining("b")
    first.turn()
    hosts.now += RENEW_SECONDS
    hosts.database.loses = lambda: True
    with pytest.raises(StorageError):
        first.turn()
    hosts.database.loses = lambda: False
    hosts.write()
    assert [one.turn() for one in (other, first)] == [LOOK_SECONDS, SOON_SECONDS]
    assert hosts.waiting == 0


def test_a_backlog_is_worked_off_in_turns_that_follow_soon(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "MOST_AT_ONCE", 16)
    monkeypatch.setattr(drain_module, "FIRST_AT_ONCE", 16)
    # Each transaction takes longer than a whole turn may.
    monkeypatch.setattr(draining_module, "TURN_SECONDS", 0.0)
    first = hosts.draining("a")
    for _ in range(40):
        hosts.write()
    turns: list[float] = []
    while hosts.waiting:
        turns.append(first.turn())
    assert turns == [BACKLOG_SECONDS] * 3
    monkeypatch.undo()
    assert first.turn() == SOON_SECONDS


def test_one_that_cannot_drain_rests_until_another_one_has_the_lease(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hosts.draining("other")
    hosts.write()
    fail = Mock(side_effect=StorageError("canceling statement due to statement timeout"))
    monkeypatch.setattr(draining_module, "Drain", Mock(return_value=Mock(run=fail)))
    unlucky = hosts.draining("unlucky")
    with pytest.raises(StorageError):
        unlucky.turn()
    begun = hosts.now
    while hosts.waiting:
        hosts.now += other.turn()
        assert unlucky.turn() == begun + AFTER_ERROR_SECONDS - hosts.now
    assert hosts.lease.owner == "other"
    monkeypatch.undo()
    hosts.now = begun + AFTER_ERROR_SECONDS
    assert unlucky.turn() == LOOK_SECONDS


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    rigs: list[Rig] = []
    # The rests between its turns go by the rig's clock, too.
    monkeypatch.setattr(flusher_module, "Draining", partial(Draining, timer=lambda: rigs[0].now))
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as made:
        rigs.append(made)
        yield made


def take_the_lease(database: Database, now: float) -> None:
    """For a worker that does nothing with it, until long after the test."""
    with database.write() as connection:
        values = {"name": LEASE, "owner": "busy", "expires_at": round(now) + 100}
        connection.execute(sa.delete(LEASES))
        connection.execute(sa.insert(LEASES), values)


def flush_with_calls(rig: Rig) -> float:
    """The interval that the heartbeat tells, in seconds."""
    rig.call()
    rig.now += max([rig.flusher.interval, *(row.interval_ms / 1_000 for row in worker_rows(rig))])
    assert rig.flusher.flush()
    (row,) = worker_rows(rig)
    told: float = row.interval_ms / 1_000
    return told


def worker_rows(rig: Rig) -> list[Any]:
    """The row of the rig's own worker; none before its first flush."""
    return [row for row in table_rows(rig.database, WORKER) if row.id == "w1"]


def test_a_worker_flushes_less_often_while_its_batches_wait_and_says_so(rig: Rig) -> None:
    migrate(rig.database)

    def flush_beside_a_busy_worker() -> float:
        take_the_lease(rig.database, rig.now)
        return flush_with_calls(rig)

    intervals = [flush_beside_a_busy_worker() for _ in range(MANY_WAITING + 6)]
    assert intervals[: MANY_WAITING + 5] == [5] * MANY_WAITING + [10, 20, 40, 60, 60]
    assert intervals[-1] == LONGEST_INTERVAL_SECONDS
    # The one that has the lease works them off.
    Draining(rig.database, owner="busy", clock=lambda: rig.now).end()
    assert rig.rows == rig.expected
    with rig.database.write() as connection:
        connection.execute(sa.delete(LEASES))
    assert [flush_with_calls(rig) for _ in range(6)] == [30, 15, 7.5, 5, 5, 5]
    assert rig.rows == rig.expected


def test_a_short_interval_is_not_stretched_while_the_drain_rests_by_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(f"sqlite:///{tmp_path / 'lens.db'}", interval=1.0) as rig:
        migrate(rig.database)
        turns = iter(range(1_000))

        def drain_at_each_fifth_flush(_: Draining) -> float:
            if next(turns) % SELDOM_SECONDS == 0:
                drain_module.drain_all(rig.database)
            return SELDOM_SECONDS

        monkeypatch.setattr(Draining, "turn", drain_at_each_fifth_flush)
        assert {flush_with_calls(rig) for _ in range(20)} == {1}


def test_an_interval_that_is_longer_already_is_not_stretched(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'lens.db'}", interval=90.0) as rig:
        migrate(rig.database)
        take_the_lease(rig.database, rig.now)
        assert {flush_with_calls(rig) for _ in range(MANY_WAITING + 3)} == {90}


def test_a_flush_of_many_batches_is_no_reason_to_flush_less_often(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(rig.database)
    monkeypatch.setattr("fastapi_lens.recording.flush.collector.MAX_SUMS", 1)
    for _ in range(4):
        for status in range(200, 210):
            rig.call(status=status)
        assert flush_with_calls(rig) == 5
    assert rig.rows == rig.expected


def test_a_worker_that_ends_adds_what_it_has_written_although_another_has_the_lease(
    rig: Rig,
) -> None:
    migrate(rig.database)
    take_the_lease(rig.database, rig.now)
    rig.call()
    assert rig.flusher.flush()
    assert rig.rows != rig.expected
    assert rig.flusher.stop()
    assert rig.rows == rig.expected


def test_a_drain_that_fails_keeps_a_flush_from_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    hooks = FlushHooks(refresh_settings=lambda: done.append("settings"))

    def fail(_: Draining) -> float:
        raise StorageError("canceling statement due to statement timeout")

    with opened(f"sqlite:///{tmp_path / 'lens.db'}", hooks=hooks) as rig:
        assert rig.flusher.flush()
        done.clear()
        with monkeypatch.context() as patched:
            patched.setattr(Draining, "turn", fail)
            patched.setattr(LogCarrier, "carry", lambda _, **__: done.append("log"))
            patched.setattr(Registration, "correct_times", lambda _: done.append("times"))
            patched.setattr(Registration, "forget", lambda _: done.append("again"))
            rig.call()
            rig.now += 1
            assert rig.flusher.flush()
        assert done == ["times", "settings", "log"]
        (row,) = worker_rows(rig)
        assert row.complete_to == round(rig.now * 1_000_000)
    (record,) = caplog.records
    assert record.message.startswith("fastapi_lens could not add up what was written, and tries ag")


def test_a_worker_that_ends_and_cannot_add_what_it_has_written_says_who_will(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig.call()

    def fail(_: Draining) -> None:
        raise StorageError("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(Draining, "end", fail)
        assert rig.flusher.flush(ending=True)
    assert "leaves what it has written to be added up by the next worker: the c" in caplog.text
    assert {row.ended_at > 0 for row in table_rows(rig.database, WORKER)} == {True}
    drain_module.drain_all(rig.database)
    assert rig.rows == rig.expected


@pytest.mark.parametrize(
    ("took", "rest"),
    [(0.0, SOON_SECONDS), (0.05, 2.5), (3.0, SELDOM_SECONDS)],
)
def test_the_rest_after_a_turn_grows_with_what_the_turn_took(
    hosts: Hosts, took: float, rest: float
) -> None:
    times = iter([0.0, 1.0, 1.0 + took])
    draining = Draining(
        hosts.database,
        owner="w1",
        clock=lambda: START,
        timer=lambda: next(times),
    )

    assert draining.turn() == pytest.approx(rest)


def test_what_nobody_can_add_keeps_a_worker_from_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(rig.database)
    Registrar(rig.database, worker("other")).register([], applied=0, now_us=1)
    Inbox(rig.database, worker("other")).put(Batch(1, (delta(1),)), Progress())
    (theirs,) = table_rows(rig.database, INBOX)

    def fail(body: bytes) -> Batch:
        if body == theirs.body:
            raise LookupError("nobody foresaw it")
        return unpack(body)

    monkeypatch.setattr(drain_module, "unpack", fail)
    rig.call()
    assert rig.flusher.flush()
    assert rig.rows == rig.expected
    assert "could not add 1 calls of worker other (orders), and tries again" in caplog.text
    assert rig.flusher.stop()
    assert {row.id for row in table_rows(rig.database, WORKER) if row.ended_at} == {"w1"}
