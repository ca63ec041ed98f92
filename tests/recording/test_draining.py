"""When the one that empties the inbox does so."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from fastapi_lens.recording.draining import (
    BACKLOG_SECONDS,
    LOOK_SECONDS,
    RENEW_SECONDS,
    SELDOM_SECONDS,
    SOON_SECONDS,
    Draining,
)
from fastapi_lens.storage.batches import Batch
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.inbox import Inbox
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.registrar import Registrar
from fastapi_lens.storage.tables import LEASE
from tests.storage.helpers import delta, worker

REST_AFTER_50_MS = 2.5


@pytest.fixture
def memory() -> Iterator[Database]:
    made = Database("sqlite://")
    migrate(made)
    yield made
    made.close()


def draining(database: Database, owner: str, timer: Callable[[], float]) -> Draining:
    return Draining(
        database,
        owner=owner,
        clock=lambda: 1_790_000_000.0,
        lose=lambda _calls: None,
        timer=timer,
    )


@pytest.mark.parametrize(
    ("took", "rest"),
    [(0.0, SOON_SECONDS), (0.05, REST_AFTER_50_MS), (3.0, SELDOM_SECONDS)],
)
def test_the_rest_after_a_turn_grows_with_what_the_turn_took(
    memory: Database, took: float, rest: float
) -> None:
    times = iter([0.0, 1.0, 1.0 + took])

    assert draining(memory, "w1", lambda: next(times)).turn() == pytest.approx(rest)


def test_a_turn_that_leaves_something_is_followed_by_another_at_once(
    memory: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.recording.draining.TURN_SECONDS", 0.0)
    Registrar(memory, worker()).register([], applied=0, now_us=1)
    Inbox(memory, worker()).put(Batch(1, (delta(1),)), now=1_790_000_000.0)

    assert draining(memory, "w1", lambda: 0.0).turn() == BACKLOG_SECONDS


def test_a_lease_that_went_with_its_table_is_taken_again_at_once(memory: Database) -> None:
    now = [0.0]
    first = draining(memory, "w1", lambda: now[0])
    first.turn()
    with memory.write() as connection:
        connection.execute(sa.delete(LEASE))
    now[0] = RENEW_SECONDS

    assert first.turn() == SOON_SECONDS


def test_a_lease_that_another_worker_has_taken_is_not_ours_any_more(memory: Database) -> None:
    now = [0.0]
    first = draining(memory, "w1", lambda: now[0])
    first.turn()
    with memory.write() as connection:
        connection.execute(sa.update(LEASE).values(owner="w2"))
    now[0] = RENEW_SECONDS

    assert first.turn() == LOOK_SECONDS
