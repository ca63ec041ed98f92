"""Live updates of the endpoints page while somebody reads it."""

import re

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from fastapi_lens.admin.display.formats import ago, timestamp
from tests.browser.shop import DAY
from tests.browser.steps import (
    call,
    calls_of,
    cell,
    is_still_here,
    mark,
    paths,
    row,
    stop_the_clock,
    tick,
    tick_until,
)

ORDERS = "GET /orders"


def test_a_count_rises_while_scroll_focus_and_selection_stay(shop: Server, signed_in: Page) -> None:
    page = signed_in
    mark(page)
    before = calls_of(page, ORDERS)
    page.evaluate("scrollTo(0, 240)")
    link = page.get_by_role("link", name="GET /shelves/07/{number}", exact=True)
    link.evaluate("element => element.focus({preventScroll: true})")
    call(shop, "/orders", 3)
    expect(cell(page, ORDERS, "Calls")).to_have_text(f"{before + 3:,}", timeout=15_000)

    assert is_still_here(page)
    assert page.evaluate("scrollY") == 240
    expect(link).to_be_focused()

    path = row(page, ORDERS).locator("th span")
    path.evaluate("element => getSelection().selectAllChildren(element)")
    call(shop, "/orders", 2)
    # An update that was on its way already must not take the selection away either.
    tick_until(page, lambda: calls_of(page, ORDERS) == before + 5)
    assert page.evaluate("getSelection().toString()") == "/orders"


def test_the_order_stays_while_somebody_is_in_the_rows(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_label("Tag").select_option("shelves")
    expect(page).to_have_url(re.compile("tag=shelves"))
    last = page.locator("#lens-rows a").last
    name = last.inner_text().replace("\n", " ")
    path = last.locator("span").inner_text()
    before = calls_of(page, name)
    last.focus()
    call(shop, path.replace("{number}", "1"), 60)
    tick_until(page, lambda: calls_of(page, name) == before + 60)
    expect(page.get_by_role("button", name="Order changed")).to_be_visible()
    assert paths(page)[-1] == path
    expect(last).to_be_focused()

    page.get_by_role("button", name="Order changed").click()
    expect(page.locator("#lens-rows a > span").first).to_have_text(path)
    expect(page.get_by_role("button", name="Order changed")).to_be_hidden()


def test_an_unchanged_page_is_not_sent_again(shop: Server, signed_in: Page) -> None:
    page = signed_in
    statuses: list[int] = []
    # The turn of a minute is the one thing that changes an answer by itself.
    while statuses[-2:] != [304, 304] and len(statuses) < 6:
        with page.expect_response("**/lens/endpoints?*") as answer:
            tick(page)
        answer.value.finished()
        statuses.append(answer.value.status)
    assert statuses[-2:] == [304, 304]
    expect(page.locator("#lens-complete")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


def test_updates_rest_while_text_is_selected_or_live_is_off(shop: Server, signed_in: Page) -> None:
    page = signed_in
    stop_the_clock(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.evaluate("getSelection().selectAllChildren(document.querySelector('#lens-rows th'))")
    page.clock.run_for(11_000)
    page.evaluate("getSelection().removeAllRanges()")
    page.get_by_role("button", name="Live").click()
    page.clock.run_for(11_000)
    assert asked == []

    with page.expect_response("**/lens/endpoints?*") as first:
        page.get_by_role("button", name="Live").click()
    first.value.finished()
    # While an update is under way, the next one is not asked for.
    page.wait_for_function("!document.querySelector('.htmx-request')")
    with page.expect_response("**/lens/endpoints?*"):
        page.clock.run_for(6_000)


def test_live_off_stays_off_after_a_reload(shop: Server, signed_in: Page) -> None:
    page = signed_in
    live = page.get_by_role("button", name="Live")
    expect(live).to_have_attribute("aria-pressed", "true")
    live.click()
    expect(live).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(live).to_have_attribute("aria-pressed", "false")
    live.click()
    expect(live).to_have_attribute("aria-pressed", "true")


def test_the_browser_tells_ages_as_the_server_does(shop: Server, signed_in: Page) -> None:
    page = signed_in
    stop_the_clock(page)
    now = float(page.locator("#lens-live").get_attribute("data-now") or "")
    # In the middle of each unit: what passes while this test runs changes none of them.
    ages = [-60, 90, 3_570 - 60, 1.5 * 3_600, 23.5 * 3_600, 36 * 3_600, 500 * DAY, 3 * 365.5 * DAY]
    page.evaluate(
        """(moments) => document.body.append(...moments.map((moment) => {
             const time = document.createElement("time");
             Object.assign(time, {dateTime: moment, title: "test", textContent: "?"});
             return time;
           }))""",
        [timestamp(now - age) for age in ages],
    )
    page.clock.run_for(6_000)
    texts = page.locator("time[title=test]").all_inner_texts()
    assert texts == [ago(now - age, now) for age in ages]


@pytest.mark.parametrize("reader", ["pointer", "keyboard", "header", "selection", "touch"])
def test_a_list_by_last_call_does_not_move_under_its_reader(
    shop: Server, signed_in: Page, reader: str
) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/endpoints?tag=shelves&sort=-last")
    first = page.locator("#lens-rows tr").nth(3)
    if reader == "pointer":
        first.hover()
    elif reader == "keyboard":
        page.keyboard.press("j")
    elif reader == "header":
        page.get_by_role("link", name="Last call").focus()
    elif reader == "touch":
        first.locator("td").last.dispatch_event("pointerdown", {"pointerType": "touch"})
    else:
        first.locator("th span").evaluate("element => getSelection().selectAllChildren(element)")
    before = paths(page)
    path = before[-1].replace("{number}", "1")
    name = f"GET {before[-1]}"
    calls = calls_of(page, name)
    call(shop, path, 4)
    tick_until(page, lambda: calls_of(page, name) == calls + 4)
    assert paths(page) == before
    pill = page.get_by_role("button", name="Order changed")
    expect(pill).to_be_visible()
    # What nothing has changed since does not hide it.
    tick(page)
    expect(page.locator(".htmx-request")).to_have_count(0)
    expect(pill).to_be_visible()
    if reader == "touch":
        pill.dispatch_event("pointerdown", {"pointerType": "touch"})
    pill.click()
    expect(page.locator("#lens-rows a > span").first).to_have_text(before[-1])
    expect(pill).to_be_hidden()


def test_rows_that_enter_the_page_wait_until_the_reader_looks_at_the_new_order(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/endpoints?sort=-last&page=2")
    outside = paths(page)[-1]
    page.goto(f"{shop.url}/lens/endpoints?sort=-last")
    before = paths(page)
    leaving = page.locator("#lens-rows a").last
    leaving.focus()
    call(shop, outside.replace("{number}", "1").replace("{order_id}", "1"))
    pill = page.get_by_role("button", name="Order changed")
    tick_until(page, pill.is_visible)
    assert paths(page) == before
    expect(leaving).to_be_focused()
    # Once the reader leaves the table, the next update brings the new order.
    page.get_by_role("searchbox").focus()
    page.mouse.move(0, 0)
    tick_until(page, pill.is_hidden)
    assert paths(page)[0] == outside
