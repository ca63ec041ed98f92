import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastapi_lens.recording.flush import collector
from fastapi_lens.recording.flush.pending import Pending
from tests.recording.rig import (
    START,
    Rig,
    calls_per_hour,
    opened,
    worker_row,
)


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch) -> Pending:
    """The sums that wait in the rig's flusher."""
    made = Pending()
    monkeypatch.setattr(collector, "Pending", lambda: made)
    return made


@pytest.fixture
def file_rig(tmp_path: Path, pending: Pending) -> Iterator[Rig]:
    """On SQLite alone, for what is the same on every database."""
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as made:
        yield made


@pytest.mark.unmeasured
def test_memory_stays_bounded_and_what_is_given_up_is_counted(
    file_rig: Rig,
    pending: Pending,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(collector, "MAX_PENDING", 40)
    file_rig.database.down = True
    chance = random.Random(6)
    for _ in range(12):
        file_rig.work_for(range(60), chance)
        assert not file_rig.flusher.flush()
        assert len(pending) <= 40
    dropped = file_rig.flusher.dropped
    assert 0 < dropped < len(file_rig.sent)
    assert file_rig.flusher.pending_calls == len(file_rig.sent) - dropped
    file_rig.database.down = False
    assert file_rig.flusher.flush()
    assert worker_row(file_rig).dropped == dropped
    stored, expected = calls_per_hour(file_rig.rows), calls_per_hour(file_rig.expected)
    assert sum(stored.values()) == len(file_rig.sent) - dropped
    # The oldest hours are given up, the youngest are complete.
    hours = sorted(expected)
    assert [stored[hour] for hour in hours[-4:]] == [expected[hour] for hour in hours[-4:]]
    assert stored[hours[0]] < expected[hours[0]]


def test_minutes_are_given_up_before_a_call_is_lost(
    file_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_PENDING", 150)
    file_rig.database.down = True
    file_rig.work_for(range(150), random.Random(7))
    file_rig.database.down = False
    assert file_rig.flusher.flush()
    assert file_rig.flusher.dropped == 0
    rows, expected = file_rig.rows, file_rig.expected
    assert {key: sums for key, sums in rows.buckets.items() if key[0] > 60} == {
        key: sums for key, sums in expected.buckets.items() if key[0] > 60
    }
    # The present hour keeps its minutes as long as there is room.
    this_hour = START // 60 + 120
    for found in (rows, expected):
        found.buckets = {
            key: sums for key, sums in found.buckets.items() if key[0] == 60 and key[1] > this_hour
        }
    assert len(rows.buckets) > 20
    assert rows.buckets == expected.buckets


def test_one_hour_of_many_series_gives_up_its_minutes_too(
    file_rig: Rig, pending: Pending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_PENDING", 20)
    file_rig.database.down = True
    file_rig.work_for(range(59), random.Random(8))
    assert len(pending) <= 20
    file_rig.database.down = False
    assert file_rig.flusher.flush()
    assert file_rig.flusher.dropped == 0
    assert calls_per_hour(file_rig.rows) == calls_per_hour(file_rig.expected)
    assert file_rig.rows.endpoints == file_rig.expected.endpoints
