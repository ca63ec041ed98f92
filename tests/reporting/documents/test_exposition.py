"""The text for a Prometheus server, read by the parsers of prometheus_client."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.histogram.histogram import RELATIVE_ERROR, Histogram, bucket_index
from fastapi_lens.reporting.documents.exposition import BOUNDARIES, Format, exposition
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.settings.status import Status
from tests.support.prometheus import open_metrics, plain_text

pytestmark = pytest.mark.unit

PARSERS: Mapping[Format, Any] = {
    Format.OPEN_METRICS: open_metrics,
    Format.PROMETHEUS: plain_text,
}


def endpoint(path: str = "/a", method: str = "GET", **facts: Any) -> Endpoint:
    """An endpoint without calls."""
    told = {"kind": "http", "usage": Usage(), **facts}
    never = {"first_called_at": None, "last_called_at": None, "status": Status.NEVER_CALLED}
    texts = dict.fromkeys(("name", "source", "summary"), "")
    numbers = {"id": 1, "first_seen_at": 0.0, "total_calls": 0}
    more: dict[str, Any] = {"tags": (), "deprecated": False, **never, **texts, **numbers, **told}
    return Endpoint(method=method, path=path, **more)


def samples(endpoints: Sequence[Endpoint], form: Format = Format.OPEN_METRICS) -> list[Any]:
    families = PARSERS[form](exposition(endpoints, form))
    return [sample for family in families for sample in family.samples]


def called(durations_us: Sequence[int]) -> Usage:
    counts: dict[int, int] = {}
    for us in durations_us:
        index = bucket_index(us * 1_000)
        counts[index] = counts.get(index, 0) + 1
    return Usage(
        calls=len(durations_us),
        duration_us=sum(durations_us),
        histogram=Histogram.from_counts(counts),
    )


def buckets(usage: Usage) -> dict[str, float]:
    found = samples([endpoint(usage=usage)])
    return {one.labels["le"]: one.value for one in found if one.name.endswith("_bucket")}


@given(st.text(), st.text(), st.sampled_from(Format))
@example("/a\\nb", '/"\n\\', Format.OPEN_METRICS)
@example("/a\\\n", "\r\u2028\x85", Format.PROMETHEUS)
def test_labels_are_read_as_they_were_written(method: str, path: str, form: Format) -> None:
    (labels,) = {
        (one.labels["http_request_method"], one.labels["http_route"])
        for one in samples([endpoint(path, method)], form)
    }
    assert labels == (method, path)


@pytest.mark.parametrize("form", Format)
def test_every_family_has_its_type_and_its_help(form: Format) -> None:
    text = exposition([endpoint()], form)
    families = [(one.name, one.type, one.unit, one.documentation) for one in PARSERS[form](text)]
    unit = "seconds" if form is Format.OPEN_METRICS else ""
    counter = "Calls by endpoint and class of status code."
    assert families == [
        ("http_server_requests", "counter", "", counter),
        (
            "http_server_request_duration_seconds",
            "histogram",
            unit,
            "Durations of calls by endpoint.",
        ),
    ]
    assert text.endswith("\n")
    assert text.endswith("\n# EOF\n") is (form is Format.OPEN_METRICS)


@pytest.mark.parametrize("form", Format)
def test_no_endpoints_are_a_valid_text(form: Format) -> None:
    assert samples([], form) == []


def test_an_endpoint_without_calls_has_all_of_its_series() -> None:
    found = samples([endpoint()])
    assert len(found) == len(samples([endpoint(usage=called([5_000, 10**9]))])) == 4 + 15 + 2
    assert {one.value for one in found} == {0.0}


def test_calls_of_all_classes_are_told_apart() -> None:
    usage = Usage(calls=100, redirects=20, errors_4xx=7, errors_5xx=3)
    by_class = {
        one.labels["http_response_status_code"]: one.value
        for one in samples([endpoint(usage=usage)])
        if one.name == "http_server_requests_total"
    }
    assert by_class == {"2xx": 70, "3xx": 20, "4xx": 7, "5xx": 3}


def test_an_accepted_websocket_was_answered_with_101() -> None:
    socket = endpoint(method="WEBSOCKET", kind="websocket", usage=Usage(calls=3, errors_4xx=1))
    by_class = {
        one.labels["http_response_status_code"]: one.value
        for one in samples([socket])
        if one.name == "http_server_requests_total"
    }
    assert by_class == {"1xx": 2, "3xx": 0, "4xx": 1, "5xx": 0}


@given(st.lists(st.integers(0, 10**10), max_size=20))
def test_every_duration_is_below_the_boundaries_above_it(durations_us: list[int]) -> None:
    found = buckets(called(durations_us))
    for boundary in BOUNDARIES:
        us = boundary * 1_000_000
        least = sum(one < us * (1 - RELATIVE_ERROR) for one in durations_us)
        most = sum(one <= us * (1 + RELATIVE_ERROR) for one in durations_us)
        assert least <= found[str(boundary)] <= most
    assert found["+Inf"] == len(durations_us)


@given(st.lists(st.integers(0, 10**10), max_size=20), st.integers(0, 30))
def test_no_bucket_holds_more_than_the_next_one_or_all_calls(
    durations_us: list[int], calls: int
) -> None:
    usage = called(durations_us)
    # As after a change by hand: another number of calls than of durations.
    found = list(buckets(Usage(calls=calls, histogram=usage.histogram)).values())
    assert all(one <= other for one, other in pairwise(found))
    assert found[-1] == calls


def test_the_sum_is_in_seconds() -> None:
    (total,) = (
        one.value
        for one in samples([endpoint(usage=called([1_500_000, 1]))])
        if one.name.endswith("_sum")
    )
    assert total == 1.500001
