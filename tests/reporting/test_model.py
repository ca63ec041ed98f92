from dataclasses import replace

import pytest

from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.settings.status import Status

pytestmark = pytest.mark.unit


def endpoint(kind: str, lasting_ms: int) -> Endpoint:
    took_ns = lasting_ms * 1_000_000
    usage = Usage(
        calls=1,
        max_us=lasting_ms * 1_000,
        histogram=Histogram.from_counts({bucket_index(took_ns): 1}),
    )
    return Endpoint(
        id=1,
        method="GET",
        path="/x",
        kind=kind,
        name="",
        source="",
        summary="",
        tags=(),
        deprecated=False,
        first_seen_at=0,
        first_called_at=0,
        last_called_at=0,
        total_calls=1,
        status=Status.ACTIVE,
        usage=usage,
    )


@pytest.mark.parametrize(
    ("kind", "lasting_ms", "slow"),
    [("http", 500, False), ("http", 501, True), ("mount", 501, True), ("websocket", 9_000, False)],
)
def test_slow_is_what_answers_above_the_limit(kind: str, lasting_ms: int, *, slow: bool) -> None:
    assert endpoint(kind, lasting_ms).is_slow(limit_ms=500) is slow


def test_an_endpoint_without_calls_is_not_slow() -> None:
    assert not replace(endpoint("http", 900), usage=Usage()).is_slow(limit_ms=500)
