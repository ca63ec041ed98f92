"""The search for pages, lists and endpoints: by keyboard, by touch, and without scripts."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.browser.steps import is_still_here, mark, tick
from tests.support.browser import PageWatch

PHONE = {"width": 390, "height": 844}
BOX = "Page, list or endpoint"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Go to")


def results(page: Page) -> Locator:
    return dialog(page).get_by_role("listitem")


def test_the_keyboard_leads_from_anywhere_to_an_endpoint_and_back(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    row = page.locator("#lens-rows a").nth(3)
    row.focus()
    page.keyboard.press("Control+k")
    box = dialog(page).get_by_role("searchbox", name=BOX)
    expect(box).to_be_focused()
    expect(results(page)).to_have_count(12)
    page.keyboard.type("orders")
    expect(results(page)).to_have_count(4)
    # The page behind keeps its address and its filters.
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(results(page).nth(1).get_by_role("link")).to_be_focused()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    expect(results(page).nth(3).get_by_role("link")).to_be_focused()
    # A letter goes into the box, wherever the focus is.
    page.keyboard.type(" get")
    expect(box).to_have_value("orders get")
    expect(results(page)).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(row).to_be_focused()

    page.keyboard.press("Meta+k")
    expect(box).to_have_value("")
    page.keyboard.type("/shelves/07")
    # Enter waits for no answer: the server knows the first result.
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/lens/endpoints/[0-9a-f]{16}\?days=7$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("GET /shelves/07/{number}")
    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")
    expect(dialog(page)).to_be_hidden()


def test_it_opens_while_somebody_types_and_with_single_keys_off(signed_in: Page) -> None:
    page = signed_in
    page.keyboard.press("?")
    page.get_by_role("button", name="Single-key shortcuts").click()
    page.keyboard.press("Escape")
    search = page.locator("#lens-q")
    search.focus()
    page.keyboard.type("ord")
    expect(page).to_have_url(re.compile(r"q=ord\b"))
    page.keyboard.press("Control+k")
    expect(results(page)).to_have_count(12)
    # What was typed before stays.
    expect(search).to_have_value("ord")
    # Once more: still one dialog, with the box to type in.
    results(page).first.get_by_role("link").focus()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox", name=BOX)).to_be_focused()
    page.keyboard.type("x")
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(search).to_be_focused()


def test_a_live_update_behind_the_dialog_leaves_focus_and_results(signed_in: Page) -> None:
    page = signed_in
    page.locator("#lens-rows a").first.focus()
    page.keyboard.press("Control+k")
    page.keyboard.type("orders")
    expect(results(page)).to_have_count(4)
    page.keyboard.press("ArrowDown")
    with page.expect_response(re.compile(r"/lens/endpoints\?")):
        tick(page)
    expect(results(page).first.get_by_role("link")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#lens-rows a").first).to_be_focused()


def test_a_section_of_the_same_page_and_a_file_close_the_dialog(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/settings")
    mark(page)
    page.get_by_role("link", name="Go to", exact=True).click()
    page.keyboard.type("retention")
    results(page).filter(has_text="Settings: Retention").get_by_role("link").click()
    expect(dialog(page)).to_be_hidden()
    expect(page).to_have_url(f"{shop.url}/lens/settings#retention")
    page.keyboard.press("Control+k")
    page.keyboard.type("endpoints csv")
    expect(results(page)).to_have_count(1)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert re.fullmatch("endpoints.*csv", download.value.suggested_filename)
    expect(dialog(page)).to_be_hidden()
    assert is_still_here(page)


def test_a_late_answer_does_not_replace_a_later_one(signed_in: Page) -> None:
    page = signed_in
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/lens/go?q=shelves", hold)
    page.keyboard.press("Control+k")
    page.keyboard.type("shelves")
    with page.expect_request("**/lens/go?q=shelves"):
        pass
    page.get_by_role("searchbox", name=BOX).fill("legacy")
    expect(results(page)).to_have_text([re.compile("/legacy")])
    held[0].abort()
    expect(results(page)).to_have_text([re.compile("/legacy")])
    expect(dialog(page)).to_be_visible()


def test_an_error_closes_the_dialog_and_is_a_toast(
    start_shop: Callable[..., Server], page: Page, page_watch: PageWatch, tmp_path: Path
) -> None:
    page_watch.expect("503|ERR_CONNECTION_REFUSED|Failed to fetch")
    shop = start_shop()
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/endpoints")
    with closing(sqlite3.connect(tmp_path / "lens.db", timeout=10)) as database:
        database.execute("ALTER TABLE lens_bucket RENAME TO lost")
    page.keyboard.press("Control+k")
    page.keyboard.type("orders")
    expect(page.get_by_text("The lens cannot reach its database")).to_be_visible()
    expect(dialog(page)).to_be_hidden()
    shop.stop()
    page.keyboard.press("Control+k")
    expect(page.get_by_text("The server could not be reached.")).to_be_visible()
    expect(dialog(page)).to_be_hidden()


@pytest.mark.parametrize("context_options", [{"viewport": PHONE, "has_touch": True}])
def test_a_finger_opens_it_and_closes_it(shop: Server, signed_in: Page) -> None:
    page = signed_in
    control = page.get_by_role("link", name="Go to", exact=True)
    box = control.bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (44, 44)
    control.tap()
    expect(results(page)).to_have_count(12)
    for one in (dialog(page), results(page).first.get_by_role("link")):
        box = one.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["height"] >= 44
    dialog(page).get_by_role("button", name="Close").tap()
    expect(dialog(page)).to_be_hidden()
    control.tap()
    results(page).filter(has_text="Dead endpoints").get_by_role("link").tap()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?status=dead&days=7")


def test_without_scripts_it_is_a_page(shop: Server, scripts_off: Page, session_cookie: Any) -> None:
    page = scripts_off
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/")
    page.get_by_role("link", name="Go to", exact=True).click()
    page.get_by_label(BOX).fill("legacy")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(f"{shop.url}/lens/go?q=legacy")
    page.get_by_role("link", name="GET /legacy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("GET /legacy")


def test_on_its_own_page_the_keys_and_the_address_follow(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/go")
    box = page.get_by_role("searchbox", name=BOX)
    expect(box).to_be_focused()
    page.keyboard.type("legacy")
    expect(page).to_have_url(f"{shop.url}/lens/go?q=legacy")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="GET /legacy")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(box).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("GET /legacy")
    page.go_back()
    expect(page.get_by_role("link", name="GET /legacy")).to_be_visible()


def test_the_dialog_that_is_opened_right_after_the_page_has_its_results(
    shop: Server, signed_in: Page
) -> None:
    # On a busy machine, keys arrive before a timer without a delay.
    signed_in.add_init_script(
        "const later = setTimeout;"
        "window.setTimeout = (run, ms, ...rest) => later(run, ms ?? 5000, ...rest);"
    )
    signed_in.goto(f"{shop.url}/lens/endpoints")
    signed_in.keyboard.press("Control+k")
    expect(results(signed_in)).to_have_count(12, timeout=3_000)
