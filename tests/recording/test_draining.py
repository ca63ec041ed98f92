"""When the one that empties the inbox does so."""

from collections.abc import Iterator

import pytest

from fastapi_lens.recording.draining import SELDOM_SECONDS, SOON_SECONDS, Draining
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate

REST_AFTER_50_MS = 2.5


@pytest.fixture
def memory() -> Iterator[Database]:
    made = Database("sqlite://")
    migrate(made)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("took", "rest"),
    [(0.0, SOON_SECONDS), (0.05, REST_AFTER_50_MS), (3.0, SELDOM_SECONDS)],
)
def test_the_rest_after_a_turn_grows_with_what_the_turn_took(
    memory: Database, took: float, rest: float
) -> None:
    times = iter([0.0, 1.0, 1.0 + took])
    draining = Draining(
        memory,
        owner="w1",
        clock=lambda: 1_790_000_000.0,
        lose=lambda _calls: None,
        timer=lambda: next(times),
    )

    assert draining.turn() == pytest.approx(rest)
