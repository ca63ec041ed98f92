"""Pages stay still under a reader: nothing moves while calls are counted."""

from collections.abc import Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until
from tests.browser.steps import call, tick

WATCH = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, sources } of list.getEntries())
      // Text that grows to the left within its own cell is a shift, too, although nothing has moved.
      for (const { node, previousRect: was, currentRect: now } of sources)
        if (was.x !== now.x || was.y !== now.y)
          window.shifts.push(`${value} ${node?.parentNode?.outerHTML?.slice(0, 200)} from ${was.x},${was.y} to ${now.x},${now.y}`);
  }).observe({ type: "layout-shift" });
}"""
"""Collects every movement that no input has caused."""


def shifts(page: Page) -> Sequence[str]:
    """What has moved since it has been watched."""
    # An observer hears of a frame after the next one.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")
    found: Sequence[str] = page.evaluate("window.shifts")
    return found


def traffic(shop: Server) -> None:
    """Calls of several endpoints, some of which fail."""
    call(shop, "/orders", 7)
    call(shop, "/orders/3", 2)
    call(shop, "/orders/3", 3, method="DELETE")
    call(shop, "/shelves/49/1", 12)


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["list", "overview", "endpoint"])
def test_nothing_moves_while_calls_are_counted(shop: Server, signed_in: Page, name: str, width: int) -> None:
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

        def is_updated() -> bool:
            tick(page)
            return page.locator("#lens-view").inner_text() != before

        wait_until(is_updated, what="an update")
    print("\n".join(shifts(page)))
    assert shifts(page) == []
