"""The page of one endpoint as somebody uses it."""

import re

from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.steps import call, is_still_here, mark, tick_until
from tests.support.axe import axe_violations
from tests.support.browser import PageWatch


def open_endpoint(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page).to_have_url(re.compile(r"/lens/endpoints/[0-9a-f]{16}\?days=7$"))


def test_an_endpoint_says_what_it_is_and_why(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/endpoints?q=legacy")
    open_endpoint(page, "GET /legacy")
    expect(page.get_by_role("heading", level=1)).to_have_text("GET /legacy")
    expect(page.get_by_text("no calls for 60 days; dead after 30 days")).to_be_visible()
    expect(page.get_by_text("Used two months ago.")).to_be_visible()
    expect(page.locator("#lens-source")).to_have_text(re.compile(r"shop\.py:\d+$"))
    page.get_by_role("link", name="All endpoints").click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=legacy&days=7")


def test_windows_are_links_that_back_undoes(shop: Server, signed_in: Page) -> None:
    page = signed_in
    open_endpoint(page, "POST /orders")
    address = page.url
    expect(page.locator("#lens-k-503 td").first).to_have_text("24")
    page.get_by_role("link", name="1h").click()
    expect(page).to_have_url(address.replace("days=7", "days=1h"))
    page.go_back()
    expect(page).to_have_url(address)
    expect(page.get_by_role("link", name="7d")).to_have_attribute("aria-current", "true")


def test_open_tables_stay_open_while_the_page_updates(shop: Server, signed_in: Page) -> None:
    page = signed_in
    open_endpoint(page, "DELETE /orders/{order_id}")
    numbers = page.locator("#lens-d-numbers")
    numbers.locator("summary").click()
    expect(numbers.get_by_role("columnheader", name="4xx")).to_be_visible()
    figure = page.locator(".figures dd").first
    before = int(figure.inner_text())
    call(shop, "/orders/1", method="DELETE")
    tick_until(page, lambda: figure.inner_text() == str(before + 1))
    expect(numbers).to_have_attribute("open", "")
    expect(numbers.get_by_role("columnheader", name="4xx")).to_be_visible()


def test_an_unknown_endpoint_is_a_page_that_leads_back(
    shop: Server, signed_in: Page, page_watch: PageWatch
) -> None:
    page = signed_in
    page_watch.expect("404")
    answer = page.goto(f"{shop.url}/lens/endpoints/00000000000000ff")
    assert answer is not None
    assert answer.status == 404
    page.get_by_role("link", name="All endpoints").click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")


def test_a_source_is_copied(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_endpoint(page, "GET /orders")
    page.get_by_role("button", name="Copy source").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert re.search(r"shop\.py:\d+$", page.evaluate("navigator.clipboard.readText()"))
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("Copied.")).to_be_hidden()


def test_a_column_over_the_charts_narrows_the_window_and_back_leads_out(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    open_endpoint(page, "GET /orders")
    address = page.url
    mark(page)
    columns = page.locator(".hits a rect")
    # Not the last one: it may have begun a moment ago, without any call yet.
    column = columns.nth(columns.count() - 2)
    column.hover()
    expect(page.locator("#lens-step")).to_have_text(re.compile(r"\d+ .* · Calls [1-9]\d* · 2xx"))
    column.click()
    expect(page).to_have_url(re.compile(r"\?days=7&from=\d{4}-.*Z&to=.*Z$"))
    assert is_still_here(page)
    expect(page.locator("#lens-period")).to_contain_text("UTC")
    # The same links are in the table, for the keyboard.
    page.get_by_text("As a table, per").first.click()
    links = page.locator("#lens-d-numbers th a")
    if links.count():
        links.first.focus()
        page.keyboard.press("Enter")
    assert axe_violations(page) == []
    page.get_by_role("link", name="Back to the last 7 days").click()
    expect(page).to_have_url(address)
    assert is_still_here(page)
