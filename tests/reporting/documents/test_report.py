import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.reporting.documents.report import DeadReport, EndpointStats, Report, TopReport
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.settings.status import Status, Thresholds, classify
from fastapi_lens.storage.schema.identities import endpoint_id

pytestmark = pytest.mark.unit

NOW = 1_775_243_992.65774
DAY = 86_400


def usage(*durations_ms: float, redirects: int = 0, bad: int = 0, broken: int = 0) -> Usage:
    microseconds = [round(duration * 1_000) for duration in durations_ms]
    return Usage(
        calls=len(microseconds),
        redirects=redirects,
        errors_4xx=bad,
        errors_5xx=broken,
        duration_us=sum(microseconds),
        max_us=max(microseconds, default=0),
        histogram=Histogram.from_counts(Counter(bucket_index(us * 1_000) for us in microseconds)),
    )


def endpoint(
    path: str,
    used: Usage = Usage(),  # noqa: B008  Immutable.
    *,
    method: str = "GET",
    last: float | None = None,
    first: float | None = None,
) -> Endpoint:
    return Endpoint(
        id=endpoint_id("orders", method, path),
        method=method,
        path=path,
        kind="http",
        name="app.handler",
        source="app.py:1",
        summary="",
        tags=(),
        deprecated=False,
        first_seen_at=NOW - 100 * DAY,
        first_called_at=last if first is None else first,
        last_called_at=last,
        total_calls=9_999,
        status=classify(last, now=NOW, thresholds=Thresholds(7, 30)),
        usage=used,
    )


def as_json(report: BaseModel) -> Any:
    return json.loads(report.model_dump_json())


CALLED = endpoint(
    "/items",
    usage(100.004, 200.004, 300.014, redirects=1, bad=1),
    last=NOW - 1.5 * DAY,
    first=1_775_165_996.83268,
)
COLD = endpoint("/cold", usage(5), last=NOW - 8 * DAY)
DEAD = endpoint("/dead", last=NOW - 31 * DAY)
UNUSED = endpoint("/unused", method="WEBSOCKET")
ALL = [UNUSED, DEAD, COLD, CALLED]


def test_a_report_is_what_its_contract_says_to_the_letter() -> None:
    report = Report.of([UNUSED, CALLED], days=None, status=None, now=NOW)
    expected: dict[str, Any] = {
        "generated_at": 1_775_243_992.65774,
        "filters": {"days": None, "status": None},
        "summary": {
            "total_endpoints": 2,
            "total_requests": 3,
            "active": 1,
            "cold": 0,
            "dead": 0,
            "never_called": 1,
        },
        "endpoints": [
            {
                "path": "/items",
                "method": "GET",
                "status": "active",
                "total_calls": 3,
                "error_4xx_count": 1,
                "error_5xx_count": 0,
                "error_rate_pct": 33.33,
                "success_rate_pct": 66.67,
                "avg_duration_ms": 200.01,
                "p50_duration_ms": pytest.approx(200, rel=0.0138),
                "p95_duration_ms": 300.01,
                "p99_duration_ms": 300.01,
                "max_duration_ms": 300.01,
                "last_called_at": NOW - 1.5 * DAY,
                "first_called_at": 1_775_165_996.83268,
                "days_since_last_call": 1.5,
                "open_connections": 0,
                "oldest_open_since": None,
                "verdict": None,
                "safe_from": None,
            },
            {
                "path": "/unused",
                "method": "WEBSOCKET",
                "status": "never_called",
                "total_calls": 0,
                "error_4xx_count": 0,
                "error_5xx_count": 0,
                "error_rate_pct": 0.0,
                "success_rate_pct": 100.0,
                "avg_duration_ms": 0.0,
                "p50_duration_ms": 0.0,
                "p95_duration_ms": 0.0,
                "p99_duration_ms": 0.0,
                "max_duration_ms": 0.0,
                "last_called_at": None,
                "first_called_at": None,
                "days_since_last_call": None,
                "open_connections": 0,
                "oldest_open_since": None,
                "verdict": None,
                "safe_from": None,
            },
        ],
    }
    found = as_json(report)
    assert found == expected
    # In the same order, too.
    assert list(found) == list(expected)
    assert list(found["summary"]) == list(expected["summary"])
    assert list(found["endpoints"][0]) == list(expected["endpoints"][0])


def test_integers_are_whole_and_the_others_floats() -> None:
    text = Report.of(ALL, days=7, status=None, now=NOW).model_dump_json()
    for stats in json.loads(text)["endpoints"]:
        for name, value in stats.items():
            whole = name in (
                "total_calls",
                "error_4xx_count",
                "error_5xx_count",
                "open_connections",
            )
            texts = ("path", "method", "status", "verdict", "safe_from")
            text_or_null = name in texts or value is None
            assert text_or_null or type(value) is (int if whole else float)


