"""The first days: what to call, and what will appear when."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from fastapi_lens.admin.display import formats
from tests.admin.conftest import Site
from tests.support.pages import addresses, link, links, page_text, part, tables
from tests.support.past import Past

MakeSite = Callable[..., Site]
DAY = 86_400


def overview(site: Site, query: str = "") -> str:
    text: str = site.get(f"/lens/{query}").text
    return text


def observed(site: Site, days: int) -> None:
    """The recording began so many days ago."""
    Past(site.lens.database, "site", now=site.lens.clock()).observe(days)


def day(site: Site, days: float) -> str:
    """The day that is so many days away from today."""
    return formats.day(site.lens.clock() + days * DAY)


def test_before_the_first_call_there_is_a_command_and_nothing_that_is_empty(site: Site) -> None:
    text = overview(site)
    assert part(text, "lens-curl") == "curl http://testserver/health"
    assert "The 3 endpoints of this application are known from its routes." in page_text(text)
    assert tables(text) == {}
    assert "No server errors" not in text
    assert "Nothing beyond what is usual" not in text
    answer = site.client.get("/health")
    assert answer.status_code == 200
    assert site.lens.flusher.flush()
    text = overview(site)
    assert "The first days" in page_text(text)
    assert part(text, "lens-curl") is None
    assert "Comparing with the eight weeks before" in page_text(text)


def test_the_way_to_the_verdicts_leads_to_those_of_the_same_part(site: Site) -> None:
    assert "/lens/cleanup?prefix=%2Fusers" in addresses(overview(site, "?prefix=/users"))


def test_without_an_endpoint_that_a_command_can_call_one_is_named(make_site: MakeSite) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/things", lambda: None, methods=["PUT"])
    text = overview(make_site(app))
    assert "The 1 endpoint of this application is known" in page_text(text)
    assert part(text, "lens-call") == "Call PUT /things, with your client or a test."


def test_what_appears_when_has_the_numbers_of_the_settings(make_site: MakeSite) -> None:
    site = make_site(
        flush_interval=4, cold_threshold_days=3, dead_threshold_days=21, slow_threshold_ms=250
    )
    said = page_text(overview(site))
    assert "Appear within 5 seconds of a call. A p95 above 250 ms is slow." in said
    assert "Cold: no call for 3 days. Dead: none for 21 days." in said
    assert "Needs 7 full days." in said
    assert "after 100 observed days" in said
    # No day is known before anything was recorded.
    assert " from " not in (part(overview(site), "lens-steps") or "from")


def test_days_are_named_as_soon_as_the_recording_has_begun(site: Site) -> None:
    observed(site, 1)
    site.count("GET", "/health")
    said = page_text(overview(site, "?days=1"))
    assert f"Needs 7 full days. from {day(site, 7)}" in said
    assert f"100 calls in 1 day, and as many in the 1 day before. from {day(site, 1)}" in said
    assert "Appear within 3601 seconds of a call. A p95 above 500 ms is slow. here" in said


def test_the_first_day_of_a_verdict_is_that_of_the_cleanup_page(site: Site) -> None:
    observed(site, 1)
    named = re.search(
        r"probably unused before (\d+ \w+ \d+)", page_text(site.get("/lens/cleanup").text)
    )
    assert named is not None
    assert f"depending on how often. Cleanup from {named[1]}" in page_text(overview(site))


def test_where_all_endpoints_are_in_use_the_first_day_is_that_of_a_new_one(
    make_site: MakeSite,
) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/only", lambda: None)
    site = make_site(app)
    observed(site, 1)
    site.count("GET", "/only")
    assert f"Cleanup from {day(site, 100)}" in page_text(overview(site))


def test_a_period_without_an_end_is_compared_with_none(site: Site) -> None:
    assert "100 calls in each of two periods; choose a period." in overview(site, "?days=all")


def test_two_short_periods_are_soon_over(site: Site) -> None:
    observed(site, 2)
    site.count("GET", "/health")
    assert "and as many in the 1 day before. here" in page_text(overview(site, "?days=1"))


def test_callers_are_there_where_they_are_recorded(make_site: MakeSite) -> None:
    site = make_site(callers="agent")
    assert "Appear with their calls." in overview(site)
    assert "/lens/callers" in [one.href for one in links(overview(site))]


def test_callers_can_be_turned_on(site: Site) -> None:
    assert link(overview(site), "Turn on").href == "/lens/settings#callers"


@pytest.mark.parametrize(("days", "is_shown"), [(7, True), (8, False)])
def test_the_first_days_are_over_when_changes_can_be_found(
    site: Site, days: int, *, is_shown: bool
) -> None:
    observed(site, days)
    site.count("GET", "/health")
    assert ("The first days" in overview(site)) is is_shown


def test_without_any_call_for_weeks_only_the_first_call_is_left_to_make(site: Site) -> None:
    observed(site, 30)
    text = overview(site)
    assert part(text, "lens-curl") == "curl http://testserver/health"
    assert "What appears when" not in text
