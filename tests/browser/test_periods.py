"""The period, the zone of times, the keys, and the way back, as somebody uses them."""

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from fastapi_lens.admin.display.times import IN_UTC, Times
from tests.browser.steps import is_still_here, mark
from tests.support.axe import axe_violations

PHONE = {"width": 390, "height": 844}

NOON = time.time() // 86_400 * 86_400 - 43_200
"""Noon of yesterday in UTC; hours are kept of it."""


def at(hour: float, zone: Times = IN_UTC) -> str:
    """A time of yesterday as a field has it."""
    return zone.field(NOON + (hour - 12) * 3_600)


def part(start: float, end: float) -> str:
    """The parameters of a part of yesterday."""
    return f"from={at(start)}Z&to={at(end)}Z"


def words(start: float, end: float, zone: Times = IN_UTC) -> str:
    """A part of yesterday as the page names it."""
    return zone.between(NOON + (start - 12) * 3_600, NOON + (end - 12) * 3_600)


def pick(page: Page, start: str, end: str) -> None:
    """Send the picker."""
    page.locator("#lens-start").fill(start)
    page.locator("#lens-end").fill(end)
    page.get_by_role("button", name="Show", exact=True).click()


def test_a_period_is_picked_and_left_again(shop: Server, signed_in: Page) -> None:
    page = signed_in
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")
    page.get_by_label("GET").check()
    page.locator("#lens-d-period summary").click()
    pick(page, at(15), at(14))
    expect(page.get_by_role("alert")).to_have_text("The end must be later than the start.")
    expect(page.locator("#lens-start")).to_have_value(at(15))
    assert axe_violations(page) == []
    pick(page, at(13), at(14))
    picked = f"days=7&{part(13, 14)}"
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?method=GET&{picked}")
    expect(page.locator("#lens-period")).to_have_text(words(13, 14))
    expect(page.locator("#lens-d-period")).not_to_have_attribute("open", "")
    assert axe_violations(page) == []
    # The bar leads to the same period.
    page.get_by_role("link", name="Requests", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/requests?{picked}")
    page.get_by_role("link", name="Back to the last 7 days").click()
    expect(page).to_have_url(f"{shop.url}/lens/requests?days=7")


def test_the_picker_needs_no_script(shop: Server, scripts_off: Page, session_cookie: Any) -> None:
    page = scripts_off
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/endpoints?days=30&sort=path")
    page.locator("#lens-d-period summary").click()
    pick(page, at(13), at(14))
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?sort=path&days=30&{part(13, 14)}")
    page.get_by_role("link", name="Earlier").click()
    expect(page.locator("#lens-period")).to_have_text(words(12, 13))


def test_keys_choose_periods_and_pages(shop: Server, signed_in: Page) -> None:
    page = signed_in
    mark(page)
    page.keyboard.press("2")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=1")
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"\?days=1&from=.*&to="))
    page.keyboard.press("[")
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=1")
    assert is_still_here(page)
    page.keyboard.press("6")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=all")
    for key, path in (("r", "/requests?days=all"), ("s", "/settings"), ("o", "/?days=all")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_url(f"{shop.url}/lens{path}")
    page.get_by_role("link", name="Endpoints", exact=True).click()
    search = page.get_by_role("searchbox")
    search.press_sequentially("g2[u")
    expect(search).to_have_value("g2[u")
    expect(page).to_have_url(re.compile("days=all"))


class TestInBerlin:
    @pytest.fixture
    def context_options(self) -> dict[str, Any]:
        return {"timezone_id": "Europe/Berlin", "viewport": PHONE}

    def test_times_are_local_after_a_click_and_stay_so(self, shop: Server, signed_in: Page) -> None:
        page = signed_in
        berlin = Times.of("Europe/Berlin")
        page.goto(f"{shop.url}/lens/endpoints?days=7&{part(13, 14)}")
        page.get_by_role("button", name="Times: UTC").click()
        expect(page.locator("#lens-period")).to_have_text(words(13, 14, berlin))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#lens-d-period summary").click()
        expect(page.locator("#lens-start")).to_have_value(at(13, berlin))
        pick(page, at(13, berlin), at(16, berlin))
        expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7&{part(13, 16)}")
        utc = page.locator("#lens-complete").get_attribute("datetime") or ""
        hour = page.locator("#lens-complete").inner_text()[:2]
        assert int(hour) in {(int(utc[11:13]) + ahead) % 24 for ahead in (1, 2)}
        page.get_by_role("button", name="Times: local").click()
        expect(page.locator("#lens-period")).to_have_text(words(13, 16))


def test_the_list_comes_back_as_it_was_left(shop: Server, signed_in: Page) -> None:
    page = signed_in
    address = f"{shop.url}/lens/endpoints?q=shelves&days=30&sort=path"
    page.goto(address)
    row = page.locator("#lens-rows a").nth(40)
    row.scroll_into_view_if_needed()
    name = row.inner_text()
    top = page.evaluate("scrollY")
    assert top > 0
    row.click()
    page.get_by_role("link", name="1h").click()
    expect(page).to_have_url(re.compile("days=1h"))
    page.keyboard.press("u")
    expect(page).to_have_url(address)
    assert page.evaluate("document.activeElement.innerText") == name
    assert page.evaluate("scrollY") == top

    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    expect(page).to_have_url(address)
    expect(page.locator("#lens-rows a").nth(40)).to_be_focused()
    assert page.evaluate("scrollY") == top
