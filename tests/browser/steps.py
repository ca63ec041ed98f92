"""Steps that several browser tests take."""

import time
from collections.abc import Callable

import httpx
from playwright.sync_api import Locator, Page

from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until


def call(shop: Server, path: str, times: int = 1, *, method: str = "GET") -> None:
    """Real calls of the shop, recorded like any other."""
    with httpx.Client(base_url=shop.url) as client:
        for _ in range(times):
            client.request(method, path)


def row(page: Page, name: str) -> Locator:
    """The row of an endpoint, by its method and path."""
    return page.locator("#lens-rows tr").filter(has=page.get_by_role("link", name=name, exact=True))


def cell(page: Page, name: str, column: str) -> Locator:
    """The cell of an endpoint in a column."""
    heading = page.locator("#lens-table").get_by_role("columnheader", name=column, exact=True)
    at: int = heading.evaluate("element => element.cellIndex")
    return row(page, name).locator("th, td").nth(at)


def calls_of(page: Page, name: str) -> int:
    """The calls that the row of an endpoint shows."""
    return int(cell(page, name, "Calls").inner_text().replace(",", ""))


def paths(page: Page) -> list[str]:
    """The paths of all rows, from the top."""
    return page.locator("#lens-rows a > span").all_text_contents()


def follow(link: Locator) -> None:
    """Click a link, and wait until the other page is there."""
    before = link.page.url
    link.click()
    link.page.wait_for_url(lambda url: url != before)


def mark(page: Page) -> None:
    """Leave a mark that only a reload removes."""
    page.evaluate("window.stillHere = true")


def is_still_here(page: Page) -> bool:
    """True while the page has not been reloaded since it was marked."""
    still: bool = page.evaluate("window.stillHere === true")
    return still


def stop_the_clock(page: Page) -> None:
    """Load the page anew with timers that only `page.clock.run_for` moves on."""
    page.clock.install()
    page.reload(wait_until="networkidle")
    page.clock.pause_at(time.time() + 3)


def tick(page: Page) -> None:
    """Triggers the update that the page does by itself every five seconds."""
    page.evaluate("htmx.trigger(document.body, 'lens:tick')")


def tick_until(page: Page, look: Callable[[], bool]) -> None:
    """Let the page update itself, sooner than it would, until it shows something."""

    def ticked() -> bool:
        tick(page)
        return look()

    wait_until(ticked, what="the update")
