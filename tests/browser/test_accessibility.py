"""Axe finds nothing on any page: in light, in dark, and on a phone."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.support.axe import RULES_OF_COLOUR, axe_violations

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
LOOKS = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}


@pytest.fixture(params=LOOKS)
def context_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return LOOKS[request.param]


class Judge:
    """Collects what axe finds.

    Attributes:
        found: One line for each violation.
    """

    def __init__(self, page: Page, context_options: dict[str, Any]) -> None:
        """Judge nothing yet."""
        # The markup of light and dark is the same; their colours are not.
        self._rules = RULES_OF_COLOUR if context_options["color_scheme"] == "dark" else ()
        self._page = page
        self.found: list[str] = []

    def __call__(self, what: str) -> None:
        """Judge the page as it is now."""
        violations = axe_violations(self._page, rules=self._rules)
        self.found.extend(f"{what}: {line}" for line in violations)
        if self._page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            self.found.append(f"{what}: is wider than the screen")


def test_axe_finds_nothing_to_complain_about(
    shop: Server, page: Page, session_cookie: Any, context_options: dict[str, Any]
) -> None:
    judge = Judge(page, context_options)
    page.goto(f"{shop.url}/lens/login")
    judge("login")
    page.context.add_cookies([session_cookie])
    for query in ("", "?days=all&tag=orders"):
        page.goto(f"{shop.url}/lens/{query}")
        expect(page.locator("section.changed[hx-get]")).to_have_count(0)
        page.get_by_text("What counts as a change").click()
        page.get_by_text("As a table, per").click()
        judge(f"overview {query}")
    page.goto(f"{shop.url}/lens/endpoints?method=GET&tag=orders")
    page.get_by_label("From and to").click()
    judge("endpoints, filtered, with the picker of the period")
    page.goto(f"{shop.url}/lens/endpoints?group=prefix&chart=1")
    judge("endpoints in groups, with their chart")
    page.goto(f"{shop.url}/lens/endpoints?page=2")
    judge("endpoints, second page")
    page.locator("#lens-rows a").first.click()
    page.get_by_text("As a table, per").first.click()
    expect(page.get_by_role("columnheader", name="5xx").first).to_be_visible()
    judge("endpoint")
    page.goto(f"{shop.url}/lens/endpoints?q=none-of-them")
    judge("no match")
    page.get_by_role("button", name="Help").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    judge("help")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="You: default key").click()
    expect(page.get_by_role("button", name="Log out everywhere")).to_be_visible()
    judge("who")
    page.goto(f"{shop.url}/lens/settings")
    judge("settings")
    page.goto(f"{shop.url}/lens/cleanup")
    judge("cleanup")
    for number in range(2):
        page.locator("#lens-rows input[name=e]").nth(number).check()
    page.get_by_role("button", name="Keep on purpose").click()
    expect(page.get_by_label("Reason")).to_be_visible()
    judge("keep on purpose")
    page.goto(f"{shop.url}/lens/cleanup?verdict=kept")
    judge("cleanup, empty tab")
    assert judge.found == []


def test_axe_finds_nothing_on_the_pages_of_callers(
    shop: Server, page: Page, session_cookie: Any, context_options: dict[str, Any]
) -> None:
    judge = Judge(page, context_options)
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/callers")
    judge("callers")
    page.goto(f"{shop.url}/lens/callers?noise=1")
    judge("health checks and bots")
    page.goto(f"{shop.url}/lens/callers?q=billing")
    page.locator("#lens-rows a").click()
    expect(page.get_by_label("Label")).to_be_visible()
    judge("caller")
    page.locator("#lens-rows a").click()
    page.locator(".burn-down summary").click()
    expect(page.get_by_role("columnheader", name="billing-service")).to_be_visible()
    judge("callers of an endpoint")
    page.go_back()
    page.get_by_role("link", name="Forget this caller").click()
    expect(page.get_by_role("button", name="Forget permanently")).to_be_visible()
    judge("forget a caller")
    page.goto(f"{shop.url}/lens/settings/danger/callers")
    judge("forget all callers")
    assert judge.found == []


def test_axe_finds_nothing_on_the_search_for_pages_and_endpoints(
    shop: Server, signed_in: Page, context_options: dict[str, Any]
) -> None:
    page, judge = signed_in, Judge(signed_in, context_options)
    page.keyboard.press("Control+k")
    results = page.get_by_role("dialog").get_by_role("listitem")
    expect(results).to_have_count(12)
    judge("the dialog")
    page.keyboard.type("order")
    expect(results.filter(has_text="DELETE")).to_be_visible()
    page.keyboard.press("ArrowDown")
    judge("the dialog with endpoints")
    page.keyboard.type("-nothing")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    judge("the dialog without a result")
    page.goto(f"{shop.url}/lens/go?q=e")
    judge("the page")
    assert judge.found == []


def test_controls_are_large_enough_to_hit(signed_in: Page) -> None:
    page = signed_in
    width = page.evaluate("innerWidth")
    least = 44 if width < 640 else 32
    sizes = page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)]
           .filter((element) => element.checkVisibility())
           .map((element) => [element.innerText, element.getBoundingClientRect().height])""",
        "header :is(a, button), .filters :is(a, select, .search input, .chips label), .tabs a",
    )
    assert len(sizes) > 10
    assert [size for size in sizes if size[1] < least] == []
