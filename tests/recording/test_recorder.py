import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import FrameType
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
    with ThreadPoolExecutor(1) as threads:
        threads.submit(work).result()


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


RECORDING = "fastapi_lens.recording."
SWITCHES = ("call", "return", "c_return")
"""Where CPython may let another thread run: at the start of a function, and after each call."""


def interrupted(work: Callable[[], object], interrupt: Callable[[], object], after: int) -> bool:
    """Do some work; after so many places where threads may take turns, the interruption has one.

    Returns:
        True when the work had so many.
    """
    left = after

    def look(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal left
        if event in SWITCHES and frame.f_globals["__name__"].startswith(RECORDING):
            if left == 0:
                sys.setprofile(None)
                interrupt()
            left -= 1

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(before)
    return left < 0


def at_each_switch(counted: Callable[[int], bool]) -> None:
    """Call a function with 0, 1, 2 … until it finds no such place any more."""
    places = next(number for number in count() if not counted(number))
    assert places > 3


@pytest.mark.parametrize("before", [0, 1, FOLD_THRESHOLD])
def test_a_drain_in_the_middle_of_a_call_loses_neither_it_nor_its_duration(before: int) -> None:
    def interrupt(after: int) -> bool:
        recorder = Recorder(clock=Clock())
        deltas: list[SeriesDelta] = []

        def drain() -> None:
            deltas.extend(recorder.drain())

        get(recorder, 10)
        drain()
        for _ in range(before):
            get(recorder, 50)
        came = interrupted(lambda: get(recorder, 200), drain, after)
        get(recorder, 3)
        drain()
        assert sum(calls(deltas).values()) == before + 3
        assert sum(delta.duration_ns for delta in deltas) == (before * 50 + 213) * MS
        for delta in deltas:
            assert bucket_index(delta.max_ns) == max(delta.buckets)
        return came

    in_a_thread(lambda: at_each_switch(interrupt))


@pytest.mark.parametrize("during", [1, FOLD_THRESHOLD + 1])
@pytest.mark.parametrize("before", [0, 1, FOLD_THRESHOLD])
def test_calls_in_the_middle_of_a_drain_are_counted_once_with_their_durations(
    before: int, during: int
) -> None:
    def interrupt(after: int) -> bool:
        recorder = Recorder(clock=Clock())
        deltas: list[SeriesDelta] = []

        def drain() -> None:
            deltas.extend(recorder.drain())

        def get_many() -> None:
            for _ in range(during):
                get(recorder, 200)

        get(recorder, 10)
        drain()
        for _ in range(before):
            get(recorder, 50)
        came = interrupted(drain, get_many, after)
        get(recorder, 3)
        drain()
        there = during if came else 0
        assert sum(calls(deltas).values()) == before + there + 2
        assert sum(delta.duration_ns for delta in deltas) == ((before * 50 + there * 200 + 13) * MS)
        for delta in deltas:
            assert bucket_index(delta.max_ns) == max(delta.buckets)
        return came

    in_a_thread(lambda: at_each_switch(interrupt))


def test_what_waits_in_memory_is_bounded_without_any_drain() -> None:
    recorder = Recorder()
    series = recorder.series("GET", PATH, 200)
    for number in range(10 * FOLD_THRESHOLD + 7):
        recorder.add(series, number)
        assert len(series.recent) < FOLD_THRESHOLD
    assert calls(recorder.drain()) == {SeriesKey("GET", PATH, 200): 10 * FOLD_THRESHOLD + 7}


def test_a_call_does_not_wait_for_a_drain_that_is_at_work() -> None:
    longest: list[int] = []

    def interrupt(after: int) -> bool:
        recorder = Recorder()

        def get_many() -> None:
            # Whoever waited for the drain, which goes on only then, would wait for ever.
            for _ in range(FOLD_THRESHOLD + 5):
                get(recorder)
            longest.append(len(recorder.series("GET", PATH, 200).recent))

        get(recorder)
        came = interrupted(recorder.drain, get_many, after)
        get(recorder)
        recorder.drain()
        assert recorder.series("GET", PATH, 200).recent == []
        return came

    in_a_thread(lambda: at_each_switch(interrupt))
    assert max(longest) > FOLD_THRESHOLD


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
