from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.recording.probe import Probe
from tests.recording.written import Written


@pytest.fixture
def probe() -> Iterator[Callable[..., Probe]]:
    """Makes probes, and stops them at the end."""
    made: list[Probe] = []

    def make(app: Any, **settings: Any) -> Probe:
        made.append(Probe(app, **settings))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """The batches that flushers write, which are made after this."""
    return Written(monkeypatch)
