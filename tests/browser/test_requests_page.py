"""The request log in a browser: live, by keyboard, on a phone, and without scripts."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until
from tests.browser.conftest import sign_in
from tests.browser.steps import follow
from tests.support.axe import axe_violations

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def crashing(start_shop: Callable[..., Server]) -> Server:
    """A server with six requests in its log, three of which have crashed."""
    server = start_shop(history=False, app="tests.browser.crashing:app", LENS_APP_NAME="crashing")
    ask(server, *range(6))
    return server


def ask(server: Server, *orders: int) -> None:
    """Ask for orders, and wait until the log has them."""
    cookie = sign_in(server)
    cookies = {cookie["name"]: cookie["value"]}
    for order in orders:
        # A connection each: uvicorn closes that of a request that has crashed.
        httpx.get(f"{server.url}/orders/{order}?secret=1")

    def logged() -> bool:
        text = httpx.get(f"{server.url}/lens/requests.csv", cookies=cookies).text
        return all(f"/orders/{order}," in text for order in orders)

    wait_until(logged, what="the requests in the log")


def test_the_log_is_read_while_it_grows(crashing: Server, page: Page) -> None:
    page.context.add_cookies([sign_in(crashing)])
    page.goto(f"{crashing.url}/lens/requests")
    rows = page.locator("#lens-rows tr")
    expect(rows).to_have_count(6)
    assert axe_violations(page) == []

    ask(crashing, 8)
    page.evaluate("htmx.trigger(document.body, 'lens:tick')")
    pill = page.get_by_role("link", name="1 new", exact=True)
    expect(pill).to_be_visible()
    expect(rows).to_have_count(6)
    pill.click()
    expect(rows).to_have_count(7)
    expect(pill).to_have_count(0)

    page.get_by_label("Status").select_option("5xx")
    expect(page).to_have_url(f"{crashing.url}/lens/requests?status=5xx&days=7")
    expect(rows).to_have_count(3)
    page.locator("body").press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("/orders/5?secret")
    expect(page.locator("#lens-traceback")).to_contain_text("raise LookupError")
    assert axe_violations(page) == []
    page.get_by_role("link", name="LookupError").click()
    expect(page.get_by_text("no order <b>5</b>").first).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_label("Status")).to_have_value("5xx")


class TestOnAPhone:
    @pytest.fixture
    def context_options(self) -> dict[str, Any]:
        return {"viewport": PHONE, "color_scheme": "dark"}

    def test_the_pages_fit_and_axe_finds_nothing(self, crashing: Server, page: Page) -> None:
        page.context.add_cookies([sign_in(crashing)])
        found: list[str] = []

        def judge() -> None:
            found.extend(axe_violations(page))
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{page.url} is wider than the screen")

        page.goto(f"{crashing.url}/lens/requests?status=5xx")
        judge()
        follow(page.locator("#lens-rows a").first)
        judge()
        page.locator(".facts a").first.click()
        expect(page.get_by_role("heading", name="Recent requests")).to_be_visible()
        judge()
        page.goto(f"{crashing.url}/lens/exceptions")
        judge()
        follow(page.locator("#lens-rows a").first)
        judge()
        assert found == []


def test_the_log_needs_no_script(crashing: Server, scripts_off: Page) -> None:
    page = scripts_off
    page.context.add_cookies([sign_in(crashing)])
    page.goto(f"{crashing.url}/lens/requests")
    page.get_by_label("Status").select_option("5xx")
    page.get_by_role("searchbox").fill("orders")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"q=orders&status=5xx"))
    expect(page.locator("#lens-rows tr")).to_have_count(3)
    page.locator("#lens-rows a").first.click()
    expect(page.locator("#lens-traceback")).to_contain_text("raise LookupError")
    page.get_by_role("link", name="GET /orders/{order_id}").click()
    page.get_by_role("link", name="Show all exceptions").click()
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    page.get_by_role("link", name="Requests", exact=True).last.click()
    expect(page.locator("#lens-rows tr")).to_have_count(6)
