"""The main paths once more in a browser that runs no script: links and forms do it all."""

import re

from playwright.sync_api import Page, expect

from tests.browser.shop import KEY
from tests.support.servers import Server


def test_signing_in_filtering_sorting_and_signing_out_need_no_script(
    shop: Server, scripts_off: Page
) -> None:
    page = scripts_off
    page.goto(f"{shop.url}/lens/?days=30")
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{shop.url}/lens/?days=30")
    for name in ("Live", "Theme: auto", "Help and keyboard"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)

    page.get_by_label("POST").check()
    page.get_by_label("Tag").select_option("orders")
    page.get_by_role("searchbox").fill("order")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"q=order&method=POST&tag=orders&.*days=30"))
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    expect(page.get_by_label("POST")).to_be_checked()

    page.get_by_role("link", name="Clear filters").click()
    page.get_by_role("link", name="p95").click()
    expect(page).to_have_url(f"{shop.url}/lens/?days=30&sort=-p95")
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("p95"))
    page.get_by_role("link", name="Page 2").click()
    expect(page.locator("#lens-rows tr")).to_have_count(9)
    page.get_by_role("link", name="Cold 1").click()
    expect(page.locator("#lens-rows tr")).to_have_count(1)

    page.get_by_role("link", name="GET /export").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GET /export")
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("columnheader", name="2xx")).to_be_visible()
    page.get_by_role("button", name="You: report_key").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/login")
