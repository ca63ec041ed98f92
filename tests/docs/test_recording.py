"""The examples of docs/recording.md run as they stand there."""

import gc
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.recording.written import Written

DOCUMENT = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """The batches that flushers write, which are made after this."""
    return Written(monkeypatch)


def example(name: str) -> dict[str, Any]:
    """The names that an example defines."""
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": name}
    exec(compile(found[1], "recording.md", "exec"), names)  # noqa: S102  Our own document.
    return names


def test_a_start_up_that_freezes_its_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_DB_PATH", ":memory:")
    names = example("freeze")

    try:
        with TestClient(names["app"]) as client:
            assert gc.get_freeze_count() > 0
            assert client.get("/orders/7").json() == {"order_id": 7}
            assert client.get("/lens/").status_code == 200
    finally:
        gc.unfreeze()


def test_a_consumer_that_reads_the_state_of_a_request(
    monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    monkeypatch.setenv("LENS_DB_PATH", ":memory:")
    names = example("consumer")

    with TestClient(names["app"]) as client:
        assert client.get("/orders").json() == []
    assert written.calls == {"hook billing-service": 1}
    assert names["consumer"]({"type": "http"}) is None
