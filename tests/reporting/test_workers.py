from dataclasses import replace

from benchmarks.support.rows import worker
from benchmarks.support.writing import Writer
from fastapi_lens.reporting.model import Worker, WorkerState
from fastapi_lens.reporting.workers import MOST
from fastapi_lens.storage.coordination.heartbeat import beat, note_killed
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from tests.reporting.recount import NOW, reader_of

AT_WORK = Heartbeat(
    now_us=0, complete_to_us=0, pending=7, dropped=3, flush_us=4_500, core_ppm=4_000
)


def heard_of(database: Database, facts: WorkerFacts, beaten: Heartbeat, *, ago: float) -> None:
    now_us = round((NOW - ago) * 1_000_000)
    Writer(database, facts).register([], applied=0, now_us=now_us)
    beat(database, facts, replace(beaten, now_us=now_us, complete_to_us=now_us))


def test_the_workers_that_record_come_first_and_each_says_how_it_does(database: Database) -> None:
    migrate(database)
    quiet = Heartbeat(now_us=0, complete_to_us=0)
    heard_of(database, replace(worker("a"), pid=1), quiet, ago=100)
    heard_of(database, replace(worker("b"), pid=2), replace(quiet, ended=True), ago=30)
    heard_of(database, replace(worker("c"), pid=3), quiet, ago=61)
    heard_of(database, replace(worker("d"), pid=4), AT_WORK, ago=59)
    hourly = replace(worker("e"), pid=5, interval_ms=3_600_000)
    heard_of(database, hourly, replace(quiet, core_ppm=1_000), ago=10_000)
    heard_of(database, worker("f", app="other"), quiet, ago=1)
    note_killed(database, worker("new"), lambda one: one.pid == 1, now_us=round(NOW * 1e6))

    reader = reader_of(database)
    found = reader.workers(NOW)
    assert [(one.pid, one.state) for one in found] == [
        (4, WorkerState.RUNNING),
        (5, WorkerState.RUNNING),
        (3, WorkerState.SILENT),
        (2, WorkerState.ENDED),
        (1, WorkerState.KILLED),
    ]
    assert found[0] == Worker(
        host="host-1",
        pid=4,
        release="1.4.2",
        state=WorkerState.RUNNING,
        started_at=1.0,
        seen_at=NOW - 59,
        pending=7,
        dropped=3,
        flush_ms=4.5,
        interval_seconds=5.0,
        core_share=0.004,
        clock_ahead_seconds=None,
    )
    assert (found[1].core_share, found[2].core_share) == (0.001, None)
    health = reader.health(NOW)
    assert (health.workers, health.core_share) == (2, 0.0025)


def test_those_that_ended_longest_ago_are_left_out_of_a_long_list(memory: Database) -> None:
    migrate(memory)
    ended = replace(AT_WORK, ended=True)
    for number in range(MOST + 1):
        heard_of(memory, replace(worker(f"{number:03}"), pid=number), ended, ago=number)
    assert [one.pid for one in reader_of(memory).workers(NOW)] == list(range(MOST))
