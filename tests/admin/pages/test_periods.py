"""The choice of the period, which several pages share."""

import re
from typing import Any

import pytest

from fastapi_lens.admin.remembered_period import COOKIE, PART_COOKIE
from tests.admin.conftest import Site
from tests.support.pages import field, figures, link, links, page_text

NOON = 1_797_508_800.0
"""12:00 UTC, 17 Dec 2026."""

DAY, HOUR = 86_400.0, 3_600.0
PAGES = (
    "/lens/",
    "/lens/endpoints",
    "/lens/endpoints/{key}",
    "/lens/requests",
    "/lens/exceptions",
)


@pytest.fixture
def past(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with a call on each of the last days; it is noon."""
    for days in (0.01, 1.5, 3, 10):
        site.count_at(NOON - days * DAY, "GET", "/health")
    monkeypatch.setattr(site.lens, "clock", lambda: NOON)
    return site


def addresses_of(site: Site) -> list[str]:
    """The address of each page with a period."""
    health = next(
        one for one in site.lens.reader.evidence(NOON).endpoints if one.endpoint.path == "/health"
    )
    return [page.replace("{key}", health.endpoint.key) for page in PAGES]


def chosen(page: str) -> list[str]:
    """The labels of the chosen period."""
    names = {"1h", "24h", "7d", "30d", "90d", "All"}
    return [one.name for one in links(page) if one.current and one.name in names]


def test_every_page_offers_the_same_periods_and_the_way_to_earlier_ones(past: Site) -> None:
    for address in addresses_of(past):
        page = past.get(f"{address}?days=1").text
        assert chosen(page) == ["24h"]
        assert link(page, "30d").href == f"{address}?days=30"
        before = f"{address}?days=1&from=2026-12-15T12:00Z&to=2026-12-16T12:00Z"
        assert link(page, "Earlier").href == before
        assert "Later" not in [one.name for one in links(page)]
        earlier = past.get(before).text
        assert chosen(earlier) == []
        assert "15 Dec 2026 12:00 – 16 Dec 2026 12:00 UTC" in page_text(earlier)
        assert link(earlier, "Later").href == f"{address}?days=1"
        assert link(earlier, "Back to the last 24 hours").href == f"{address}?days=1"
        everything = [one.name for one in links(past.get(f"{address}?days=all").text)]
        assert ("Earlier" in everything, "Later" in everything) == (False, False)


def test_the_numbers_are_of_a_part_of_time(past: Site) -> None:
    part = "from=2026-12-14T00:00Z&to=2026-12-16T12:00Z"
    overview, _, endpoint, *_ = addresses_of(past)
    for address in (overview, endpoint):
        assert figures(past.get(f"{address}?{part}").text)["Calls"].split()[0] == "2"
    exported = past.get(f"/lens/endpoints.json?q=health&{part}").json()
    assert exported["endpoints"][0]["total_calls"] == 2
    assert exported["view"].endswith(f"days=7&{part}")


def pick(site: Site, address: str, start: str, end: str) -> Any:
    """Send the form of the picker, as it is on a page."""
    page = site.get(address).text
    shown = field(page, "shown").value
    sent = {"shown": shown, "start": start, "end": end}
    site.forget_period()
    return site.client.get(address.partition("?")[0], params=sent)


def test_the_picker_leads_to_the_part_of_time_that_was_typed(past: Site) -> None:
    for address in addresses_of(past):
        picked = pick(past, f"{address}?days=30", "2026-12-14T10:00", "2026-12-14T11:30")
        part = "from=2026-12-14T10:00Z&to=2026-12-14T11:30Z"
        assert (picked.status_code, picked.headers["location"]) == (
            303,
            f"{address}?days=30&{part}",
        )
        page = past.get(picked.headers["location"]).text
        assert field(page, "start").value == "2026-12-14T10:00"
        assert field(page, "end").value == "2026-12-14T11:30"


def test_the_picker_keeps_the_rest_of_the_view(past: Site) -> None:
    address = "/lens/endpoints?q=a+b&method=GET&method=POST&sort=path&page=2"
    picked = pick(past, address, "2026-12-14T10:00", "2026-12-14T11:30")
    part = "from=2026-12-14T10:00Z&to=2026-12-14T11:30Z"
    kept = f"/lens/endpoints?q=a+b&method=GET&method=POST&days=7&{part}&sort=path"
    assert past.fragment(picked.headers["location"]).headers["hx-push-url"] == kept


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("", "2026-12-14T11:30", "Enter a start like 2026-04-03 14:00."),
        ("2026-12-14T11:30", "noon", "Enter an end like 2026-04-03 14:00."),
        ("2026-12-14T11:30", "2026-12-14T11:30", "The end must be later than the start."),
        ("2026-12-18T11:30", "2026-12-19T11:30", "The start lies in the future."),
        ("1966-12-18T11:30", "2026-12-14T11:30", "Times lie between 1970 and 2099."),
        ("<b>", "2026-12-14T11:30", "Enter a start like 2026-04-03 14:00."),
    ],
)
def test_what_cannot_be_a_period_stays_in_the_picker_with_the_reason(
    past: Site, start: str, end: str, sentence: str
) -> None:
    for address in addresses_of(past):
        picked = pick(past, f"{address}?days=1", start, end)
        assert picked.status_code == 303
        page = past.get(picked.headers["location"]).text
        assert sentence in page_text(page)
        assert "12:00 UTC – now" in page_text(page)
        assert "<b>" not in field(page, "start").value
        assert re.search(r'<details id="lens-d-period" open>', page)
        assert field(page, "end").value == end
        # Another choice ends it.
        assert link(page, "7d").href == f"{address}?days=7"


def test_a_period_is_remembered_for_addresses_without_one(past: Site) -> None:
    for address in addresses_of(past):
        past.forget_period()
        assert past.client.get(f"{address}?days=30").status_code == 200
        for other in addresses_of(past):
            led = past.client.get(other)
            assert (led.status_code, led.headers["location"]) == (303, f"{other}?days=30")
        led = past.client.get("/lens/endpoints?q=x&sort=path")
        assert led.headers["location"] == "/lens/endpoints?q=x&sort=path&days=30"


def test_an_address_with_a_period_shows_the_same_to_everybody(past: Site) -> None:
    for address in addresses_of(past):
        shared = link(past.get(address).text, "7d").href
        past.client.get(f"{address}?days=30")
        page = past.client.get(shared)
        assert page.status_code == 200
        assert chosen(page.text) == ["7d"]


def test_a_part_of_time_is_remembered_for_an_hour_and_its_window_for_a_year(past: Site) -> None:
    part = "from=2026-12-14T10:00Z&to=2026-12-14T11:30Z"
    answer = past.get(f"/lens/endpoints?days=30&{part}")
    cookies = {one.partition("=")[0]: one for one in answer.headers.get_list("set-cookie")}
    assert set(cookies) == {COOKIE, PART_COOKIE}
    for cookie in cookies.values():
        assert "path=/lens" in cookie.lower()
        assert "samesite=lax" in cookie.lower()
    assert "max-age=31536000" in cookies[COOKIE].lower()
    assert "max-age=3600" in cookies[PART_COOKIE].lower()
    led = past.client.get("/lens/requests")
    assert led.headers["location"] == f"/lens/requests?days=30&{part}"
    # The window alone forgets the part.
    assert past.client.get("/lens/requests?days=30").status_code == 200
    assert past.client.get("/lens/endpoints").headers["location"] == "/lens/endpoints?days=30"


def test_what_is_no_page_and_what_asks_by_itself_is_not_remembered(past: Site) -> None:
    past.get("/lens/endpoints?days=7")
    assert past.client.get("/lens/endpoints/00?days=30").status_code == 404
    live = {"HX-Request-Type": "partial", "HX-Source": "div#lens-live"}
    assert past.client.get("/lens/endpoints?days=30", headers=live).status_code == 200
    assert past.client.get("/lens/endpoints").status_code == 200


@pytest.mark.parametrize("value", ["", "x", "30; Path=/", "99"])
def test_a_remembered_period_that_makes_no_sense_is_the_default(past: Site, value: str) -> None:
    cookie = f"{COOKIE}={value}; {PART_COOKIE}=2030-01-01T00:00Z~2030-01-02T00:00Z"
    if value.startswith("30"):
        led = past.get("/lens/endpoints", Cookie=cookie)
        assert led.headers["location"] == "/lens/endpoints?days=30"
    else:
        assert chosen(past.get("/lens/endpoints", Cookie=cookie).text) == ["7d"]
