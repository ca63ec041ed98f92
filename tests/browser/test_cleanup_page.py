"""The cleanup page in a browser: choosing rows, copying them, keys, and without a script."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.support.axe import axe_violations


@pytest.fixture
def cleanup(shop: Server, signed_in: Page) -> Page:
    """The page, opened with the right to use the clipboard."""
    signed_in.context.grant_permissions(["clipboard-read", "clipboard-write"])
    signed_in.goto(f"{shop.url}/lens/cleanup?sort=path")
    return signed_in


def test_chosen_rows_are_counted_and_copied_as_markdown(cleanup: Page) -> None:
    expect(cleanup.get_by_text("None chosen")).to_be_visible()
    boxes = cleanup.locator("#lens-rows input[name=e]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(cleanup.locator("#lens-chosen")).to_have_text("2 chosen")
    cleanup.get_by_role("button", name="Copy as Markdown").click()
    expect(cleanup.get_by_text("Copied as Markdown.")).to_be_visible()
    copied = cleanup.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("## Endpoints of shop")
    assert copied.count("- [ ] ") == 2


def test_all_rows_of_the_page_are_chosen_at_once(cleanup: Page) -> None:
    everything = cleanup.get_by_label("All on this page")
    everything.check()
    expect(cleanup.locator("#lens-chosen")).to_have_text("50 chosen")
    cleanup.locator("#lens-rows input[name=e]").first.uncheck()
    expect(cleanup.locator("#lens-chosen")).to_have_text("49 chosen")
    assert everything.evaluate("(box) => box.indeterminate")


def test_the_keyboard_walks_through_rows_and_chooses_them(cleanup: Page) -> None:
    for key in ("j", "j", "x"):
        cleanup.keyboard.press(key)
    expect(cleanup.locator("#lens-rows tr").nth(1).get_by_role("checkbox")).to_be_checked()
    expect(cleanup.locator("#lens-chosen")).to_have_text("1 chosen")


def test_a_choice_stays_while_the_list_is_filtered(cleanup: Page) -> None:
    cleanup.locator("#lens-rows input[name=e]").first.check()
    name = cleanup.locator("#lens-rows a span").first.inner_text()
    cleanup.locator("#lens-q").fill(name)
    expect(cleanup).to_have_url(re.compile("[?&]q="))
    expect(cleanup.locator("#lens-chosen")).to_have_text("1 chosen")


def test_chosen_endpoints_are_kept_on_purpose(
    start_shop: Callable[..., Server], page: Page
) -> None:
    shop = start_shop()
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/cleanup?sort=path")
    page.locator("#lens-rows input[name=e]").first.check()
    page.get_by_role("button", name="Keep on purpose").click()
    page.get_by_label("Reason").fill("audits")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_text("Saved. Applies to all workers")).to_be_visible()
    page.get_by_role("link", name="Kept 1").click()
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    assert axe_violations(page) == []


def test_without_a_script_the_chosen_rows_are_shown_as_markdown(
    shop: Server, scripts_off: Page, session_cookie: Any
) -> None:
    scripts_off.context.add_cookies([session_cookie])
    scripts_off.goto(f"{shop.url}/lens/cleanup?sort=path")
    scripts_off.locator("#lens-rows input[name=e]").first.check()
    scripts_off.get_by_role("button", name="Copy as Markdown").click()
    expect(scripts_off.locator("body")).to_contain_text("## Endpoints of shop")
