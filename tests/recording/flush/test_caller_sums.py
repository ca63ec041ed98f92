"""Callers from the recorder to the batches: exact, bounded, and never later than their calls."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.rows import APP
from fastapi_lens import LensConfig
from fastapi_lens.errors import RefusedError
from fastapi_lens.recording.callers import FOLD_CALLERS_THRESHOLD, MAX_PAIRS, MAX_REFUSED_PAIRS
from fastapi_lens.recording.calls.open_calls import OpenEndpoint
from fastapi_lens.recording.flush import collector, outbox
from fastapi_lens.recording.flush.caller_sums import MAX_WAITING
from fastapi_lens.recording.flush.flusher import FlushHooks
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.series import OTHERS as OTHERS_VALUE
from fastapi_lens.recording.series import Agent, CallerValue
from fastapi_lens.storage.records.caller_key import renew_caller_key
from fastapi_lens.storage.schema.identities import caller_id, endpoint_id
from fastapi_lens.storage.schema.models import CallerKind, Tier
from fastapi_lens.storage.writing.inbox import Inbox
from tests.recording.rig import ORDER, ORDERS, START, Rig, opened
from tests.recording.written import OTHERS, Written, lacks_a_caller

TODAY = int(START // Tier.DAY)
DAY = Tier.DAY.value


@pytest.fixture
def rig(written: Written, tmp_path: Path) -> Iterator[Rig]:
    """Its batches are written down."""
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as made:
        yield made


def count(rig: Rig, *callers: CallerValue, path: str = ORDERS.path, status: int = 200) -> None:
    for caller in callers:
        rig.recorder.count(method="GET", path=path, status=status, duration_ns=1, caller=caller)


def test_a_batch_has_the_callers_of_its_calls(rig: Rig, written: Written) -> None:
    count(rig, "billing", "billing", "stock", None)
    count(rig, "billing", path=ORDER.path)
    assert rig.flusher.flush()
    (batch,) = written.batches
    assert batch.is_attributed
    found = {(one.endpoint_id, one.caller_id): one.calls for one in batch.callers}
    billing = caller_id(APP, CallerKind.HOOK, "billing")
    assert found == {
        (ORDERS.id, billing): 2,
        (ORDERS.id, caller_id(APP, CallerKind.HOOK, "stock")): 1,
        (ORDERS.id, caller_id(APP, CallerKind.NONE, "")): 1,
        (ORDER.id, billing): 1,
    }
    assert {one.day for one in batch.callers} == {TODAY}


def test_the_times_of_a_caller_lie_between_two_collections(rig: Rig, written: Written) -> None:
    rig.flusher.collect()
    rig.now = START + 20
    count(rig, "billing")
    rig.now = START + 25
    rig.flusher.collect()
    rig.now = START + 30
    count(rig, "billing")
    assert rig.flusher.flush()
    (row,) = written.rows
    assert (row.calls, row.first_at_us, row.last_at_us) == (
        2,
        round(START * 1e6),
        round((START + 30) * 1e6),
    )


def test_calls_of_two_days_are_two_rows_even_if_they_were_collected_late(
    rig: Rig, written: Written
) -> None:
    count(rig, "billing")
    rig.now = START + DAY - 1
    count(rig, "billing")
    rig.flusher.collect()
    # A process that slept over midnight.
    rig.now = START + DAY + 7
    count(rig, "billing")
    assert rig.flusher.flush()
    first, second = sorted(written.rows, key=lambda row: row.day)
    assert (first.day, first.calls) == (TODAY, 2)
    assert (second.day, second.calls) == (TODAY + 1, 1)
    assert second.first_at_us == round((START + DAY) * 1e6)


def test_refused_calls_add_to_uses_of_the_same_day(rig: Rig, written: Written) -> None:
    count(rig, "billing", status=401)
    count(rig, "billing", status=200)
    rig.now += 1
    count(rig, "billing", "billing", status=500)
    assert rig.flusher.flush()
    (row,) = written.rows
    assert (row.calls, row.refused, row.errors_5xx) == (4, 1, 2)
    assert row.last_at_us == round((START + 1) * 1e6)


def test_callers_wait_while_the_database_is_down_and_are_written_once(
    rig: Rig, written: Written
) -> None:
    rig.flusher.apply(LensConfig(callers="key"))
    rig.database.down = True
    for _ in range(3):
        count(rig, b"secret", "billing")
        assert not rig.flusher.flush()
        rig.now += 60
    rig.database.down = False
    assert rig.flusher.flush()
    assert sorted(written.calls.values()) == [3, 3]
    assert "secret" not in repr(written.batches)
    assert written.attributed == [True]


def test_a_key_is_hashed_although_the_settings_name_no_keys_any_more(
    rig: Rig, written: Written
) -> None:
    count(rig, b"secret")
    assert rig.flusher.flush()
    (name,) = written.calls
    assert name.startswith("key ")


def test_after_all_callers_were_forgotten_keys_are_hashed_anew(rig: Rig, written: Written) -> None:
    rig.flusher.apply(LensConfig(callers="key"))
    for _ in range(2):
        count(rig, b"secret")
        assert rig.flusher.flush()
        renew_caller_key(rig.database, APP)
    # Under two names, and not under others, as what a forgotten key has hashed.
    assert len(written.calls) == 2
    assert all(name.startswith("key ") for name in written.calls)


def test_a_hash_key_that_cannot_be_read_is_read_again(rig: Rig, written: Written) -> None:
    rig.flusher.apply(LensConfig(callers="key"))
    rig.database.loses = lost
    count(rig, b"secret")
    assert not rig.flusher.flush()
    rig.database.loses = kept
    assert rig.flusher.flush()
    assert list(written.calls.values()) == [1]


def test_more_pairs_than_the_bound_are_under_others(rig: Rig, written: Written) -> None:
    count(rig, *map(str, range(MAX_PAIRS + 7)))
    # Known ones still have room.
    count(rig, "0", "1")
    assert rig.flusher.flush()
    assert written.calls.pop(OTHERS) == 7
    assert len(written.rows) == MAX_PAIRS + 1
    assert sum(written.calls.values()) == MAX_PAIRS + 2 + 7
    assert written.attributed == [True]


def test_the_bound_is_one_of_a_minute_however_often_it_is_flushed(
    rig: Rig, written: Written
) -> None:
    for part in range(3):
        count(rig, *(f"{part} {each}" for each in range(MAX_PAIRS // 2)))
        assert rig.flusher.flush()
        rig.now += 5
    assert written.calls[OTHERS] == MAX_PAIRS // 2
    rig.now += 60
    count(rig, "another minute")
    assert rig.flusher.flush()
    assert written.calls["hook another minute"] == 1


def test_whoever_tries_many_keys_crowds_out_nobody(rig: Rig, written: Written) -> None:
    count(rig, *(str(each).encode() for each in range(2 * MAX_PAIRS)), status=401)
    count(rig, *(Agent(f"agent-{each}/1.0".encode()) for each in range(MAX_PAIRS)))
    count(rig, "billing")
    assert rig.flusher.flush()
    assert written.calls["hook billing"] == 1
    assert written.calls["none"] == MAX_PAIRS
    assert written.calls[OTHERS] == 2 * MAX_PAIRS - MAX_REFUSED_PAIRS


@pytest.mark.unmeasured
def test_a_million_keys_take_the_memory_of_the_bound() -> None:
    recorder = Recorder(clock=lambda: START)
    series = [recorder.series("GET", f"/{each}", 200) for each in range(20)]
    for number in range(1_000_000):
        series[number % 20].callers.append(str(number).encode())
        recorder.add(series[number % 20], 1)
    deltas = recorder.drain()
    assert (
        sum(len(one.callers) for one in deltas) <= MAX_PAIRS + len(series) * FOLD_CALLERS_THRESHOLD
    )
    assert sum(sum(one.callers.values()) for one in deltas) == 1_000_000
    # A drain makes room.
    recorder.count(method="GET", path="/0", status=200, duration_ns=1, caller="billing")
    (delta,) = recorder.drain()
    assert dict(delta.callers) == {"billing": 1}


def test_what_waits_for_a_database_takes_the_memory_of_the_bound(
    rig: Rig, written: Written
) -> None:
    rig.database.down = True
    for minute in range(5):
        count(rig, *(f"{minute} {each}" for each in range(MAX_PAIRS)))
        assert not rig.flusher.flush()
        rig.now += 60
    rig.database.down = False
    assert rig.flusher.flush()
    assert len(written.rows) == MAX_WAITING + 1
    assert sum(written.calls.values()) == 5 * MAX_PAIRS
    assert written.calls[OTHERS] == 5 * MAX_PAIRS - MAX_WAITING


def test_many_callers_are_written_before_their_calls(
    rig: Rig, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_SUMS", 2)
    monkeypatch.setattr(collector, "MAX_CALLER_SUMS", 10)
    for status in (200, 201, 301, 404, 500):
        count(rig, *map(str, range(30)), status=status)
    assert rig.flusher.flush()
    # 30 rows in parts of 10, the last one with the first sums.
    assert [(len(one.callers), len(one.deltas)) for one in written.batches] == [
        (10, 0),
        (10, 0),
        (10, 2),
        (0, 2),
        (0, 1),
    ]
    assert all(one.is_attributed for one in written.batches)
    assert not lacks_a_caller(written.batches)


def test_calls_without_a_caller_are_not_attributed_until_they_are_written(
    rig: Rig, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_SUMS", 1)
    count(rig, "billing")
    rig.call(ORDER.path)
    assert rig.flusher.flush()
    count(rig, "billing")
    assert rig.flusher.flush()
    assert written.attributed == [False, True]


def test_after_a_batch_is_dropped_the_next_calls_are_not_attributed(
    rig: Rig, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(rig, "billing")
    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "put", refused)
        for _ in range(outbox.MAX_TRIES):
            assert not rig.flusher.flush()
    count(rig, "billing")
    assert rig.flusher.flush()
    count(rig, "billing")
    assert rig.flusher.flush()
    assert written.attributed == [False, True]


def refused(*_arguments: object) -> int:
    raise RefusedError("too large")


def test_the_callers_of_open_calls_are_added_once_a_minute(
    written: Written, tmp_path: Path
) -> None:
    callers: frozenset[CallerValue] = frozenset({"billing", None})
    found = [OpenEndpoint("GET", ORDERS.path, 2, 1.0, callers)]
    hooks = FlushHooks(open_endpoints=lambda: found)
    with opened(f"sqlite:///{tmp_path / 'lens.db'}", hooks=hooks) as rig:
        for _ in range(12):
            assert rig.flusher.flush()
            rig.now += 10
        assert len(written.rows) == 4
        assert {row.calls for row in written.rows} == {0}
        assert written.attributed == [True]


def lost() -> bool:
    return True


def kept() -> bool:
    return False


def name_of(caller: CallerValue) -> str:
    """A caller with its kind, as the property below compares it; there is one key only."""
    match caller:
        case bytes():
            return "key"
        case Agent():
            return f"agent {caller.header.decode().partition('/')[0]}"
        case None:
            return "none "
        case _:
            return f"hook {caller}"


CALLERS: list[CallerValue] = ["a", "b", b"key", Agent(b"curl/8.0"), Agent(b"kube-probe/1"), None]


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(("call", "call", "call", "collect", "flush", "down", "lost", "day")),
            st.sampled_from((ORDERS.path, ORDER.path)),
            st.sampled_from(CALLERS),
            st.integers(1, 70),
        ),
        max_size=40,
    )
)
def test_any_sequence_of_calls_and_flushes_writes_each_call_of_each_caller_once(
    steps: list[tuple[int, str, str, CallerValue, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        written = Written(patched)
        url = f"sqlite:///{tmp_path_factory.mktemp('callers') / 'lens.db'}"
        with opened(url) as first, opened(url) as second:
            rigs = (first, second)
            for rig in rigs:
                rig.flusher.apply(LensConfig(callers="agent"))
            sent = Counter[tuple[str, str, int]]()
            for worker, what, path, caller, calls in steps:
                rig = rigs[worker]
                rig.database.down = what == "down"
                rig.database.loses = lost if what == "lost" else kept
                if what == "call":
                    count(rig, *([caller] * calls), path=path)
                    sent[path, name_of(caller), int(rig.now // DAY)] += calls
                elif what == "collect":
                    rig.flusher.collect()
                elif what == "day":
                    # Minutes are collected at their end.
                    rig.flusher.collect()
                    rig.now += DAY
                else:
                    rig.flusher.flush()
            for rig in rigs:
                rig.database.down, rig.database.loses = False, kept
                assert rig.flusher.flush()
        paths = {endpoint_id(APP, "GET", one.path): one.path for one in (ORDERS, ORDER)}
        names = {one.id: one for batch in written.batches for one in batch.names}
        found = Counter[tuple[str, str, int]]()
        for row in written.rows:
            facts = names[row.caller_id]
            shown = "key" if facts.kind is CallerKind.KEY else f"{facts.kind} {facts.name}"
            found[paths[row.endpoint_id], shown, row.day] += row.calls
        assert found == sent
        assert written.attributed in ([], [True])


def test_threads_that_call_while_others_drain_lose_no_caller() -> None:
    recorder = Recorder(clock=lambda: START)
    sent, names = 4_000, ("a", "b", None)
    deltas = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(sent):
            recorder.count(
                method="GET",
                path="/a",
                status=200,
                duration_ns=1,
                caller=chance.choice(names),
            )

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads):
        deltas += recorder.drain()
    deltas += recorder.drain()
    calls = Counter[CallerValue]()
    for delta in deltas:
        calls.update(delta.callers)
    expected = Counter[CallerValue]()
    for seed in range(4):
        chance = random.Random(seed)
        expected.update(chance.choice(names) for _ in range(sent))
    assert calls == expected
    assert OTHERS_VALUE not in calls
    # A call whose caller was drained before it is attributed, too.
    assert all(delta.is_attributed for delta in deltas)
