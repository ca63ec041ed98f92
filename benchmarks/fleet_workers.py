"""Simulated workers: real flushers of their own names and numbers, many in one process.

Each of them counts, flushes, stretches its interval and asks for the drain's lease as the thread of
an application's worker does. The workers of one thread share a recorder, those of a process the
connections. What each worker does once, when it begins, is left to the first one: it makes the rows
of the endpoints and looks for predecessors.
"""

import asyncio
import gc
import random
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks.first_edition_writer import MAX_SUMS, PAUSE_SECONDS, FirstEditionWriter
from benchmarks.lag import lags
from fastapi_lens.histogram.histogram import add_durations
from fastapi_lens.recording.flush import flusher, registration
from fastapi_lens.recording.flush.flusher import Flusher, FlushSettings
from fastapi_lens.recording.flush.processes import new_id
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.writing.batches import Batch, EndpointFacts, Use
from fastapi_lens.storage.writing.registrar import Registrar

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

APP = "fleet"
CALLS = 30
"""Of each endpoint in each interval."""

SETTLE_SECONDS = 1.5
"""So long the first worker is alone: it makes the rows of the endpoints and takes the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The workers of one process.

    Attributes:
        url: Of the database, which has its tables.
        endpoints: That each worker calls in each interval.
        interval: Seconds between two flushes, before it stretches.
        numbers: Of its workers; 0 is the first worker.
        fleet: Workers of all processes.
        threads: That flush.
        warm_up_seconds: From the barrier until the measurement.
        seconds: Of the measurement.
        is_first_edition: True to write as the first edition did.
        naps: True to run an event loop in the main thread, which measures its lag.
    """

    url: str
    endpoints: int
    interval: float
    numbers: range
    fleet: int
    threads: int
    warm_up_seconds: float
    seconds: float
    is_first_edition: bool = False
    naps: bool = False


@dataclass(slots=True)
class Told:
    """Figures of a process, or of several together, during the measurement.

    Attributes:
        flushes: That have written.
        failed: That have not.
        flush_cpu: Seconds of CPU of the threads in these flushes, with what followed each.
        other_cpu: The same between flushes: what a worker drains, or its look at the lease.
        intervals: Seconds between two flushes of each worker, at the end.
        lag_ms: The event loop's lags; empty without one.
    """

    flushes: int = 0
    failed: int = 0
    flush_cpu: float = 0.0
    other_cpu: float = 0.0
    intervals: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Seconds of CPU in all."""
        return self.flush_cpu + self.other_cpu

    @classmethod
    def sum_of(cls, several: "Iterable[Told]") -> "Told":
        """Sum of the figures of several processes or threads."""
        total = cls()
        for one in several:
            total.flushes += one.flushes
            total.failed += one.failed
            total.flush_cpu += one.flush_cpu
            total.other_cpu += one.other_cpu
            total.intervals += one.intervals
            total.lag_ms += one.lag_ms
        return total


class Calls:
    """Calls of one worker's endpoints between two flushes."""

    def __init__(self, endpoints: int, seed: int) -> None:
        """Make up the calls."""
        self.recorder = Recorder()
        chance = random.Random(seed)
        self._series = []
        for path in paths(endpoints):
            # Around 5 ms, with a long tail.
            durations = [int(chance.lognormvariate(15.4, 0.4)) for _ in range(CALLS)]
            buckets: dict[int, int] = {}
            add_durations(buckets, durations)
            series = self.recorder.series("GET", path, 200)
            self._series.append((series, buckets, sum(durations), max(durations)))

    def count(self) -> None:
        """Put the calls where a recorder keeps what it has folded."""
        now = time.time()
        for series, buckets, duration_ns, max_ns in self._series:
            series.buckets, series.duration_ns, series.max_ns = buckets, duration_ns, max_ns
            series.last_at = now


class SimulatedWorker(Flusher):
    """A flusher without a thread of its own."""

    def __init__(self, crew: Crew, number: int, database: Database, calls: Calls) -> None:
        """Write nothing yet."""
        self._calls = calls
        self._failures = 0
        facts = facts_of(crew, number)
        is_first = number == 0
        settings = FlushSettings(interval=crew.interval, max_batch_size=100)
        endpoints = facts_of_endpoints(crew.endpoints) if is_first else []
        super().__init__(calls.recorder, database, facts, settings, lambda: endpoints)

    def step(self, told: Told) -> float:
        """Do what is due, as the thread of a worker does.

        Returns:
            When it has to be called again, as `time.monotonic` tells it.
        """
        begun, cpu = time.monotonic(), time.thread_time()
        if begun >= self._flush_at:
            self._calls.count()
            cpu = time.thread_time()
            written = self._turn()
            told.flush_cpu += time.thread_time() - cpu
            told.flushes += written
            told.failed += not written
            self._failures = 0 if written else self._failures + 1
            self._flush_at = max(begun + self._delay(self._failures), time.monotonic())
        else:
            if not self._tried(self._drain):
                self._drain_at = self._flush_at
            told.other_cpu += time.thread_time() - cpu
        return min(self._flush_at, self._drain_at)

    def begin_at(self, when: float) -> float:
        """Set when the first flush is due; returns it."""
        self._flush_at = self._drain_at = when
        return when

    @property
    def seconds_between(self) -> float:
        """From one flush to the next."""
        return self._delay(0)


