"""Exceptions in a browser: the number of new ones, a period, and the way to the code."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.browser.steps import follow
from tests.browser.test_requests_page import ask
from tests.support.axe import axe_violations


def test_the_number_of_new_ones_leads_to_the_line_that_raised(
    start_shop: Callable[..., Server], page: Page
) -> None:
    server = start_shop(
        history=False,
        app="tests.browser.crashing:app",
        LENS_APP_NAME="crashing",
        LENS_SOURCE_LINK="http://127.0.0.1:9/{file}#L{line}",
    )
    page.context.add_cookies([sign_in(server)])
    page.goto(f"{server.url}/lens/exceptions")
    entry = page.get_by_role("navigation", name="Main").get_by_role("link", name="Exceptions")
    expect(entry).to_have_text("Exceptions")
    ask(server, *range(4))
    page.evaluate("htmx.trigger(document.body, 'lens:tick')")
    expect(entry).to_have_accessible_name(re.compile("Exceptions ?1 new in the last 24 hours"))
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    assert axe_violations(page) == []

    page.get_by_role("link", name="1h", exact=True).click()
    expect(page).to_have_url(f"{server.url}/lens/exceptions?days=1h")
    follow(page.locator("#lens-rows a").first)
    expect(page).to_have_url(re.compile(r"/exceptions/[0-9a-f]{16}\?days=1h"))
    expect(page.get_by_role("heading", name="Requests around the latest one")).to_be_visible()
    assert axe_violations(page) == []
    page.route("http://127.0.0.1:9/**", lambda route: route.fulfill(body="the code"))
    page.locator("#lens-traceback a").first.click()
    # The content security policy has no say in where a link leads.
    expect(page).to_have_url(re.compile(r"http://127\.0\.0\.1:9/tests/browser/crashing\.py#L\d+"))
    page.go_back()
    expect(page.locator("#lens-traceback")).to_be_visible()
