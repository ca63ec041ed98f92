import time
from itertools import count

import pytest

from fastapi_lens.storage.engine.yield_gil import SLICE_SECONDS, yield_gil

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("items", "item_seconds", "offers"),
    [(0, 1.0, 0), (3, SLICE_SECONDS, 3), (100, SLICE_SECONDS / 10.5, 9)],
)
def test_the_interpreter_is_offered_after_each_slice_of_time(
    monkeypatch: pytest.MonkeyPatch, items: int, item_seconds: float, offers: int
) -> None:
    slept: list[float] = []
    ticks = count()
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) * item_seconds)
    assert list(yield_gil(range(items))) == list(range(items))
    # A slice begins with a look at the clock, too.
    assert len(slept) == pytest.approx(offers, abs=1 if items > 3 else 0)
    assert set(slept) <= {0}
