import time

import pytest

from fastapi_lens.storage.engine.yield_gil import ITEMS, yield_gil

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("items", "every", "offers"), [(0, ITEMS, 0), (100, 32, 3), (3, 1, 3)])
def test_the_interpreter_is_offered_after_so_many_items(
    monkeypatch: pytest.MonkeyPatch, items: int, every: int, offers: int
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert list(yield_gil(range(items), every=every)) == list(range(items))
    assert slept == [0] * offers
