"""The endpoints page as somebody uses it: a real browser, a real server, real calls."""

import re

from playwright.sync_api import Page, expect

from fastapi_lens.admin.formats import ago, timestamp
from tests.browser.shop import DAY, KEY
from tests.browser.steps import call, calls_of, paths, row, tick, tick_until
from tests.support.browser import PageWatch
from tests.support.servers import Server

ORDERS = "GET /orders"


def mark(page: Page) -> None:
    """Leave a mark that only a reload removes."""
    page.evaluate("window.stillHere = true")


def is_still_here(page: Page) -> bool:
    return page.evaluate("window.stillHere === true")


def test_the_whole_story_from_login_to_logout(
    shop: Server, page: Page, page_watch: PageWatch
) -> None:
    page_watch.expect("422")  # what the browser says of the wrong key
    page.goto(f"{shop.url}/lens/?sort=-p95")
    expect(page).to_have_url(re.compile(r"/lens/login\?next="))
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{shop.url}/lens/?sort=-p95")
    assert paths(page)[0] == "/orders/{order_id}"
    mark(page)

    page.get_by_label("POST").check()
    expect(page).to_have_url(f"{shop.url}/lens/?method=POST&sort=-p95")
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    expect(page.get_by_role("link", name="All 1")).to_be_visible()
    expect(page.locator("#lens-announce")).to_have_text("1 endpoint")

    page.get_by_role("link", name="Clear filters").click()
    expect(page).to_have_url(f"{shop.url}/lens/?sort=-p95")
    expect(page.get_by_label("POST")).not_to_be_checked()

    page.get_by_role("link", name="Endpoint", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/?sort=path")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Endpoint"))
    assert paths(page) == sorted(paths(page))
    assert is_still_here(page)

    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{shop.url}/lens/login")
    page.goto(f"{shop.url}/lens/")
    expect(page).to_have_url(re.compile(r"/lens/login\?next="))


def test_a_count_rises_while_scroll_focus_and_selection_stay(shop: Server, signed_in: Page) -> None:
    page = signed_in
    mark(page)
    before = calls_of(page, ORDERS)
    page.evaluate("scrollTo(0, 240)")
    link = page.get_by_role("link", name="GET /shelves/07/{number}", exact=True)
    link.evaluate("element => element.focus({preventScroll: true})")
    call(shop, "/orders", 3)
    expect(row(page, ORDERS).locator("td").nth(1)).to_have_text(f"{before + 3:,}", timeout=15_000)

    assert is_still_here(page)
    assert page.evaluate("scrollY") == 240
    expect(link).to_be_focused()

    cell = row(page, ORDERS).locator("th span")
    cell.evaluate("element => getSelection().selectAllChildren(element)")
    call(shop, "/orders", 2)
    # An update that was on its way already must not take the selection away either.
    tick_until(page, lambda: calls_of(page, ORDERS) == before + 5)
    assert page.evaluate("getSelection().toString()") == "/orders"


