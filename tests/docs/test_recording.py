"""The example of docs/recording.md runs as it stands there."""

import gc
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

DOCUMENT = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")


def test_a_start_up_that_freezes_its_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_DB_PATH", ":memory:")
    found = re.search(r"<!-- example: freeze -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": "freeze"}
    exec(compile(found[1], "recording.md", "exec"), names)  # noqa: S102  Our own document.

    try:
        with TestClient(names["app"]) as client:
            assert gc.get_freeze_count() > 0
            assert client.get("/orders/7").json() == {"order_id": 7}
            assert client.get("/lens/").status_code == 200
    finally:
        gc.unfreeze()
