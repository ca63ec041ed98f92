import re

import pytest

from fastapi_lens.admin.views.endpoint import calls_chart, latency_chart, status_reason
from fastapi_lens.reporting.model import Point, Series
from fastapi_lens.reporting.status import Status, Thresholds
from tests.admin.conftest import Site
from tests.admin.make import DAY, NOW, endpoint, usage


def key_of(site: Site, path: str) -> str:
    text = site.get("/lens/?q=" + path).text
    return text.split("/lens/endpoints/")[1][:16]


def plain(text: str) -> str:
    return " ".join(re.sub(r"<svg.*?</svg>|<[^>]*>", " ", text, flags=re.DOTALL).split())


def test_the_page_says_what_is_known_of_an_endpoint(site: Site) -> None:
    site.count("GET", "/users/{user_id}", 9)
    site.count("GET", "/users/{user_id}", 1, status=404, duration_ns=700_000_000)
    answer = site.get(f"/lens/endpoints/{key_of(site, 'user_id')}")
    text = plain(answer.text)
    assert "<title>GET /users/{user_id} · site</title>" in answer.text
    assert "Active : last called" in text
    assert "One user." in text
    assert "read_user" in text
    assert re.search(r"conftest\.py:\d+", text)
    assert "Errors 10.0% 0 × 5xx, 1 × 4xx" in text
    assert re.search(r"p95 [67]\d\d ms slow", text)
    assert "All-time calls 10" in text
    assert "200 9 90.0% 404 1 10.0%" in text


def test_an_endpoint_that_was_never_called_has_an_empty_page(site: Site) -> None:
    text = plain(site.get(f"/lens/endpoints/{key_of(site, 'users&method=POST')}").text)
    assert "deprecated" in text
    assert "never called since it was first seen" in text
    assert "First call never Last call never All-time calls 0" in text
    assert "No call in the last 7 days." in text
    assert "p95 – " in text


@pytest.mark.parametrize("key", ["00", "zz", "0" * 16, "-000000000000001", "x" * 300])
def test_an_unknown_endpoint_is_not_found(site: Site, key: str) -> None:
    page = site.get(f"/lens/endpoints/{key}")
    assert page.status_code == 404
    assert 'href="/lens/">All endpoints' in page.text
    toast = site.fragment(f"/lens/endpoints/{key}")
    assert toast.status_code == 404
    assert toast.text.startswith("<hx-partial")


def test_its_window_is_in_its_address(site: Site) -> None:
    key = key_of(site, "health")
    base = f"/lens/endpoints/{key}"
    assert f'href="{base}?days=1h"' in site.get(base).text
    answer = site.fragment(f"{base}?days=24h")
    assert answer.headers["hx-push-url"] == f"{base}?days=1"
    assert site.fragment(base, source="div#lens-live").headers["hx-push-url"] == "false"
    assert 'aria-current="true">24h' in answer.text


def test_it_is_not_sent_again_while_nothing_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = site.lens.clock() // 60 * 60 + 30
    monkeypatch.setattr(site.lens, "clock", lambda: now)
    address = f"/lens/endpoints/{key_of(site, 'health')}"
    tag = site.fragment(address).headers["etag"]
    assert site.fragment(address, **{"If-None-Match": tag}).status_code == 304
    site.count("GET", "/health")
    assert site.fragment(address, **{"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("status", "days_ago", "sentence"),
    [
        (Status.ACTIVE, 2, "last called 2 d ago; cold after 7 days without a call"),
        (Status.COLD, 9.5, "no call for 9 days; cold after 7 days, dead after 30 days"),
        (Status.DEAD, 33, "no call for 33 days; dead after 30 days"),
        (Status.NEVER_CALLED, 0, "never called since it was first seen 90 days ago"),
    ],
)
def test_a_status_is_given_with_its_reason(status: Status, days_ago: float, sentence: str) -> None:
    found = endpoint(status=status, last_called_at=NOW - days_ago * DAY)
    assert status_reason(found, thresholds=Thresholds(7, 30), now=NOW) == sentence


@pytest.fixture
def series() -> Series:
    used = [usage(100, redirects=10, errors_4xx=5, errors_5xx=1, ms=20), usage(), usage(40, ms=90)]
    return Series(3_600, tuple(Point(NOW + 3_600 * n, one) for n, one in enumerate(used)))


def test_the_chart_of_calls_has_the_same_numbers_as_its_table(series: Series) -> None:
    chart = calls_chart(series)
    assert chart.peak == "100"
    assert [row[1:] for row in chart.table] == [
        ("40", "40", "0", "0", "0"),
        ("0", "0", "0", "0", "0"),
        ("100", "84", "10", "5", "1"),
    ]
    assert "Calls per hour by status class, 140 in all" in chart.svg
    first = chart.table[-1][0]
    assert f"{first}: 100 calls, 84 2xx, 10 3xx, 5 4xx, 1 5xx" in chart.svg


def test_the_chart_of_latencies_leaves_out_what_nobody_measured(series: Series) -> None:
    chart = latency_chart(series)
    newest, empty, oldest = (row[1:] for row in chart.table)
    assert empty == ("–", "–", "–")
    assert [float(cell.removesuffix(" ms")) for cell in oldest] == pytest.approx([20] * 3, rel=0.02)
    assert [float(cell.removesuffix(" ms")) for cell in newest] == pytest.approx([90] * 3, rel=0.02)
    assert chart.peak == "100 ms"


def test_a_chart_of_no_calls_has_a_scale_all_the_same() -> None:
    nothing = Series(60, tuple(Point(NOW + 60 * n, usage()) for n in range(8)))
    assert calls_chart(nothing).peak == "1"
    assert latency_chart(nothing).peak == "1.0 ms"
    assert len(calls_chart(nothing).ticks) == 4


def test_a_duration_of_minutes_is_told_in_seconds(site: Site) -> None:
    site.count("GET", "/health", duration_ns=600 * 10**9)
    assert re.search(r">\d\d\d s<", site.get("/lens/?q=health").text)
