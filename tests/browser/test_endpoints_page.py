"""The endpoints page as somebody uses it: a real browser, a real server."""

import re
from typing import Any

from playwright.sync_api import Page, Response, Route, expect

from benchmarks.support.servers import Server
from tests.browser.shop import KEY
from tests.browser.steps import call, is_still_here, mark, paths, stop_the_clock, tick_until
from tests.support.browser import PageWatch


def test_the_whole_story_from_login_to_logout(
    shop: Server, page: Page, page_watch: PageWatch
) -> None:
    page_watch.expect("422")  # what the browser says of the wrong key
    page.goto(f"{shop.url}/lens/endpoints?sort=-p95")
    expect(page).to_have_url(re.compile(r"/lens/login\?next="))
    page.get_by_label("Key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?sort=-p95&days=7")
    assert paths(page)[0] == "/orders/{order_id}"
    mark(page)

    page.get_by_label("POST").check()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?method=POST&days=7&sort=-p95")
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    expect(page.get_by_role("link", name="All 1")).to_be_visible()
    expect(page.locator("#lens-announce")).to_have_text("1 endpoint")

    page.get_by_role("link", name="Clear filters").click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7&sort=-p95")
    expect(page.get_by_label("POST")).not_to_be_checked()

    page.get_by_role("link", name="Endpoint", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7&sort=path")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Endpoint"))
    assert paths(page) == sorted(paths(page))
    assert is_still_here(page)

    page.get_by_role("button", name="You: default key").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page).to_have_url(f"{shop.url}/lens/login")
    page.goto(f"{shop.url}/lens/endpoints")
    expect(page).to_have_url(re.compile(r"/lens/login\?next="))


