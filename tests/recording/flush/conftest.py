"""Flushers with a database, and the time that they measure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recording.rig import Rig, opened, simulated_monotonic


@pytest.fixture
def file_rig(tmp_path: Path) -> Iterator[Rig]:
    """On SQLite alone, for what is the same on every database."""
    with opened(f"sqlite:///{tmp_path / 'lens.db'}") as made:
        yield made


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of `time.monotonic`; change the only one."""
    return simulated_monotonic(monkeypatch)
