"""Empty, loading and error states of the pages."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.browser.shop import KEY
from tests.browser.steps import tick, tick_until
from tests.support.axe import axe_violations
from tests.support.browser import PageWatch

StartShop = Callable[..., Server]


def test_the_first_run_lists_all_endpoints_and_says_how_to_make_the_first_call(
    start_shop: StartShop, page: Page
) -> None:
    shop = start_shop(history=False)
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/endpoints")
    # The endpoints come with the first flush, and onto the page without a reload.
    tick_until(page, page.get_by_role("link", name="Never called 59").is_visible)
    expect(page.get_by_role("heading", name="No calls recorded yet")).to_be_visible()
    assert axe_violations(page) == []
    command = page.locator("#lens-curl").inner_text()
    assert command.startswith(f"curl {shop.url}/")
    httpx.get(command.removeprefix("curl "))
    tick_until(page, page.get_by_role("link", name="Active 1").is_visible)
    expect(page.get_by_role("heading", name="No calls recorded yet")).to_be_hidden()


def test_when_an_update_fails_the_rows_stay_and_the_page_says_since_when(
    start_shop: StartShop, page: Page, page_watch: PageWatch
) -> None:
    page_watch.expect("ERR_CONNECTION_REFUSED|Failed to fetch")
    shop = start_shop()
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/endpoints")
    shop.stop()
    tick(page)
    expect(page.locator("#lens-note")).to_have_text(
        re.compile(r"^Last updated \d\d:\d\d · retrying$")
    )
    expect(page.locator("#lens-rows tr")).to_have_count(50)
    page.get_by_label("Tag").select_option("orders")
    expect(page.get_by_text("The server could not be reached.")).to_be_visible()
    assert axe_violations(page) == []
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("The server could not be reached.")).to_be_hidden()


def test_a_database_that_cannot_be_read_is_a_page_or_a_toast_with_a_number(
    start_shop: StartShop, page: Page, page_watch: PageWatch, tmp_path: Path
) -> None:
    page_watch.expect("503")
    shop = start_shop()
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/endpoints")
    with closing(sqlite3.connect(tmp_path / "lens.db", timeout=10)) as database:
        database.execute("ALTER TABLE lens_bucket RENAME TO lost")

    page.get_by_label("Tag").select_option("orders")
    toast = page.locator(".toast.error")
    expect(toast).to_contain_text("The lens cannot reach its database")
    number = toast.locator("code").inner_text()
    assert number in shop.log
    expect(page.locator("#lens-rows tr")).to_have_count(50)
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")

    # A page that was shown within the last seconds may be given again; this one was not.
    response = page.goto(f"{shop.url}/lens/endpoints?tag=orders")
    assert response is not None
    assert response.status == HTTPStatus.SERVICE_UNAVAILABLE
    expect(page.get_by_role("heading", name="This page could not be shown")).to_be_visible()
    assert axe_violations(page) == []
    assert (
        page.get_by_role("link", name="Try again").get_attribute("href")
        == "/lens/endpoints?tag=orders"
    )


def test_a_session_that_ends_leads_from_a_live_page_to_the_login_and_back(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    endpoint = page.locator("#lens-rows a").first.get_attribute("href") or ""
    for address in (
        "/lens/endpoints?days=30&sort=-p95",
        endpoint,
        "/lens/requests?days=7",
        "/lens/exceptions?q=lookup&days=7",
        "/lens/settings",
    ):
        page.goto(shop.url + address)
        page.context.clear_cookies()
        tick(page)
        expect(page).to_have_url(re.compile(r"/lens/login\?next="))
        expect(page.get_by_role("heading", name="Sign in to shop")).to_be_visible()
        page.get_by_label("Key").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(shop.url + address)


def test_an_admin_without_its_middleware_says_which_line_to_add(
    page: Page, run_server: Callable[..., Any], tmp_path: Path, page_watch: PageWatch
) -> None:
    page_watch.expect("503")
    (tmp_path / "bare.py").write_text(
        "from fastapi import FastAPI\n"
        "from fastapi_lens import lens_admin\n"
        "app = FastAPI()\n"
        "app.include_router(lens_admin)\n",
        encoding="utf-8",
    )
    page.goto(f"{run_server('bare:app').url}/lens/")
    expect(page.get_by_text("app.add_middleware(LensMiddleware")).to_be_visible()
    assert axe_violations(page) == []
