"""Which calls the log chooses: bounds and fairness, without an application."""

from typing import Any

import pytest

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.recording.log import request_log
from fastapi_lens.recording.log.exceptions import raised
from fastapi_lens.recording.log.request_log import (
    MAX_MINUTES,
    Ended,
    Entry,
    ExceptionCount,
    Reason,
)
from fastapi_lens.recording.recorder import Recorder

pytestmark = pytest.mark.unit


class Log:
    """A recorder's log under a clock that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1_773_014_400.0
        self.recorder = Recorder(clock=lambda: self.now)
        self.apply(**settings)

    def apply(self, **settings: Any) -> None:
        off = {"log_sample_rate": 0, "log_errors_per_minute": 0, "log_slowest": 0}
        self.recorder.log.apply(LensConfig(db_path=":memory:", **{**off, **settings}))

    def call(
        self, path: str = "/a", ms: int = 1, status: int = 200, error: Exception | None = None
    ) -> None:
        series = self.recorder.series("GET", path, status)
        scope = {"type": "http", "method": "GET", "path": path}
        self.recorder.log.take(series, Ended(scope, status, 1, ms * 1_000_000, error))

    def slow(self) -> list[str]:
        return [one.template for one in self.harvested() if one.reason is Reason.SLOW]

    def harvested(self) -> list[Entry]:
        self.recorder.decay_slow_threshold()
        return self.recorder.log.harvest(choose=True).entries


def test_of_several_slow_endpoints_the_slowest_and_those_that_waited_take_turns() -> None:
    log = Log(log_slowest=2)
    for path, ms in (("/a", 900), ("/b", 800), ("/c", 10), ("/d", 20)):
        log.call(path, ms)
    assert set(log.slow()) == {"/a", "/b"}

    log.now += 60
    for path, ms in (("/a", 900), ("/b", 800), ("/c", 10), ("/d", 20)):
        log.call(path, ms)
    assert set(log.slow()) == {"/a", "/d"}


def test_only_the_slowest_of_an_endpoint_counts_whatever_its_status() -> None:
    log = Log(log_slowest=5)
    for ms, status in ((5, 200), (9, 404), (7, 200), (8, 302)):
        log.call("/a", ms, status)
    assert [(one.duration_ns, one.status) for one in log.harvested()] == [(9_000_000, 404)]


def test_an_endpoint_is_slow_again_at_half_of_what_was_slow_a_minute_before() -> None:
    log = Log(log_slowest=5)
    log.call(ms=100)
    assert log.slow() == ["/a"]
    log.call(ms=40)
    assert log.slow() == []
    log.call(ms=40)
    assert log.slow() == ["/a"]


def test_nothing_is_slow_while_none_is_wanted_and_again_when_some_are() -> None:
    log = Log(log_slowest=0)
    log.call(ms=100)
    assert log.slow() == []
    log.apply(log_slowest=1)
    log.call(ms=100)
    assert log.slow() == []
    log.call(ms=100)
    assert log.slow() == ["/a"]


def test_candidates_and_what_is_remembered_of_them_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_log, "MAX_CANDIDATES", 3)
    log = Log(log_slowest=10, log_sample_rate=1.0)
    for number in range(5):
        log.call(f"/{number}", ms=5)
    reasons = [one.reason for one in log.harvested()]
    assert sorted(reasons) == ["sample", "sample", "slow", "slow", "slow"]

    for _ in range(2):
        log.call("/0", ms=50)
        log.call("/7", ms=50)
        assert sorted(log.slow()) == ["/0", "/7"]
        log.harvested()
    # Which of two equally slow calls is chosen shows an order, and no limit of what is kept.
    assert set(log.recorder.log._chosen_at) == {("GET", "/0"), ("GET", "/7")}


def test_what_waits_is_bounded_and_chosen_calls_go_before_the_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_log, "MAX_KEPT", 4)
    log = Log(log_slowest=1, log_sample_rate=1.0)
    for number in range(9):
        log.call(f"/{number}", ms=5)
    reasons = [one.reason for one in log.harvested()]
    assert sorted(reasons) == ["sample", "sample", "slow"]


def test_further_kinds_of_exceptions_wait_until_the_others_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_log, "MAX_KINDS", 2)
    log = Log()
    for path in ("/a", "/b", "/c", "/a"):
        log.call(path, status=500, error=ValueError(path))

    found = log.recorder.log.harvest(choose=False).exceptions
    assert {kind.path: count.calls for kind, count in found.items()} == {"/a": 2, "/b": 1}

    log.call("/c", status=500, error=ValueError("/c"))
    assert [kind.path for kind in log.recorder.log.harvest(choose=False).exceptions] == ["/c"]


def test_the_log_is_empty_until_there_is_something_to_write() -> None:
    log = Log(log_errors_per_minute=1)
    assert not log.recorder.log
    log.call(status=500)
    assert log.recorder.log


def test_after_an_hour_of_an_outage_exceptions_are_counted_by_hour() -> None:
    found = ExceptionCount(0, 0.0, 0.0, raised(LookupError("x")))
    for minute in range(MAX_MINUTES + 30):
        found.add(minute * 60.0)
    assert sum(found.minutes.values()) == found.calls == MAX_MINUTES + 30
    assert len(found.minutes) <= MAX_MINUTES + 1