def test_the_summary_counts_what_the_endpoints_list() -> None:
    found = as_json(Report.of(ALL, days=30, status=None, now=NOW))
    assert found["filters"] == {"days": 30, "status": None}
    assert found["summary"] == {
        "total_endpoints": 4,
        "total_requests": 4,
        "active": 1,
        "cold": 1,
        "dead": 1,
        "never_called": 1,
    }


@pytest.mark.parametrize("status", list(Status))
def test_a_report_of_one_status_has_its_endpoints_alone(status: Status) -> None:
    found = as_json(Report.of(ALL, days=None, status=status, now=NOW))
    assert found["filters"] == {"days": None, "status": status.value}
    assert [each["status"] for each in found["endpoints"]] == [status.value]
    assert found["summary"]["total_endpoints"] == 1
    assert {name: found["summary"][name] for name in [each.value for each in Status]} == {
        each.value: int(each is status) for each in Status
    }
    assert found["summary"]["total_requests"] == found["endpoints"][0]["total_calls"]


def test_the_most_called_come_first_then_by_path_then_by_method() -> None:
    endpoints = [
        endpoint("/b", usage(1, 1)),
        endpoint("/a", method="POST"),
        endpoint("/a", method="GET"),
        endpoint("/c", usage(1, 1, 1)),
        endpoint("/a", usage(1, 1), method="PUT"),
    ]
    found = as_json(Report.of(endpoints, days=None, status=None, now=NOW))["endpoints"]
    assert [(each["method"], each["path"]) for each in found] == [
        ("GET", "/c"),
        ("PUT", "/a"),
        ("GET", "/b"),
        ("GET", "/a"),
        ("POST", "/a"),
    ]


def test_a_report_of_no_endpoints_is_empty() -> None:
    found = as_json(Report.of([], days=None, status=None, now=NOW))
    assert found["endpoints"] == []
    assert set(found["summary"].values()) == {0}


def test_nothing_caps_the_number_of_endpoints() -> None:
    endpoints = [endpoint(f"/{number}") for number in range(1_200)]
    found = Report.of(endpoints, days=None, status=None, now=NOW)
    assert len(found.endpoints) == found.summary.total_endpoints == 1_200


def test_the_top_report_has_the_most_called_of_the_called_ones() -> None:
    assert as_json(TopReport.of(ALL, days=7, limit=10, now=NOW)) == {
        "generated_at": NOW,
        "window_days": 7,
        "endpoints": [as_json(EndpointStats.of(each, now=NOW)) for each in (CALLED, COLD)],
    }
    limited = TopReport.of(ALL, days=None, limit=1, now=NOW)
    assert [each.path for each in limited.endpoints] == ["/items"]
    assert limited.window_days is None


def test_the_dead_report_has_the_dead_and_the_never_called() -> None:
    assert as_json(DeadReport.of(ALL, now=NOW)) == {
        "generated_at": NOW,
        "dead_endpoint_count": 2,
        "endpoints": [as_json(EndpointStats.of(each, now=NOW)) for each in (DEAD, UNUSED)],
    }


def test_a_last_call_that_lies_ahead_was_no_days_ago() -> None:
    assert EndpointStats.of(endpoint("/", last=NOW + 3_600), now=NOW).days_since_last_call == 0.0


@given(st.integers(1, 10**9), st.data())
def test_the_two_rates_add_up_to_a_hundred(calls: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, calls))
    broken = data.draw(st.integers(0, calls - bad))
    used = Usage(calls=calls, errors_4xx=bad, errors_5xx=broken)
    found = EndpointStats.of(endpoint("/", used), now=NOW)
    assert found.error_rate_pct == pytest.approx(100 * (bad + broken) / calls, abs=0.0051)
    assert round(found.error_rate_pct + found.success_rate_pct, 2) == 100
    assert round(found.success_rate_pct, 2) == found.success_rate_pct


def test_usages_add_up() -> None:
    one, two = usage(1, 3, redirects=1, bad=1), usage(10, broken=1)
    assert Usage.total([one, two]) == usage(1, 3, 10, redirects=1, bad=1, broken=1)
    assert Usage.total([one, two]).error_share == pytest.approx(2 / 3)
    assert Usage.total([]) == Usage()
    assert Usage().percentiles_ms == (0.0, 0.0, 0.0)


def test_the_key_of_an_endpoint_is_its_id_in_sixteen_digits() -> None:
    assert CALLED.key == f"{endpoint_id('orders', 'GET', '/items'):016x}"
    assert len(CALLED.key) == 16
