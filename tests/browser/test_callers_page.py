"""The pages of callers in a browser: filters, labels, forgetting, and without a script."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.browser.shop import SCRIPT


def names(page: Page) -> list[str]:
    """The callers of the list, from the top."""
    return page.locator("#lens-rows a > bdi").all_text_contents()


def test_callers_are_found_while_one_types(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/callers")
    assert SCRIPT in names(page)
    page.locator("#lens-q").fill("bill")
    expect(page).to_have_url(re.compile(r"/callers\?q=bill$"))
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    assert names(page) == ["billing-service"]
    page.get_by_role("link", name="Clear filters").click()
    page.get_by_role("link", name="Health checks and bots 1").click()
    expect(page.locator("#lens-rows")).to_contain_text("kube-probe")


def test_from_a_caller_to_what_it_uses_and_back(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/callers?q=billing")
    page.locator("#lens-rows a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("billing-service")
    page.get_by_role("link", name="In the list of endpoints").click()
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    chip = page.get_by_role("link", name="called by billing-service")
    expect(chip).to_be_visible()
    page.locator("#lens-m-DELETE").check(force=True)
    expect(page).to_have_url(re.compile("method=DELETE.*caller="))
    chip.click()
    expect(chip).to_be_hidden()
    expect(page).not_to_have_url(re.compile("caller="))


def test_a_burn_down_says_its_numbers_as_a_table(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/callers?q=billing")
    page.locator("#lens-rows a").click()
    page.locator("#lens-rows a").click()
    chart = page.locator(".burn-down")
    expect(chart.get_by_role("img", name="Calls per week by caller")).to_be_visible()
    chart.locator("summary").click()
    expect(chart.get_by_role("columnheader", name="billing-service")).to_be_visible()


def test_a_name_of_two_hundred_letters_fits_on_a_phone(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{shop.url}/lens/callers?q=xxxxx")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#lens-rows a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("x" * 200)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="In the list of endpoints").click()
    expect(page.locator("#lens-called-by")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_caller_is_labelled_and_forgotten_without_a_script(
    start_shop: Callable[..., Server], scripts_off: Page
) -> None:
    shop, page = start_shop(), scripts_off
    page.context.add_cookies([sign_in(shop)])
    page.goto(f"{shop.url}/lens/callers?q=billing")
    page.locator("#lens-rows a").click()
    page.get_by_label("Label").fill("Billing of 2026")
    page.get_by_role("button", name="Save label").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Billing of 2026")
    page.get_by_role("link", name="Forget this caller").click()
    page.get_by_role("button", name="Forget permanently").click()
    expect(page.get_by_text("The caller is forgotten.")).to_be_visible()
    expect(page.locator("#lens-rows")).not_to_contain_text("Billing of 2026")


@pytest.mark.parametrize("sort", ["name", "-calls"])
def test_a_live_update_keeps_the_list(
    shop: Server, signed_in: Page, sort: str, page_watch: Any
) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/callers?sort={sort}")
    before = names(page)
    page.locator("#lens-rows a").first.focus()
    page.evaluate("htmx.trigger(document.body, 'lens:tick')")
    page.wait_for_timeout(300)
    assert names(page) == before