def test_back_and_forward_restore_filters_search_and_rows(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_label("GET").check()
    expect(page).to_have_url(f"{shop.url}/lens/?method=GET")
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(f"{shop.url}/lens/?method=GET&tag=orders")
    page.get_by_role("searchbox").press_sequentially("order_id", delay=30)
    expect(page).to_have_url(f"{shop.url}/lens/?q=order_id&method=GET&tag=orders")
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    page.get_by_role("link", name="30d").click()
    expect(page).to_have_url(re.compile("days=30"))

    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/?q=order_id&method=GET&tag=orders")
    expect(page.get_by_role("searchbox")).to_have_value("order_id")
    expect(page.get_by_role("link", name="7d")).to_have_attribute("aria-current", "true")
    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/?method=GET&tag=orders")
    expect(page.get_by_role("searchbox")).to_have_value("")
    expect(page.get_by_label("Tag")).to_have_value("orders")
    expect(page.locator("#lens-rows tr")).to_have_count(2)
    page.go_back()
    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/")
    expect(page.get_by_label("GET")).not_to_be_checked()
    expect(page.locator("#lens-rows tr")).to_have_count(50)

    page.go_forward()
    expect(page.get_by_label("GET")).to_be_checked()
    page.go_forward()
    page.go_forward()
    expect(page).to_have_url(f"{shop.url}/lens/?q=order_id&method=GET&tag=orders")
    expect(page.get_by_role("searchbox")).to_have_value("order_id")
    expect(page.get_by_label("Tag")).to_have_value("orders")
    expect(page.locator("#lens-rows tr")).to_have_count(1)


def test_typing_keeps_the_caret_and_makes_one_entry_of_history(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    entries = page.evaluate("history.length")
    search = page.get_by_role("searchbox")
    for letter in "legacy":
        search.press_sequentially(letter)
        expect(page).to_have_url(re.compile(rf"\?q=[a-z]*{letter}$"))
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    expect(search).to_be_focused()
    assert search.evaluate("element => element.selectionStart") == len("legacy")
    assert page.evaluate("history.length") == entries + 1

    search.fill("")
    expect(page).to_have_url(f"{shop.url}/lens/")
    expect(page.locator("#lens-rows tr")).to_have_count(50)
    search.fill("nothing of this name")
    expect(page.get_by_role("heading", name="No endpoint matches")).to_be_visible()
    page.locator("#lens-no-match").get_by_role("link", name="Clear filters").click()
    expect(search).to_have_value("")
    search.fill("n")
    expect(page).to_have_url(f"{shop.url}/lens/?q=n")


def test_status_tabs_count_what_the_other_filters_leave(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_label("Tag").select_option("reports")
    expect(page.get_by_role("link", name="All 2")).to_be_visible()
    expect(page.get_by_role("link", name="Cold 1")).to_be_visible()
    page.get_by_role("link", name="Dead 1").click()
    expect(page).to_have_url(f"{shop.url}/lens/?status=dead&tag=reports")
    assert paths(page) == ["/legacy"]
    expect(page.get_by_role("link", name="All 2")).to_be_visible()
    # A choice in the form keeps the tab that is chosen by a link.
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(f"{shop.url}/lens/?status=dead&tag=orders")
    expect(page.get_by_role("heading", name="No endpoint matches")).to_be_visible()


def test_pages_are_links_and_start_at_their_top(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.get_by_role("link", name="Page 2").click()
    expect(page).to_have_url(f"{shop.url}/lens/?page=2")
    expect(page.locator("#lens-rows tr")).to_have_count(9)
    expect(page.get_by_text("51–59 of 59 endpoints")).to_be_visible()
    assert page.evaluate("document.querySelector('#lens-table').getBoundingClientRect().top") > 0
    page.go_back()
    expect(page.locator("#lens-rows tr")).to_have_count(50)


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
        with page.expect_response("**/lens/") as answer:
            tick(page)
        answer.value.finished()
        statuses.append(answer.value.status)
    assert statuses[-2:] == [304, 304]
    expect(page.locator("#lens-complete")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


def test_updates_rest_while_text_is_selected_or_live_is_off(shop: Server, signed_in: Page) -> None:
    page = signed_in
    asked: list[str] = []
    page.clock.install()
    page.reload()
    page.on("request", lambda request: asked.append(request.url))

    page.evaluate("getSelection().selectAllChildren(document.querySelector('#lens-rows th'))")
    page.clock.run_for(11_000)
    page.evaluate("getSelection().removeAllRanges()")
    page.get_by_role("button", name="Live").click()
    page.clock.run_for(11_000)
    assert asked == []

    with page.expect_response("**/lens/"):
        page.get_by_role("button", name="Live").click()
    with page.expect_response("**/lens/"):
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


def test_the_theme_is_in_the_first_byte_after_a_choice(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    answer = page.reload()
    assert answer is not None
    assert '<html lang="en" data-theme="dark">' in answer.text()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_the_keyboard_reaches_everything(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("jkl?")
    expect(page.get_by_role("searchbox")).to_have_value("jkl?")
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#lens-rows tr")).to_have_count(50)
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).not_to_be_focused()

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#lens-rows a").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("#lens-rows a").first).to_be_focused()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")

    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    page.get_by_role("button", name="Single-key shortcuts").click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
    page.reload()
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()

    page.locator("#lens-rows a").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/lens/endpoints/[0-9a-f]{16}$"))


def test_the_browser_tells_ages_as_the_server_does(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.clock.install()
    page.reload()
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


def test_a_session_that_has_ended_leads_to_the_login_and_back(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    page.context.clear_cookies()
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(re.compile(r"/lens/login\?next="))
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/lens/\?.*tag=orders"))
    expect(page.get_by_label("Tag")).to_have_value("orders")


def test_hostile_paths_and_tags_are_text(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/?q=<script>alert(2)</script>&tag=<b>users</b>")
    expect(page.get_by_role("searchbox")).to_have_value("<script>alert(2)</script>")
    page.goto(f"{shop.url}/lens/?tag=<b>users</b>")
    assert paths(page) == ["/users/<script>alert(1)</script>"]
    page.locator("#lens-rows a").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")


def test_twenty_rows_are_seen_at_once_and_the_first_load_is_light(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    weight = []
    page.on("response", lambda answer: weight.append(len(answer.body())))
    page.reload(wait_until="networkidle")
    inside = "rows => rows.filter(r => r.getBoundingClientRect().bottom <= innerHeight).length"
    assert page.locator("#lens-rows tr").evaluate_all(inside) >= 20
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(weight) >= 4
    assert sum(weight) < 100_000
