"""Pages stay still under a reader: nothing moves while calls are counted."""

from functools import partial

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.browser.steps import call, tick, tick_until
from tests.support.browser import PageWatch

WATCH = """() => {
  window.moved = [];
  window.score = 0;
  const place = ({ x, y }) => `${Math.round(x)},${Math.round(y)}`;
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries()) {
      window.score += value;
      for (const { node, previousRect, currentRect } of sources) {
        const [from, to] = [place(previousRect), place(currentRect)];
        const element = node?.parentNode?.outerHTML ?? "";
        if (from !== to) window.moved.push(`${element.slice(0, 200)} from ${from} to ${to}`);
      }
    }
  }).observe({ type: "layout-shift" });
}"""
"""Collects what has moved without any input, and the score of all shifts."""

MOST = 0.0005
"""A text that grows to the left in its own cell is a shift, too, although nothing else moves."""

FRAMES = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"""
"""An observer hears of a frame after the next one."""


def assert_still(page: Page) -> None:
    """Nothing has moved since the page has been watched."""
    page.evaluate(FRAMES)
    assert page.evaluate("window.moved") == []
    assert page.evaluate("window.score") < MOST


def traffic(shop: Server) -> None:
    """Calls of several endpoints, some of which fail; few of a shelf, whose order others test."""
    call(shop, "/orders", 7)
    call(shop, "/orders/3", 2)
    call(shop, "/orders/3", 3, method="DELETE")
    call(shop, "/shelves/49/1")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["list", "overview", "endpoint"])
def test_nothing_moves_while_calls_are_counted(
    shop: Server, signed_in: Page, name: str, width: int
) -> None:
    page = signed_in
    page.set_viewport_size({"width": width, "height": 900})
    if name == "overview":
        page.goto(f"{shop.url}/lens/")
        expect(page.locator("section.changed[hx-get]")).to_have_count(0)
    elif name == "endpoint":
        page.locator("#lens-rows a", has_text="/orders").first.click()
        expect(page.locator("h1")).to_contain_text("/orders")
    else:
        page.locator("#lens-rows tr").nth(3).hover()
    page.wait_for_load_state("networkidle")
    page.evaluate(WATCH)
    for _ in range(3):
        before = page.locator("#lens-view").inner_text()
        traffic(shop)
        tick_until(page, partial(is_changed, page, before))
    assert_still(page)


@pytest.mark.parametrize("width", [1440, 390])
def test_a_further_digit_moves_nothing_in_the_legend_of_a_heat_map(
    signed_in: Page, width: int
) -> None:
    page = signed_in
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#lens-rows a", has_text="/orders").first.click()
    figure = page.get_by_role("figure", name="Duration distribution")
    colours = figure.get_by_role("list", name="Lines and colours").get_by_role("listitem")
    expect(colours.last).to_be_visible()

    def places(text: str) -> list[object]:
        colours.first.evaluate("(item, text) => (item.textContent = text)", text)
        colours.last.evaluate("(item, text) => (item.textContent = text)", f"{text} calls")
        return [colour.bounding_box() for colour in colours.all()]

    assert places("≤ 9") == places("≤ 999")


def is_changed(page: Page, before: str) -> bool:
    """True if the page shows other texts than before."""
    return page.locator("#lens-view").inner_text() != before


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_moves_when_an_update_fails(
    shop: Server, signed_in: Page, page_watch: PageWatch, width: int
) -> None:
    page_watch.expect("500")
    page = signed_in
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_load_state("networkidle")
    page.evaluate(WATCH)
    page.route("**/lens/endpoints?*", lambda route: route.fulfill(status=500, body="no"))
    tick(page)
    live = page.get_by_role("button", name="Live")
    expect(page.get_by_text("retrying").first).to_be_visible()
    expect(live).to_have_attribute("data-state", "")
    expect(page.locator("#lens-rows tr")).to_have_count(50)
    assert_still(page)

    page.unroute("**/lens/endpoints?*")
    tick(page)
    expect(page.locator("#lens-note")).to_have_text("")
    expect(live).not_to_have_attribute("data-state", "")
    assert_still(page)