class FirstEditionWorker(SimulatedWorker):
    """One that adds to the shared rows itself, and drains nothing."""

    def __init__(self, crew: Crew, number: int, database: Database, calls: Calls) -> None:
        """Write nothing yet."""
        super().__init__(crew, number, database, calls)
        self._writer = FirstEditionWriter(database, facts_of(crew, number, self._worker.id))

    def _put_all(self, uses: Sequence[Use], complete_us: int, *, ending: bool) -> None:
        del uses, ending
        outbox = self._outbox
        while waiting := self._collector.batch(outbox.applied + 1, (), None, since_us=complete_us):
            for start in range(0, len(waiting.deltas), MAX_SUMS):
                deltas = waiting.deltas[start : start + MAX_SUMS]
                self._writer.write(Batch(outbox.applied + 1, deltas))
                outbox.applied += 1
                time.sleep(PAUSE_SECONDS)
        # It says how far it has written in a transaction of its own, after each flush.
        self._heartbeat_at = float("-inf")

    def _let_drain(self, *, ending: bool) -> None:
        del ending
        self._drain_at = float("inf")


class WorkerRegistrar(Registrar):
    """Registers a worker, and none of its endpoints."""

    def register(
        self, facts: Iterable[EndpointFacts], *, applied: int, now_us: int, log_applied: int = 0
    ) -> None:
        """Make the worker's row."""
        del facts
        super().register((), applied=applied, now_us=now_us, log_applied=log_applied)


LEFT_OUT = (
    (flusher, "Registrar", WorkerRegistrar),
    (registration, "migrate", lambda _database: None),
    (registration, "has_namesake", lambda _database: False),
    (registration, "report_killed", lambda *_, **__: False),
)
"""Work that a worker does once, at its start; a thousand starts at once would hide the rest."""


def paths(endpoints: int) -> list[str]:
    """The templates of so many endpoints."""
    return [f"/things-{number}/{{thing_id}}" for number in range(endpoints)]


def facts_of_endpoints(endpoints: int) -> list[EndpointFacts]:
    """So many endpoints as routes tell of them."""
    return [
        EndpointFacts(endpoint_id(APP, "GET", path), APP, "GET", path) for path in paths(endpoints)
    ]


def facts_of(crew: Crew, number: int, identity: str | None = None) -> WorkerFacts:
    """A worker on a host of its own."""
    return WorkerFacts(
        id=identity or new_id(),
        app=APP,
        host=f"host-{number}",
        pid=number + 1,
        release="",
        started_at_us=microseconds(time.time()),
        interval_ms=round(crew.interval * 1_000),
    )


def run(crew: Crew, ready: Barrier, answers: "SimpleQueue[Told]") -> None:
    """The main function of a process: flushes until the measurement ends, and tells of it."""
    database = Database(crew.url)
    with ExitStack() as stack:
        if 0 not in crew.numbers:
            for place, name, stand_in in LEFT_OUT:
                stack.enter_context(patch.object(place, name, stand_in))
        _work(crew, database, ready, answers)
    database.close()


def _work(crew: Crew, database: Database, ready: Barrier, answers: "SimpleQueue[Told]") -> None:
    kind = FirstEditionWorker if crew.is_first_edition else SimulatedWorker
    per_thread = [crew.numbers[number :: crew.threads] for number in range(crew.threads)]
    teams = [
        [kind(crew, number, database, calls) for number in numbers]
        for numbers in per_thread
        for calls in [Calls(crew.endpoints, seed=numbers.start)]
    ]
    all_told = [Told() for _ in teams]
    threads = [
        threading.Thread(target=_drive, args=(crew, *each))
        for each in zip(per_thread, teams, all_told, strict=True)
    ]
    ready.wait()
    for thread in threads:
        thread.start()
    time.sleep(crew.warm_up_seconds)
    # What the other workers of this process keep is nothing that one flush should pay for.
    gc.freeze()
    lag_ms = asyncio.run(lags(crew.seconds)) if crew.naps else []
    for thread in threads:
        thread.join()
    told = Told.sum_of(all_told)
    told.lag_ms = lag_ms
    told.intervals = [worker.seconds_between for team in teams for worker in team]
    answers.put(told)


def _drive(crew: Crew, numbers: range, team: Sequence[SimulatedWorker], told: Told) -> None:
    """Let some workers do what is due, until the measurement ends."""
    begin = time.monotonic()
    start = begin + crew.warm_up_seconds
    end = start + crew.seconds
    due = [
        (worker.begin_at(begin + _first_due(crew, number)), index)
        for index, (number, worker) in enumerate(zip(numbers, team, strict=True))
    ]
    heapify(due)
    warming = Told()
    while due and due[0][0] < end:
        at, index = due[0]
        time.sleep(max(0.0, at - time.monotonic()))
        measured = start <= time.monotonic() < end
        heapreplace(due, (team[index].step(told if measured else warming), index))


def _first_due(crew: Crew, number: int) -> float:
    """Seconds after the barrier: the workers of a fleet flush at times of their own."""
    return SETTLE_SECONDS + crew.interval * number / crew.fleet if number else 0.0
