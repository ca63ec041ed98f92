"""The callers on the page of an endpoint: who, how complete, and the burn-down by week."""

from collections.abc import Callable

from fastapi_lens.admin.pages.endpoint.callers import MOST_ROWS
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.writing.callers import MOST_CALLERS
from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import (
    BILLING,
    NOBODY,
    WEB,
    called,
    key_of,
    named,
    page_of,
)
from tests.support.pages import addresses, page_text, part, table, tables

__all__ = ["called"]
DAY = 86_400
MakeSite = Callable[..., Site]


def page(site: Site, path: str) -> str:
    text: str = site.get(f"/lens/endpoints/{key_of(site, path)}").text
    return text


def section(site: Site, path: str) -> str:
    return part(page(site, path), "callers") or ""


def test_the_page_of_an_endpoint_lists_its_callers(called: Site) -> None:
    text = page(called, "/users/{user_id}")
    found = table(text, "Callers of this endpoint")
    assert found.names == ["web", "billing-service", "key …a3f9"]
    billing = found["billing-service"]
    assert (billing["Calls"], billing["Days"], billing["Longest gap"]) == ("30", "3", "31 days")
    assert billing["Refused"] == billing["Failed"] == "0%"
    assert billing.links[0].href == page_of(BILLING)
    assert any(one.startswith("Calls in 3 of ") for one in billing.titles)
    said = page_text(text)
    assert "All numbers here are since each caller was first seen, not only in" in said
    assert "The bars are weekly." in said
    assert "/lens/callers" in addresses(text)


def test_noise_is_marked_as_such(called: Site) -> None:
    text = page(called, "/health")
    (row,) = table(text, "Callers of this endpoint").rows
    assert row["Caller"] == "kube-probe health check or bot"
    assert "1 health check or bot, whose calls do not count as use." in page_text(text)


def test_a_whole_ledger_says_since_when_every_call_has_a_caller(called: Site) -> None:
    assert "Every call since " in section(called, "/users")
    assert "has a caller." in section(called, "/users")


def test_calls_without_a_name_are_said_to_hide_callers(make_site: MakeSite) -> None:
    site = make_site(callers="key")
    site.count_at(site.lens.clock() - DAY, "GET", "/health", by=NOBODY)
    said = section(site, "/health")
    assert "behind which there may be several callers." in said
    assert "no name" in said


def test_a_program_that_many_use_is_said_to_hide_callers(make_site: MakeSite) -> None:
    site = make_site(callers="agent")
    curl = named("curl", CallerKind.AGENT)
    site.count_at(site.lens.clock() - DAY, "GET", "/health", by=curl)
    site.count_at(site.lens.clock() - DAY, "POST", "/users", by=named("Till", CallerKind.AGENT))
    assert "behind which there may be several callers." in section(site, "/health")
    assert "has a caller." in section(site, "/users")


def test_an_endpoint_without_callers_says_why(make_site: MakeSite) -> None:
    site = make_site()
    text = page(site, "/health")
    assert "Callers are not recorded." in (part(text, "callers") or "")
    assert "/lens/settings#callers" in addresses(text)
    assert "Callers of this endpoint" not in text
    site = make_site(callers="key", app_name="another")
    site.client.get("/health")
    assert "No call has been attributed to a caller yet." in section(site, "/users")


def test_more_callers_than_the_limit_are_counted_together(make_site: MakeSite) -> None:
    site = make_site(callers="key")
    now = site.lens.clock()
    many = [named(f"caller {number:03}") for number in range(MOST_CALLERS + 1)]
    site.count_by(now - 3_600, "GET", "/health", many)
    text = page(site, "/health")
    assert "200 or more callers since " in page_text(text)
    found = table(text, "Callers of this endpoint")
    assert len(found.rows) == MOST_ROWS
    assert f"{MOST_CALLERS + 1 - MOST_ROWS} more callers" in page_text(text)
    assert "at most 20 callers" in page_text(text)


def test_a_deprecated_endpoint_has_a_burn_down_by_week_and_caller(make_site: MakeSite) -> None:
    site = make_site(callers="key")
    now = site.lens.clock()
    for week, calls in ((5, 9), (4, 6), (1, 2)):
        site.count_at(now - week * 7 * DAY, "POST", "/users", calls, by=BILLING)
    site.count_at(now - 5 * 7 * DAY, "POST", "/users", 4, by=WEB)
    text = page(site, "/users")
    found = table(text, "As a table, per week")
    assert found.columns == ("Week from (UTC)", "Calls", "billing-service", "web")
    assert found.column("Calls") == ["0", "2", "0", "0", "6", "13"]
    assert found.column("web") == ["0", "0", "0", "0", "0", "4"]
    assert "Calls per week by caller, 21 in all" in text
    assert "As a table, per week" not in tables(page(site, "/health"))


def test_further_callers_share_a_colour_in_the_burn_down(make_site: MakeSite) -> None:
    site = make_site(callers="key")
    now = site.lens.clock()
    for number in range(7):
        site.count_at(now - 60, "POST", "/users", 10 - number, by=named(f"caller {number}"))
    found = table(page(site, "/users"), "As a table, per week")
    assert found.columns[2:] == (*(f"caller {number}" for number in range(5)), "others")
    assert found.column("others")[0] == "9"


def test_a_deprecated_endpoint_without_callers_has_no_burn_down(make_site: MakeSite) -> None:
    site = make_site(callers="key")
    site.count_at(site.lens.clock() - 60, "POST", "/users")
    assert "Calls per week and caller" not in page(site, "/users")
