"""A recorder, a flusher and a database that can be down, under a clock of their own."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.support.rows import (
    APP,
    FlakyDatabase,
    Rows,
    facts,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.recording.flush import collector, registration
from fastapi_lens.recording.flush import flusher as flusher_module
from fastapi_lens.recording.flush.flusher import NO_HOOKS, Flusher, FlushHooks, FlushSettings
from fastapi_lens.recording.recorder import MAX_SERIES, Recorder
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER
from fastapi_lens.storage.writing.batches import Delta, EndpointFacts

START = 1_773_014_400.0
"""2026-03-09 00:00 UTC, the turn of a minute, an hour and a day."""

ORDERS, ORDER, NEVER = facts("/v1/orders"), facts("/v1/orders/{order_id}"), facts("/v1/never")


class HangingDatabase(FlakyDatabase):
    """Answers nobody until it is let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.entered, self.released = threading.Event(), threading.Event()

    def _refuse_when_down(self) -> None:
        self.entered.set()
        assert self.released.wait(30)


class Rig:
    """A recorder, a flusher and a database that can be down, under a clock that stands still.

    Attributes:
        sent: Counted calls, as the expected rows.
        endpoints: Endpoints that the flusher discovers.
        discover: Returns them.
    """

    def __init__(
        self,
        url: str,
        *,
        interval: float = 5.0,
        max_batch_size: int = 100,
        who: WorkerFacts | None = None,
        hooks: FlushHooks = NO_HOOKS,
        idle_is_silent: bool = False,
        max_series: int = MAX_SERIES,
    ) -> None:
        self.now = START
        self.database = FlakyDatabase(url)
        self.recorder = Recorder(clock=lambda: self.now, max_series=max_series)
        self.endpoints: list[EndpointFacts] = [ORDERS, ORDER, NEVER]
        self.discover: Callable[[], list[EndpointFacts]] = lambda: self.endpoints
        settings = FlushSettings(
            interval=interval, max_batch_size=max_batch_size, idle_is_silent=idle_is_silent
        )
        self.flusher = Flusher(
            self.recorder, self.database, who or worker(), settings, self._discovered, hooks
        )
        self.sent: list[Delta] = []

    def _discovered(self) -> list[EndpointFacts]:
        return self.discover()

    def call(self, path: str = ORDERS.path, *, status: int = 200, duration_us: int = 1_500) -> None:
        duration_ns = duration_us * 1_000
        self.recorder.count(method="GET", path=path, status=status, duration_ns=duration_ns)
        at_us = round(self.now * 1_000_000)
        self.sent.append(
            Delta(
                endpoint_id=endpoint_id(APP, "GET", path),
                minute=int(self.now // 60),
                status=status,
                calls=1,
                duration_us=duration_us,
                max_us=duration_us,
                first_at_us=at_us,
                last_at_us=at_us,
                histogram=Histogram.from_counts({bucket_index(duration_ns): 1}),
            )
        )

    def work_for(self, minutes: Iterable[int], chance: random.Random) -> None:
        """Some calls in each of these minutes, collected as the thread would."""
        for _ in minutes:
            for _ in range(chance.randrange(6)):
                self.now += 7
                self.call(
                    chance.choice((ORDERS.path, ORDER.path)),
                    status=chance.choice((200, 304, 404, 500)),
                    duration_us=chance.randrange(10**6),
                )
            self.flusher.collect()
            self.now = (self.now // 60 + 1) * 60

    @property
    def rows(self) -> Rows:
        return rows_in(self.database)

    @property
    def expected(self) -> Rows:
        return rows_of(self.sent)


@contextmanager
def opened(url: str, **options: Any) -> Generator[Rig]:
    """A rig whose thread has ended and whose database is closed afterwards."""
    rig = Rig(url, **options)
    yield rig
    rig.database.down = False
    rig.flusher.stop()
    rig.database.close()


def started(flusher: Flusher) -> list[threading.Thread]:
    """Start the threads, and return them: the one that flushes first."""
    before = set(threading.enumerate())
    flusher.start()
    return sorted(set(threading.enumerate()) - before, key=lambda thread: thread.name)


def simulated_monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of `time.monotonic` as the flusher sees them; change the only one."""
    seconds = [1_000.0]

    class Time:
        sleep = staticmethod(lambda _seconds: None)
        monotonic = staticmethod(lambda: seconds[0])

    monkeypatch.setattr(flusher_module, "time", Time)
    monkeypatch.setattr(collector, "time", Time)
    monkeypatch.setattr(registration, "time", Time)
    return seconds


def worker_row(rig: Rig) -> Any:
    (row,) = table_rows(rig.database, WORKER)
    return row


def paths_in(rig: Rig) -> set[str]:
    return {row.path for row in table_rows(rig.database, ENDPOINT)}


def calls_per_hour(rows: Rows) -> Counter[int]:
    found = Counter[int]()
    for (tier, bucket, _), sums in rows.buckets.items():
        if tier == 3_600:
            found[bucket] += sums[0]
    return found
