"""The settings in a browser: previews as one types, toasts, and all of it without scripts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.conftest import sign_in
from tests.browser.steps import follow, is_still_here, mark
from tests.support.axe import axe_violations
from tests.support.browser import PageWatch

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def own_shop(start_shop: Callable[..., Server]) -> Server:
    """A shop whose settings may be changed."""
    return start_shop()


def test_rules_and_values_are_changed_without_leaving_the_page(
    own_shop: Server, page: Page, page_watch: PageWatch
) -> None:
    page.context.add_cookies([sign_in(own_shop)])
    page.goto(f"{own_shop.url}/lens/settings")
    mark(page)
    preview = page.locator("#lens-rules-preview")
    page.get_by_label("Path").press_sequentially("/orders/**")
    expect(preview).to_contain_text("Hides 4 of ")
    expect(preview.get_by_role("listitem")).to_have_count(4)
    expect(page.locator("#lens-announce")).to_contain_text("Hides 4 of ")
    page.locator("#rules").get_by_role("checkbox", name="GET").check()
    expect(preview.get_by_role("listitem")).to_have_count(2)
    assert axe_violations(page) == []

    page.get_by_role("button", name="Add rule").click()
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Saved. Hides 2 of")
    expect(page.get_by_label("Path")).to_have_value("")
    page.get_by_role("button", name="Pause /orders/**").click()
    expect(page.get_by_role("button", name="Resume /orders/**")).to_be_focused()
    expect(page.locator("#audit tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Edit /orders/**").click()
    expect(page.get_by_role("heading", name="Change /orders/**")).to_be_visible()
    page.get_by_role("button", name="Delete /orders/**").click()
    expect(page.locator("table.rules")).to_have_count(0)

    page.get_by_role("textbox", name="Cold after … days without a call").fill("0.01")
    expect(page.locator("#lens-thresholds-preview")).to_contain_text("Active → Cold")
    page.get_by_role("textbox", name="Cold after … days without a call").press("Enter")
    back = page.get_by_role("button", name="Cold after … days without a call: reset to default")
    expect(back).to_be_visible()
    page.get_by_role("textbox", name="Slow if p95 exceeds").fill("77")
    back.click()
    expect(back).to_have_count(0)
    expect(page.get_by_role("textbox", name="Cold after … days without a call")).to_have_value("7")
    expect(page.get_by_role("textbox", name="Slow if p95 exceeds")).to_have_value("77")

    page_watch.expect("422")
    page.get_by_role("textbox", name="Slow if p95 exceeds").fill("fast")
    page.locator("#lens-thresholds-save").click()
    # Named beside its field; the line for screen readers may say it as well.
    wrong = page.locator("#lens-slow_threshold_ms-error")
    expect(wrong).to_contain_text("Enter a number greater than 0")
    expect(page.get_by_role("textbox", name="Slow if p95 exceeds")).to_have_value("fast")
    assert axe_violations(page) == []
    assert is_still_here(page)


def test_what_is_wrong_stands_at_its_field_while_one_types_and_has_the_focus_afterwards(
    own_shop: Server, page: Page, page_watch: PageWatch
) -> None:
    page.context.add_cookies([sign_in(own_shop)])
    page.goto(f"{own_shop.url}/lens/settings")
    path, wrong = page.get_by_label("Path"), page.locator("#lens-pattern-error")
    sentence = "The pattern must start with a slash, like /internal/**."
    path.press_sequentially("orders")
    expect(wrong).to_have_text(sentence)
    expect(path).to_have_attribute("aria-invalid", "true")
    expect(path).to_be_focused()
    expect(page.locator("#lens-announce")).to_have_text(sentence)
    assert axe_violations(page) == []
    page_watch.expect("422")
    page.get_by_role("button", name="Add rule").click()
    expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
    expect(path).to_be_focused()
    expect(path).to_have_value("orders")
    assert axe_violations(page) == []
    path.fill("/orders/**")
    expect(page.locator("#lens-rules-preview")).to_contain_text("Hides 4 of ")
    expect(wrong).to_be_empty()
    expect(path).not_to_have_attribute("aria-invalid", "true")


class TestOnAPhoneInTheDark:
    @pytest.fixture
    def context_options(self) -> dict[str, Any]:
        return {"viewport": PHONE, "color_scheme": "dark"}

    def test_the_pages_fit_and_axe_finds_nothing(self, own_shop: Server, page: Page) -> None:
        page.context.add_cookies([sign_in(own_shop)])
        found: list[str] = []

        def judge() -> None:
            found.extend(f"{page.url}: {line}" for line in axe_violations(page))
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{page.url} is wider than the screen")

        page.goto(f"{own_shop.url}/lens/settings/rules/preview?pattern=/legacy&method.GET=on")
        page.get_by_role("button", name="Add rule").click()
        page.get_by_role("textbox", name="Keep counts for at most").fill("1")
        page.locator("#lens-retention-save").click()
        expect(
            page.get_by_role("button", name="Keep counts for at most: reset to default")
        ).to_be_visible()
        judge()
        page.goto(f"{own_shop.url}/lens/endpoints?ignored=1&q=legacy")
        expect(page.locator("#lens-rows em").filter(has_text="ignored")).to_be_visible()
        judge()
        page.locator("#lens-rows a").first.click()
        expect(page.get_by_text("Ignored by the rule")).to_be_visible()
        judge()
        follow(page.get_by_role("link", name="Delete its history …"))
        judge()
        page.get_by_label("Type GET /legacy to confirm").fill("GET /legacy")
        page.get_by_role("button", name="Delete permanently").click()
        expect(page.get_by_text("History deleted.")).to_be_visible()
        page.get_by_role("link", name="Audit log").click()
        expect(page.get_by_text("deleted history of")).to_be_visible()
        judge()
        assert found == []


def test_everything_can_be_changed_without_scripts(own_shop: Server, scripts_off: Page) -> None:
    page = scripts_off
    page.context.add_cookies([sign_in(own_shop)])
    page.goto(f"{own_shop.url}/lens/settings")
    page.get_by_label("Path").fill("/orders/*")
    page.locator("#rules").get_by_role("button", name="Preview").click()
    expect(page.locator("#lens-rules-preview li")).to_have_count(2)
    expect(page.get_by_label("Path")).to_have_value("/orders/*")
    page.get_by_role("button", name="Add rule").click()
    expect(page).to_have_url(re.compile(r"/lens/settings\?saved=rules#rules$"))
    expect(page.get_by_text("Saved. Applies to all workers within")).to_be_visible()

    page.get_by_role("textbox", name="Dead after … days without a call").fill("5")
    page.get_by_role("textbox", name="Dead after … days without a call").press("Enter")
    expect(page.get_by_text("Enter more than 7 days")).to_be_visible()
    page.get_by_role("textbox", name="Cold after … days without a call").fill("4")
    page.locator("#lens-thresholds-save").click()
    page.get_by_role("button", name="Dead after … days without a call: reset to default").click()
    expect(page.get_by_role("textbox", name="Dead after … days without a call")).to_have_value("30")
    expect(page.get_by_role("textbox", name="Cold after … days without a call")).to_have_value("4")

    page.get_by_role("link", name="2 endpoints ignored").click()
    expect(page.locator("#lens-rows em").filter(has_text="ignored")).to_have_count(2)
    page.get_by_label("Show 2 ignored").uncheck()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#lens-rows em").filter(has_text="ignored")).to_have_count(0)
