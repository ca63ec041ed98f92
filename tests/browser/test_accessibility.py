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


def test_axe_finds_nothing_to_complain_about(
    shop: Server, page: Page, session_cookie: Any, context_options: dict[str, Any]
) -> None:
    # The markup of light and dark is the same; their colours are not.
    rules = RULES_OF_COLOUR if context_options["color_scheme"] == "dark" else ()

    def judge(what: str) -> None:
        found.extend(f"{what}: {line}" for line in axe_violations(page, rules=rules))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{what}: is wider than the screen")

    found: list[str] = []
    page.goto(f"{shop.url}/lens/login")
    judge("login")
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/?method=GET&tag=orders")
    judge("endpoints, filtered")
    page.goto(f"{shop.url}/lens/?page=2")
    judge("endpoints, second page")
    page.locator("#lens-rows a").first.click()
    page.locator("summary").first.click()
    expect(page.get_by_role("columnheader", name="5xx")).to_be_visible()
    judge("endpoint")
    page.goto(f"{shop.url}/lens/?q=none-of-them")
    judge("no match")
    page.evaluate("document.querySelector('#lens-help-open').click()")
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
    assert found == []


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
