import dis
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.histogram.histogram import bucket_index
from fastapi_lens.recording.recorder import FOLD_THRESHOLD, Recorder
from fastapi_lens.recording.series import (
    KNOWN_METHODS,
    OTHER_METHOD,
    OVERFLOW,
    Series,
    SeriesDelta,
    SeriesKey,
)

pytestmark = pytest.mark.unit

PATH = "/v1/orders/{order_id}"
MS = 1_000_000


class Clock:
    """Epoch seconds that stand still until they are set."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def get(recorder: Recorder, duration_ms: int = 1, *, status: int = 200, path: str = PATH) -> None:
    recorder.count(method="GET", path=path, status=status, duration_ns=duration_ms * MS)


def calls(deltas: Iterable[SeriesDelta]) -> Counter[SeriesKey]:
    total = Counter[SeriesKey]()
    for delta in deltas:
        total[delta.key] += sum(delta.buckets.values())
    return total


def in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_drain_tells_everything_about_the_calls_since_the_one_before() -> None:
    clock = Clock(1_000.5)
    recorder = Recorder(clock=clock)
    get(recorder, 3)
    clock.now = 1_002.25
    get(recorder, 5)
    key = SeriesKey("GET", PATH, 200)
    assert recorder.drain() == [
        SeriesDelta(
            key=key,
            buckets={bucket_index(3 * MS): 1, bucket_index(5 * MS): 1},
            duration_ns=8 * MS,
            max_ns=5 * MS,
            first_at=1_000.5,
            last_at=1_002.25,
        )
    ]
    assert recorder.drain() == []
    clock.now = 1_003
    get(recorder, 3)
    assert recorder.drain() == [
        SeriesDelta(key, {bucket_index(3 * MS): 1}, 3 * MS, 3 * MS, 1_000.5, 1_003)
    ]


def test_calls_are_told_apart_by_method_path_and_status() -> None:
    recorder = Recorder()
    get(recorder)
    get(recorder, status=404)
    get(recorder, path="/v1/orders")
    recorder.count(method="DELETE", path=PATH, status=200, duration_ns=0)
    get(recorder)
    assert calls(recorder.drain()) == {
        SeriesKey("GET", PATH, 200): 2,
        SeriesKey("GET", PATH, 404): 1,
        SeriesKey("GET", "/v1/orders", 200): 1,
        SeriesKey("DELETE", PATH, 200): 1,
    }


@pytest.mark.parametrize("method", ["", "get", "BREW", "G" * 10_000, OTHER_METHOD])
def test_a_method_that_nobody_knows_is_counted_as_other(method: str) -> None:
    recorder = Recorder()
    recorder.count(method=method, path=PATH, status=405, duration_ns=MS)
    assert calls(recorder.drain()) == {SeriesKey("_OTHER", PATH, 405): 1}


@pytest.mark.parametrize("method", sorted(KNOWN_METHODS))
def test_a_known_method_is_counted_as_itself(method: str) -> None:
    recorder = Recorder()
    recorder.count(method=method, path=PATH, status=200, duration_ns=MS)
    assert calls(recorder.drain()) == {SeriesKey(method, PATH, 200): 1}


def test_series_beyond_the_cap_share_one_per_status_and_none_is_lost() -> None:
    recorder = Recorder(max_series=3)
    for number in range(100):
        get(recorder, path=f"/{number}", status=200 + number % 2)
    get(recorder, path="/0")
    counted = calls(recorder.drain())
    assert counted == {
        SeriesKey("GET", "/0", 200): 2,
        SeriesKey("GET", "/1", 201): 1,
        SeriesKey("GET", "/2", 200): 1,
        SeriesKey("ANY", OVERFLOW, 200): 48,
        SeriesKey("ANY", OVERFLOW, 201): 49,
    }


@given(st.lists(st.lists(st.integers(0, 50) | st.integers(0, 10**13), max_size=5), max_size=8))
def test_each_drain_has_the_calls_and_the_maximum_of_its_round(rounds: list[list[int]]) -> None:
    recorder = Recorder(clock=Clock())
    for durations_ns in rounds:
        for duration_ns in durations_ns:
            recorder.count(method="GET", path=PATH, status=200, duration_ns=duration_ns)
        drained = recorder.drain()
        if not durations_ns:
            assert drained == []
            continue
        (delta,) = drained
        assert delta.buckets == Counter(map(bucket_index, durations_ns))
        assert delta.duration_ns == sum(durations_ns)
        assert delta.max_ns == max(durations_ns)


def thread_switches(code: CodeType) -> list[tuple[CodeType, int]]:
    """Where CPython may let another thread run in a function: at its start and after calls."""
    return [
        (code, following.offset)
        for instruction, following in pairwise(dis.get_instructions(code))
        if instruction.opname.startswith(("RESUME", "CALL"))
    ]


def interrupted(
    work: Callable[[], object], interrupt: Callable[[], object], at: tuple[CodeType, int]
) -> bool:
    """Do some work; when it comes to an instruction, the interruption has its turn.

    Returns:
        True when it came to the instruction.
    """
    came = False

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal came
        if frame.f_code is not at[0]:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti == at[1]:
            came = True
            sys.settrace(None)
            interrupt()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return came


@pytest.mark.parametrize("before", [0, 1, FOLD_THRESHOLD])
@pytest.mark.parametrize("at", thread_switches(Recorder.add.__code__), ids=lambda at: at[1])
def test_a_drain_in_the_middle_of_a_call_loses_neither_it_nor_its_duration(
    at: tuple[CodeType, int], before: int
) -> None:
    recorder = Recorder(clock=Clock())
    deltas: list[SeriesDelta] = []

    def drain() -> None:
        deltas.extend(recorder.drain())

    def count() -> None:
        get(recorder, 10)
        drain()
        for _ in range(before):
            get(recorder, 50)
        interrupted(lambda: get(recorder, 200), drain, at)
        get(recorder, 3)
        drain()

    in_a_thread(count)
    assert sum(calls(deltas).values()) == before + 3
    assert sum(delta.duration_ns for delta in deltas) == (before * 50 + 213) * MS
    for delta in deltas:
        assert bucket_index(delta.max_ns) == max(delta.buckets)


@pytest.mark.parametrize("during", [1, FOLD_THRESHOLD + 1])
@pytest.mark.parametrize("before", [0, 1, FOLD_THRESHOLD])
@pytest.mark.parametrize(
    "at",
    [
        *thread_switches(Recorder.drain.__code__),
        *thread_switches(Recorder._drain_series.__code__),
        *thread_switches(Series.fold.__code__),
    ],
    ids=lambda at: f"{at[0].co_name}-{at[1]}",
)
def test_calls_in_the_middle_of_a_drain_are_counted_once_with_their_durations(
    at: tuple[CodeType, int], before: int, during: int
) -> None:
    recorder = Recorder(clock=Clock())
    deltas: list[SeriesDelta] = []

    def drain() -> None:
        deltas.extend(recorder.drain())

    def get_many() -> None:
        for _ in range(during):
            get(recorder, 200)

    def count() -> None:
        get(recorder, 10)
        drain()
        for _ in range(before):
            get(recorder, 50)
        if not interrupted(drain, get_many, at):
            get_many()  # This drain does not come there.
        get(recorder, 3)
        drain()

    in_a_thread(count)
    assert sum(calls(deltas).values()) == before + during + 2
    assert sum(delta.duration_ns for delta in deltas) == (before * 50 + during * 200 + 13) * MS
    for delta in deltas:
        assert bucket_index(delta.max_ns) == max(delta.buckets)


def test_what_waits_in_memory_is_bounded_without_any_drain() -> None:
    recorder = Recorder()
    series = recorder.series("GET", PATH, 200)
    for number in range(10 * FOLD_THRESHOLD + 7):
        recorder.add(series, number)
        assert len(series.recent) < FOLD_THRESHOLD
    assert calls(recorder.drain()) == {SeriesKey("GET", PATH, 200): 10 * FOLD_THRESHOLD + 7}


def test_a_call_does_not_wait_for_a_drain_that_is_at_work() -> None:
    recorder = Recorder()
    with recorder._folding:
        for _ in range(FOLD_THRESHOLD + 5):
            get(recorder)
    assert len(recorder.series("GET", PATH, 200).recent) == FOLD_THRESHOLD + 5
    get(recorder)
    assert recorder.series("GET", PATH, 200).recent == []
    assert calls(recorder.drain()) == {SeriesKey("GET", PATH, 200): FOLD_THRESHOLD + 6}


def run_together(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def assert_drained(drained: list[SeriesDelta], durations_ns: dict[SeriesKey, list[int]]) -> None:
    """Drained series equal the recorded ones."""
    assert {delta.key for delta in drained} == set(durations_ns)
    for key, sent in durations_ns.items():
        mine = [delta for delta in drained if delta.key == key]
        buckets = sum((Counter(delta.buckets) for delta in mine), Counter[int]())
        assert buckets == Counter(map(bucket_index, sent))
        assert sum(delta.duration_ns for delta in mine) == sum(sent)
        assert max(delta.max_ns for delta in mine) == max(sent)


@pytest.mark.unmeasured
@pytest.mark.usefixtures("hasty_threads")
def test_hasty_threads_and_concurrent_drains_lose_and_double_nothing() -> None:
    recorder = Recorder()
    drained: list[SeriesDelta] = []
    sent: dict[SeriesKey, list[int]] = {}
    requesting = [object()] * 4

    def request() -> None:
        chance = random.Random()
        mine = [(chance.choice((200, 404, 500)), chance.randrange(10 * MS)) for _ in range(15_000)]
        try:
            for status, duration_ns in mine:
                recorder.count(method="GET", path=PATH, status=status, duration_ns=duration_ns)
        finally:
            requesting.pop()
        for status, duration_ns in mine:
            sent.setdefault(SeriesKey("GET", PATH, status), []).append(duration_ns)

    def drain() -> None:
        while requesting:
            found = recorder.drain()
            drained.extend(found)

    run_together(drain, *[request] * 4, drain)
    drained.extend(recorder.drain())
    assert_drained(drained, sent)


def test_threads_that_have_ended_leave_their_calls() -> None:
    recorder = Recorder()
    for _ in range(20):
        in_a_thread(lambda: get(recorder, status=200))
    assert calls(recorder.drain()) == {SeriesKey("GET", PATH, 200): 20}
    assert recorder.drain() == []