def test_back_and_forward_restore_filters_search_and_rows(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_label("GET").check()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?method=GET&days=7")
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?method=GET&tag=orders&days=7")
    page.get_by_role("searchbox").press_sequentially("order_id", delay=30)
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=order_id&method=GET&tag=orders&days=7")
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    page.get_by_role("link", name="30d").click()
    expect(page).to_have_url(re.compile("days=30"))

    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=order_id&method=GET&tag=orders&days=7")
    expect(page.get_by_role("searchbox")).to_have_value("order_id")
    expect(page.get_by_role("link", name="7d")).to_have_attribute("aria-current", "true")
    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?method=GET&tag=orders&days=7")
    expect(page.get_by_role("searchbox")).to_have_value("")
    expect(page.get_by_label("Tag")).to_have_value("orders")
    expect(page.locator("#lens-rows tr")).to_have_count(2)
    page.go_back()
    page.go_back()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")
    expect(page.get_by_label("GET")).not_to_be_checked()
    expect(page.locator("#lens-rows tr")).to_have_count(50)

    page.go_forward()
    expect(page.get_by_label("GET")).to_be_checked()
    page.go_forward()
    page.go_forward()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=order_id&method=GET&tag=orders&days=7")
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
        expect(page).to_have_url(re.compile(rf"\?q=[a-z]*{letter}&days=7$"))
    expect(page.locator("#lens-rows tr")).to_have_count(1)
    expect(search).to_be_focused()
    assert search.evaluate("element => element.selectionStart") == len("legacy")
    assert page.evaluate("history.length") == entries + 1

    search.fill("")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7")
    expect(page.locator("#lens-rows tr")).to_have_count(50)
    search.fill("nothing of this name")
    expect(page.get_by_role("heading", name="No endpoint matches")).to_be_visible()
    page.locator("#lens-no-match").get_by_role("link", name="Clear filters").click()
    expect(search).to_have_value("")
    search.fill("n")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=n&days=7")


def test_an_answer_does_not_undo_what_was_typed_after_its_question(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    stop_the_clock(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/lens/endpoints?q=old*", hold)
    search = page.get_by_role("searchbox")
    search.fill("old")
    with page.expect_request("**/lens/endpoints?q=old*"):
        page.clock.run_for(250)
    search.fill("legacy")
    search.blur()
    held[0].continue_()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=old&days=7")
    expect(search).to_have_value("legacy")
    page.clock.run_for(250)
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?q=legacy&days=7")
    assert paths(page) == ["/legacy"]


def test_status_tabs_count_what_the_other_filters_leave(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_label("Tag").select_option("reports")
    expect(page.get_by_role("link", name="All 2")).to_be_visible()
    expect(page.get_by_role("link", name="Cold 1")).to_be_visible()
    page.get_by_role("link", name="Dead 1").click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?status=dead&tag=reports&days=7")
    assert paths(page) == ["/legacy"]
    expect(page.get_by_role("link", name="All 2")).to_be_visible()
    # A choice in the form keeps the tab that is chosen by a link.
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?status=dead&tag=orders&days=7")
    expect(page.get_by_role("heading", name="No endpoint matches")).to_be_visible()


def test_pages_are_links_and_start_at_their_top(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.get_by_role("link", name="Page 2").click()
    expect(page).to_have_url(f"{shop.url}/lens/endpoints?days=7&page=2")
    expect(page.locator("#lens-rows tr")).to_have_count(9)
    expect(page.get_by_text("51–59 of 59 endpoints")).to_be_visible()
    assert page.evaluate("document.querySelector('#lens-table').getBoundingClientRect().top") > 0
    page.go_back()
    expect(page.locator("#lens-rows tr")).to_have_count(50)


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
    dialog = page.get_by_role("dialog", name="Help")
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
    expect(page).to_have_url(re.compile(r"/lens/endpoints/[0-9a-f]{16}\?days=7$"))


def test_a_session_that_has_ended_leads_to_the_login_and_back(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    page.context.clear_cookies()
    page.get_by_label("Tag").select_option("orders")
    expect(page).to_have_url(re.compile(r"/lens/login\?next="))
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/lens/endpoints\?.*tag=orders"))
    expect(page.get_by_label("Tag")).to_have_value("orders")


def test_hostile_paths_and_tags_are_text(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{shop.url}/lens/endpoints?q=<script>alert(2)</script>&tag=<b>users</b>")
    expect(page.get_by_role("searchbox")).to_have_value("<script>alert(2)</script>")
    page.goto(f"{shop.url}/lens/endpoints?tag=<b>users</b>")
    assert paths(page) == ["/users/<script>alert(1)</script>"]
    page.locator("#lens-rows a").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")


def test_twenty_rows_are_seen_at_once_and_the_first_load_is_light(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    answers: list[Response] = []
    # No bound method of a list: Playwright sets an attribute of the function.
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108
    page.reload(wait_until="networkidle")
    inside = "rows => rows.filter(r => r.getBoundingClientRect().bottom <= innerHeight).length"
    assert page.locator("#lens-rows tr").evaluate_all(inside) >= 20
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(answers) >= 4
    assert sum(one.request.sizes()["responseBodySize"] for one in answers) < 60_000  # Transferred.


def test_the_chart_is_read_when_it_is_opened_and_stays_as_it_was_left(
    shop: Server, signed_in: Page
) -> None:
    page = signed_in
    summary = page.get_by_text("Calls over time", exact=True)
    plot = page.locator("#lens-chart svg.plot")
    expect(plot).to_have_count(0)
    mark(page)
    summary.click()
    expect(plot).to_be_visible()
    call(shop, "/orders", 3)
    before = plot.locator("title").text_content()
    tick_until(page, lambda: plot.locator("title").text_content() != before)
    page.get_by_label("Tag").select_option("reports")
    expect(plot.locator("title")).to_contain_text("0 in all")
    expect(plot).to_be_visible()
    assert is_still_here(page)
    page.reload()
    expect(plot).to_be_visible()
    summary.click()
    expect(plot).to_be_hidden()
    page.reload()
    expect(summary).to_be_visible()
    expect(plot).to_have_count(0)


def test_a_group_leads_to_its_endpoints_and_back(shop: Server, signed_in: Page) -> None:
    page = signed_in
    page.get_by_label("Groups").select_option(label="By tag")
    expect(page).to_have_url(re.compile(r"\?group=tag&days=7$"))
    expect(page.get_by_role("columnheader", name="Tag")).to_be_visible()
    page.get_by_role("link", name="orders", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?tag=orders&days=7$"))
    expect(page.locator("#lens-rows tr")).to_have_count(4)
    expect(page.get_by_label("Groups")).to_have_value("")
    page.go_back()
    expect(page.get_by_role("columnheader", name="Tag")).to_be_visible()
    expect(page.get_by_label("Groups")).to_have_value("tag")


def test_groups_and_the_chart_need_no_script(
    shop: Server, scripts_off: Page, session_cookie: Any
) -> None:
    page = scripts_off
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/endpoints")
    page.get_by_label("Groups").select_option(label="By path")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name="/shelves", exact=True)).to_be_visible()
    page.get_by_text("Calls over time", exact=True).click()
    page.get_by_role("link", name="Show the chart").click()
    expect(page.locator("#lens-chart svg.plot")).to_be_visible()
    page.get_by_role("link", name="/shelves", exact=True).click()
    expect(page.locator("#lens-chart svg.plot")).to_be_visible()
    page.get_by_role("link", name="path /shelves").click()
    expect(page).to_have_url(re.compile(r"/endpoints\?days=7&chart=1$"))


def test_chosen_columns_are_shown_at_once_and_the_next_time(shop: Server, signed_in: Page) -> None:
    page = signed_in
    mark(page)
    page.locator("#lens-d-columns > summary").click()
    page.get_by_role("checkbox", name="Trend").uncheck()
    page.get_by_role("checkbox", name="First seen").check()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("columnheader", name="Trend")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"cols=status\.calls\.calls_change\.errors_5xx"))
    assert is_still_here(page)

    page.goto(f"{shop.url}/lens/endpoints")
    expect(page).to_have_url(re.compile("cols=status"))
    expect(page.get_by_role("columnheader", name="Trend")).to_have_count(0)
    page.locator("#lens-d-columns > summary").click()
    expect(page.get_by_role("checkbox", name="First seen")).to_be_checked()
    page.get_by_role("link", name="Default", exact=True).click()
    expect(page.get_by_role("columnheader", name="Trend")).to_have_count(1)
    # A link resets the form, which a morph would leave as it was.
    expect(page.get_by_role("checkbox", name="First seen")).not_to_be_checked()
    expect(page).not_to_have_url(re.compile("cols="))
