"""Time without a worker: known only after workers that ended properly and lost nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, worker
from fastapi_lens.storage.coordination.confirmed_time import OFF_SECONDS
from fastapi_lens.storage.coordination.heartbeat import new_row
from fastapi_lens.storage.coordination.idle import DOUBT_US, MOST_MINUTES, idle_minutes
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import WORKER

MINUTE_US = 60_000_000
BEGIN = 29_550_000
"""A minute, in which the first worker starts."""


@dataclass
class Fleet:
    """Workers of one app, in minutes after `BEGIN`."""

    database: Database
    number: int = 0

    def add(
        self, started: float, last: float, *, ended: bool = True, app: str = APP, **more: Any
    ) -> None:
        """A worker that started, and was seen last or ended."""
        self.number += 1
        last_us = round((BEGIN + last) * MINUTE_US)
        facts = worker(f"w{self.number}", app, started_at=(BEGIN + started) * 60)
        row = new_row(facts, applied=0, now_us=last_us)
        times = {"complete_to": last_us, "ended_at": last_us if ended else 0}
        with self.database.write() as connection:
            connection.execute(sa.insert(WORKER), {**row, **times, **more})

    def idle_before(self, started: float) -> range:
        """Idle minutes before a worker that starts now."""
        facts = worker("new", started_at=(BEGIN + started) * 60)
        with self.database.read() as connection:
            found = idle_minutes(connection, facts)
        return range(found.start - BEGIN, found.stop - BEGIN) if found else range(0)


@pytest.fixture
def fleet(database: Database) -> Fleet:
    return Fleet(database)


@pytest.fixture
def local() -> Iterator[Fleet]:
    """In memory, for what is the same on every database."""
    database = Database("sqlite://")
    migrate(database)
    yield Fleet(database)
    database.close()


def test_the_minutes_between_the_last_end_and_a_start_are_idle(fleet: Fleet) -> None:
    fleet.add(0, 10.5)
    fleet.add(2, 20.5)
    fleet.add(30, 90, app="another", ended=False)
    assert fleet.idle_before(100.5) == range(21, 100)


def test_nothing_is_known_before_the_first_worker(local: Fleet) -> None:
    assert local.idle_before(100) == range(0)


def test_nothing_is_idle_while_another_worker_lives_or_is_silent(local: Fleet) -> None:
    local.add(0, 20)
    local.add(10, 30, ended=False)
    assert local.idle_before(100) == range(0)


def test_workers_that_start_together_know_the_same_idle_time(local: Fleet) -> None:
    local.add(0, 20)
    local.add(100.2, 100.3, ended=False)
    assert local.idle_before(100.5) == local.idle_before(101.5) == range(20, 100)


def test_what_follows_a_worker_without_an_end_is_not_idle(local: Fleet) -> None:
    local.add(0, 20)
    local.add(50, 60, ended=False)
    assert local.idle_before(100) == range(20, 50)


@pytest.mark.parametrize(
    "doubtful",
    [
        {"killed": True},
        {"dropped": 1},
        {"pending": 3},
        {"clock_ahead_us": (OFF_SECONDS + 1) * 1_000_000},
        {"clock_ahead_us": -(OFF_SECONDS + 1) * 1_000_000},
    ],
)
def test_a_worker_in_doubt_near_the_last_end_leaves_the_time_after_it_open(
    local: Fleet, doubtful: dict[str, Any]
) -> None:
    doubt = DOUBT_US // MINUTE_US
    local.add(0, 20, **{"seen_at": (BEGIN + 20) * MINUTE_US, **doubtful})
    assert local.idle_before(100) == range(0)
    local.add(30, 20 + doubt)
    assert local.idle_before(500) == range(0)
    local.add(30, 21 + doubt)
    assert local.idle_before(500) == range(21 + doubt, 500)


def test_a_longer_time_counts_for_its_last_400_days(local: Fleet) -> None:
    local.add(0, 20)
    assert local.idle_before(2 * MOST_MINUTES) == range(MOST_MINUTES, 2 * MOST_MINUTES)


def test_a_worker_of_a_wrong_clock_that_ended_in_the_future_leaves_nothing_idle(
    local: Fleet,
) -> None:
    local.add(0, 500_000)
    assert local.idle_before(100) == range(0)
