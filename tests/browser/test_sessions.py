"""Sessions in a real browser: beside other apps, other sites and logins of others."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from benchmarks.support.servers import Server
from tests.browser import behind_sso
from tests.browser.shop import KEY

ROOT = Path(__file__).parents[2]
MALLORYS = "key-of-mallory"
KEYS = json.dumps({"mallory": {"key": MALLORYS, "scope": "read"}})


@pytest.fixture
def anywhere(browser_context: BrowserContext) -> Page:
    """A page that also visits sites with errors of their own."""
    return browser_context.new_page()


def named(server: Server, host: str) -> str:
    """The address of a server under another name of this machine."""
    return f"http://{host}:{server.port}"


def sign_in(page: Page, site: str, key: str = KEY) -> None:
    page.goto(f"{site}/lens/")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site}/lens/?days=7")


def who(page: Page, site: str) -> str:
    """User name that a site has for the browser; empty for nobody."""
    page.goto(f"{site}/lens/")
    return page.locator("button.who").inner_text() if "/login" not in page.url else ""


def test_two_apps_on_one_host_keep_their_sessions(
    start_shop: Callable[..., Server], page: Page
) -> None:
    orders, billing = (
        named(start_shop(history=False, LENS_APP_NAME=name), "localhost")
        for name in ("orders", "billing")
    )
    sign_in(page, orders)
    sign_in(page, billing)
    assert who(page, orders)
    assert who(page, billing)
    page.locator("button.who").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.wait_for_url("**/login*")
    assert who(page, orders)
    assert not who(page, billing)


def test_a_cookie_of_a_sibling_site_signs_nobody_in_as_somebody_else(
    start_shop: Callable[..., Server], anywhere: Page
) -> None:
    page, server = anywhere, start_shop(history=False, LENS_REPORT_KEYS=KEYS)
    www, evil = named(server, "www.shop.localhost"), named(server, "evil.shop.localhost")
    with httpx.Client(base_url=server.url) as client:
        client.post("/lens/login", data={"key": MALLORYS}, headers={"Origin": server.url})
        ((name, value),) = client.cookies.items()
    sign_in(page, www)
    mine = who(page, www)
    assert "mallory" not in mine
    for junk in (value, "forged"):
        page.goto(f"{evil}/nothing")
        page.evaluate(
            "cookie => { document.cookie = cookie + ';domain=shop.localhost;path=/' }",
            f"{name}={junk}",
        )
        assert who(page, www) == mine
    page.get_by_role("link", name="Settings").click()
    assert page.get_by_role("button", name="Save").count() > 0


def test_another_site_neither_locks_its_visitor_out_nor_signs_them_in_as_somebody_else(
    start_shop: Callable[..., Server], run_server: Callable[..., Server], anywhere: Page
) -> None:
    page, server = anywhere, start_shop(history=False, LENS_REPORT_KEYS=KEYS)
    other = run_server("tests.browser.kittens:app", args=["--app-dir", str(ROOT)])
    shop = named(server, "localhost")
    evil = f"{other.url}/?target={quote(f'{shop}/lens/?report_key=', safe='')}"
    page.goto(evil, wait_until="networkidle")
    page.get_by_role("link", name="kittens").click()
    page.wait_for_url("**/lens/login*")
    sign_in(page, shop)
    mine = who(page, shop)
    page.goto(evil, wait_until="networkidle")
    page.get_by_role("link", name="kittens").click()
    page.wait_for_url(f"{shop}/lens/?days=7")
    assert page.locator("button.who").inner_text() == mine
    # Who types it, or has a bookmark, is signed in by it as before.
    page.goto(f"{shop}/lens/requests?report_key={MALLORYS}")
    assert page.url == f"{shop}/lens/requests?days=7"
    assert "mallory" in page.locator("button.who").inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_form_that_came_too_late_leads_to_the_single_sign_on(
    run_server: Callable[..., Server], anywhere: Page, scripts_off: Page, *, scripts: bool
) -> None:
    args = ["--app-dir", str(ROOT), "--log-level", "warning"]
    server = run_server("tests.browser.behind_sso:app", args=args)
    site, there = named(server, "localhost"), anywhere if scripts else scripts_off
    session = {"name": behind_sso.SESSION, "value": "1", "url": site}
    there.context.add_cookies([session])  # type: ignore[list-item]
    there.goto(f"{site}/lens/settings")
    field = there.locator("input[name=cold_threshold_days]")
    field.fill("5")
    there.context.clear_cookies()
    field.press("Enter")
    there.wait_for_url("**/sso")
    assert urlsplit(there.url).hostname == "127.0.0.1"
    assert there.title() == "Single sign-on"
    # With its session the form is saved, with and without scripts.
    there.context.add_cookies([session])  # type: ignore[list-item]
    there.goto(f"{site}/lens/settings")
    field.fill("5")
    field.press("Enter")
    there.get_by_text("Saved.").first.wait_for()
    there.goto(f"{site}/lens/settings")
    assert field.input_value() == "5"
