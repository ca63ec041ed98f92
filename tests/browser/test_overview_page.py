"""The overview: its parts arrive, can be narrowed, and lead on; also without JavaScript."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.shop import UNLUCKY
from tests.browser.steps import call, is_still_here, mark, tick, tick_until

BROKEN = r"""() => {
  const isBroken = (path) => {
    const walker = document.createTreeWalker(path, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    let before, node, around;
    while ((node = walker.nextNode())) {
      // A word ends with its element, as the exception does before its endpoint.
      if (node.parentElement !== around) before = undefined;
      around = node.parentElement;
      for (let at = 0; at < node.length; at++) {
        range.setStart(node, at);
        range.setEnd(node, at + 1);
        const now = { top: range.getBoundingClientRect().top, letter: node.data[at] };
        const inside = before && /\w/.test(before.letter) && /\w/.test(now.letter);
        if (inside && now.top > before.top + 4) return true;
        before = now;
      }
    }
    return false;
  };
  const paths = [...document.querySelectorAll(".short th a > span, .changed li span")];
  return paths.filter(isBroken).map((path) => path.textContent);
}"""
"""The paths that a line break divides inside a word."""


@pytest.fixture
def overview(shop: Server, signed_in: Page) -> Page:
    """The overview with its changes."""
    signed_in.goto(f"{shop.url}/lens/")
    expect(signed_in.locator("section.changed[hx-get]")).to_have_count(0)
    return signed_in


def test_what_changed_arrives_by_itself_and_for_each_window_anew(
    shop: Server, overview: Page
) -> None:
    page = overview
    assert "Comparing" not in page.locator(".changed").inner_text()
    mark(page)
    page.get_by_role("link", name="30d", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/?days=30")
    expect(page.locator("section.changed[hx-get]")).to_have_count(0)
    expect(page.locator(".changed")).not_to_contain_text("Comparing")
    assert is_still_here(page)
    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/?days=7")
    expect(page.locator(".changed")).not_to_contain_text("Comparing")


def test_a_tag_is_chosen_and_cleared(shop: Server, overview: Page) -> None:
    page = overview
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(f"{shop.url}/lens/?days=7&tag=orders")
    page.get_by_role("link", name="Clear filters").click()
    expect(page).to_have_url(f"{shop.url}/lens/?days=7")
    expect(page.get_by_label("Tag")).to_have_value("")


def test_figures_follow_calls_while_the_page_is_open(shop: Server, overview: Page) -> None:
    page = overview
    figure = page.locator(".figures dd").first

    def calls() -> int:
        return int(figure.inner_text().replace(",", ""))

    before = calls()
    call(shop, "/orders", 4)
    tick_until(page, lambda: calls() == before + 4)
    expect(page.locator(".changed")).not_to_contain_text("Comparing")


def test_a_step_of_the_charts_says_its_numbers_to_pointer_and_keyboard(overview: Page) -> None:
    step, columns = overview.get_by_role("slider", name="Step of the charts"), ".hits rect"
    latest = step.inner_text()
    assert re.search(r"Calls \d.* · 5xx \d.* · p95 [\d–]", latest)
    overview.locator(columns).nth(3).hover()
    hovered = step.inner_text()
    assert (hovered != latest, step.get_attribute("aria-valuenow")) == (True, "4")
    step.press("ArrowLeft")
    assert step.get_attribute("aria-valuenow") == "3"
    assert step.inner_text() == step.get_attribute("aria-valuetext") != hovered
    tick(overview)
    overview.wait_for_timeout(300)
    assert step.get_attribute("aria-valuenow") == "3"
    step.press("End")
    assert step.inner_text().partition(" · ")[0] == latest.partition(" · ")[0]


def test_no_word_of_a_path_or_an_exception_is_divided_on_a_phone(
    shop: Server, overview: Page
) -> None:
    call(shop, f"/orders/{UNLUCKY}")
    raised = overview.get_by_role("region", name="Exceptions")
    tick_until(overview, lambda: "LookupError" in raised.inner_text())
    for width in (1440, 1024, 390):
        overview.set_viewport_size({"width": width, "height": 900})
        assert overview.evaluate(BROKEN) == []
        assert overview.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_clicks_lead_from_the_overview_to_an_endpoint(shop: Server, overview: Page) -> None:
    page = overview
    page.get_by_role("link", name="Endpoints", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")
    page.go_back()
    page.locator("section", has_text="Slowest").locator("tbody a").first.click()
    expect(page).to_have_url(re.compile(r"/lens/endpoints/[0-9a-f]{16}\?days=7$"))


def test_everything_is_reached_without_a_script(
    shop: Server, scripts_off: Page, session_cookie: Any
) -> None:
    page = scripts_off
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/?days=90")
    page.get_by_role("link", name="Show what changed").click()
    expect(page).to_have_url(f"{shop.url}/lens/changes?days=90")
    page.goto(f"{shop.url}/lens/")
    page.get_by_label("Tag").select_option("orders")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"/lens/\?.*tag=orders"))
    expect(page.get_by_label("Tag")).to_have_value("orders")
