"""Every number of a page is of its period, or says of which other one it is."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.rows import caller
from fastapi_lens.admin.urls.period import moment_text
from fastapi_lens.storage.writing.drain import drain_all
from tests.admin.conftest import Site
from tests.support.pages import figures, page_text, table, tables

MakeSite = Callable[..., Site]
DAY, HOUR = 86_400.0, 3_600.0

PARTS = ("days=1", "days=7", "days=30", "days=all", "days=7&from={start}&to={end}")
CALLS = (3, 5, 9, 17, 2)
"""Calls of the endpoint in each of these periods."""


@pytest.fixture
def shop(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Calls at several ages: 2 logged crashes two days ago, 3 calls today, 4 and 8 long ago."""
    app = FastAPI(openapi_url=None)

    @app.get("/only")
    def only() -> None:
        raise LookupError

    site = make_site(app, log_sample_rate=1.0)
    client = TestClient(app, raise_server_exceptions=False)
    for _ in range(2):
        client.get("/only")
    assert site.lens.flusher.flush(ending=True)
    now = site.lens.clock() + 2 * DAY
    for age, calls in ((HOUR, 3), (10 * DAY, 4), (60 * DAY, 8)):
        site.count_at(now - age, "GET", "/only", calls)
    drain_all(site.lens.database)
    monkeypatch.setattr(site.lens, "clock", lambda: now)
    return site


def questions(site: Site) -> list[str]:
    """The query of each period; the last one is the hours of the logged requests."""
    logged = int(site.lens.clock() - 2 * DAY) // 3_600 * 3_600
    part = {"start": moment_text(logged - 3_600), "end": moment_text(logged + 7_200)}
    return [one.format(**part) for one in PARTS]


def of_table(page: str) -> int:
    """The calls in the table of the numbers of a chart."""
    return sum(int(row["Calls"]) for row in table(page, "As a table, per").rows)


def test_the_overview_is_of_its_period(shop: Site) -> None:
    for question, calls in zip(questions(shop), CALLS, strict=True):
        page = shop.get(f"/lens/?{question}").text
        assert figures(page)["Calls"].split()[0] == str(calls), question
        assert of_table(page) == calls
        shown = [
            row["Calls"]
            for one in tables(page).values()
            if "p95" in one.columns
            for row in one.rows
        ]
        assert shown == [str(calls)]


def test_the_list_is_of_its_period(shop: Site) -> None:
    for question, calls in zip(questions(shop), CALLS, strict=True):
        page = shop.get(f"/lens/endpoints?{question}").text
        assert table(page, "Endpoints")["GET /only"]["Calls"] == str(calls), question
        assert figures(page)["Calls"].split()[0] == str(calls)
        exported = shop.get(f"/lens/endpoints.json?q=only&{question}").json()
        assert [one["total_calls"] for one in exported["endpoints"]] == [calls]


def test_an_endpoint_is_of_its_period_and_names_the_others(shop: Site) -> None:
    (only,) = shop.lens.reader.evidence(shop.lens.clock()).endpoints
    base = f"/lens/endpoints/{only.endpoint.key}"
    for question, calls in zip(questions(shop), CALLS, strict=True):
        page = shop.get(f"{base}?{question}").text
        shown, text = figures(page), page_text(page)
        assert shown["Calls"].split()[0] == str(calls), question
        assert of_table(page) == calls
        assert shown["All-time calls"] == "17"
        # Days of codes, and the hours of the week, are whole ones.
        assert re.search(r"Whole days \(UTC\): \d+ \w+ \d{4}", text)
        assert re.search(r"Average calls per hour, \d+ \w+ \d{4}", text)
        logged = table(page, "Logged requests").rows if "Show all requests" in text else ()
        assert len(logged) == (0 if question == "days=1" else 2)
        raised = "Show all exceptions" in text
        assert raised is (question != "days=1")


def test_the_requests_and_exceptions_are_those_of_the_period(shop: Site) -> None:
    for question in questions(shop):
        expected = 0 if question == "days=1" else 2
        page = shop.get(f"/lens/requests?{question}").text
        assert "/only" in page or not expected
        document: Any = shop.get(f"/lens/requests.json?{question}").json()
        assert len(document["requests"]) == expected
        text = page_text(page)
        assert ("No requests logged in the last 24 hours" in text) is (expected == 0)
        raised = shop.get(f"/lens/exceptions?{question}").text
        assert ("LookupError" in raised) is (expected == 2)


def test_an_export_of_requests_without_a_period_has_all_that_is_kept(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = shop.lens.clock() + 30 * DAY
    monkeypatch.setattr(shop.lens, "clock", lambda: later)
    assert len(shop.get("/lens/requests.json").json()["requests"]) == 2


def test_pages_of_callers_and_the_cleanup_say_since_when_they_count(shop: Site) -> None:
    web = caller("web", app="site")
    shop.count_at(shop.lens.clock() - 20 * DAY, "GET", "/only", 6, by=web)
    shop.get("/lens/endpoints?days=1")
    everybody = page_text(shop.get("/lens/callers").text)
    assert "Calls count since the caller was first seen." in everybody
    somebody = page_text(shop.get(f"/lens/callers/{web.id:016x}").text)
    assert "All numbers are since the caller was first seen." in somebody
    assert "57 weeks" in page_text(shop.get("/lens/cleanup").text)
