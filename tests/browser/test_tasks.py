"""The tasks of four kinds of users, each with the number of clicks that it may take.

Everybody begins on the overview. The browser itself counts the clicks.
"""

import re
import shlex
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.browser.shop import CALLERS, UNLUCKY
from tests.browser.steps import call, tick_until

COUNT = """addEventListener("click", ({ isTrusted }) => {
  if (isTrusted) sessionStorage.clicks = clicks() + 1;
}, true);
const clicks = () => Number(sessionStorage.clicks ?? 0);"""

StartShop = Callable[..., Server]


def begin(page: Page, shop: Server) -> None:
    """Sign in, open the overview, and count clicks from now on."""
    page.add_init_script(COUNT)
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/")
    expect(page.locator(".changed")).not_to_contain_text("Comparing")


def clicks(page: Page) -> int:
    """The clicks so far, in this tab."""
    return page.evaluate("Number(sessionStorage.clicks ?? 0)")


def section(page: Page, name: str) -> Locator:
    """A part of the overview, by its heading."""
    return page.get_by_role("region", name=name, exact=True)


def test_a_tech_lead_has_the_list_for_a_pull_request_after_two_clicks(
    start_shop: StartShop, page: Page
) -> None:
    begin(page, start_shop())
    unused = section(page, "Unused")
    expect(unused).to_contain_text("GET /legacy")
    unused.get_by_role("link", name=re.compile("Review")).click()
    row = page.locator("#lens-rows tr").filter(has_text="/legacy")
    expect(row).to_contain_text("Wait until")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=re.compile("Copy as Markdown")).first.click()
    expect(page.get_by_text("Copied as Markdown.")).to_be_visible()
    assert "`GET /legacy`" in page.evaluate("navigator.clipboard.readText()")
    assert clicks(page) == 2


def test_on_call_a_traceback_is_two_clicks_away(start_shop: StartShop, page: Page) -> None:
    shop = start_shop(LENS_LOG_SAMPLE_RATE="1.0")
    begin(page, shop)
    # The server closes the connection after an exception.
    for _ in range(3):
        call(shop, f"/orders/{UNLUCKY}")
    raised = section(page, "Exceptions")
    tick_until(page, lambda: "LookupError" in raised.inner_text())
    raised.get_by_role("link", name=re.compile("LookupError")).click()
    expect(page.locator("#lens-traceback")).to_contain_text("raise LookupError")
    assert clicks(page) <= 2


def test_an_api_owner_sees_who_calls_a_deprecated_endpoint_after_two_clicks(
    start_shop: StartShop, page: Page
) -> None:
    begin(page, start_shop())
    section(page, "What changed").get_by_role(
        "link", name="DELETE /orders/{order_id}"
    ).first.click()
    callers = page.get_by_role("region", name=re.compile("Callers"))
    expect(callers).to_contain_text(CALLERS[0])
    assert clicks(page) <= 2


@pytest.mark.parametrize("path", ["/lens/", "/lens/endpoints"])
def test_a_newcomer_runs_the_command_of_the_page_and_sees_the_call(
    start_shop: StartShop, page: Page, path: str
) -> None:
    shop = start_shop(history=False)
    page.add_init_script(COUNT)
    page.context.add_cookies([sign_in(shop)])
    page.goto(shop.url + path)
    command = page.locator("#lens-curl").inner_text()
    subprocess.run([*shlex.split(command), "--silent", "--fail"], check=True, capture_output=True)
    tick_until(page, lambda: page.locator("#lens-curl").count() == 0)
    assert clicks(page) == 0
