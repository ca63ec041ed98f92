"""Everything that people do most, from the login to logging out: with scripts and without, and
wherever the admin is found.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from benchmarks.support.servers import Server
from tests.browser.shop import KEY, UNLUCKY
from tests.browser.steps import call, calls_of, is_still_here, mark, tick_until

StartShop = Callable[..., Server]
LOGGED = {"LENS_LOG_SAMPLE_RATE": "1.0"}


@dataclass(frozen=True)
class Place:
    """Where somebody finds the admin.

    Attributes:
        base: Its address, without a slash at the end.
        app: The application that answers the shop's own calls.
        calls: Path prefix of these calls.
    """

    base: str
    app: Server
    calls: str = ""

    def call(self, path: str, times: int = 1) -> None:
        """Call the shop itself, past every proxy."""
        call(self.app, self.calls + path, times)


def directly(start_shop: StartShop) -> Place:
    app = start_shop(**LOGGED)
    return Place(f"{app.url}/lens", app)


@pytest.fixture(
    params=["directly", "mounted_under_a_prefix", pytest.param("nginx", marks=pytest.mark.nginx)]
)
def place(request: pytest.FixtureRequest, start_shop: StartShop) -> Place:
    if request.param == "directly":
        return directly(start_shop)
    if request.param == "nginx":
        app = start_shop(args=("--root-path", "/shop/api"), **LOGGED)
        proxy = request.getfixturevalue("nginx")(app, prefix="/shop/api")
        return Place(f"{proxy.url}/shop/api/lens", app)
    app = start_shop(app="tests.browser.elsewhere:app", **LOGGED)
    return Place(f"{app.url}/api/internal/lens", app, "/api")


@dataclass(frozen=True)
class Visitor:
    """Somebody in a browser, in which scripts run or not."""

    page: Page
    place: Place
    scripts: bool

    def is_at(self, path: str) -> None:
        """Below the admin's address; a pattern after ``~``."""
        start = re.escape(self.place.base)
        pattern = start + (path[1:] if path.startswith("~") else re.escape(path)) + "$"
        expect(self.page).to_have_url(re.compile(pattern))

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def apply(self) -> None:
        if not self.scripts:
            self.page.get_by_role("button", name="Apply").click()

    def has_rows(self, count: int) -> None:
        expect(self.page.locator("#lens-rows tr")).to_have_count(count)

    def signs_in(self) -> None:
        self.page.goto(f"{self.place.base}/endpoints?days=30")
        self.is_at(r"~/login\?next=.*")
        self.page.get_by_label("Key").fill(KEY)
        self.page.get_by_role("button", name="Sign in").click()
        self.is_at("/endpoints?days=30")

    def looks_at_the_overview(self) -> None:
        self.link("Overview").click()
        self.is_at("/?days=30")
        if not self.scripts:
            self.link("Show what changed").click()
            self.is_at("/changes?days=30")
        expect(self.page.locator(".changed")).not_to_contain_text("Comparing")
        self.page.get_by_label("Tag").select_option("orders")
        self.apply()
        self.is_at(r"~/\?.*tag=orders.*")
        self.page.go_back()
        # A morph comes after the address; without scripts, a browser restores what was chosen.
        if self.scripts:
            expect(self.page.get_by_label("Tag")).to_have_value("")
        self.page.get_by_role("link", name="All by p95").click()
        self.is_at("/endpoints?days=30&sort=-p95")

    def sees_calls_arrive(self) -> None:
        mark(self.page)
        before = calls_of(self.page, "GET /orders")
        self.place.call("/orders", 3)
        tick_until(self.page, lambda: calls_of(self.page, "GET /orders") == before + 3)
        assert is_still_here(self.page)

    def filters_sorts_and_turns_the_page(self) -> None:
        self.page.get_by_label("POST").check()
        self.page.get_by_label("Tag").select_option("orders")
        self.apply()
        self.is_at(r"~/endpoints\?.*method=POST&tag=orders.*days=30.*")
        self.has_rows(1)
        self.link("Clear filters").click()
        self.is_at("/endpoints?days=30")
        self.link("p95 ms").click()
        self.is_at("/endpoints?days=30&sort=-p95")
        expect(self.page.locator("th[aria-sort=descending]")).to_have_text(re.compile("p95"))
        self.link("Page 2").click()
        self.is_at("/endpoints?days=30&sort=-p95&page=2")
        self.has_rows(9)
        self.link("Cold 1").click()
        self.has_rows(1)

    def exports(self) -> None:
        with self.page.expect_download() as download:
            self.link("CSV").click()
        lines = download.value.path().read_text(encoding="utf-8").splitlines()
        assert len(lines) == 2
        assert "/export" in lines[1]

    def opens_an_endpoint(self) -> None:
        self.link("GET /export").click()
        self.is_at(r"~/endpoints/[0-9a-f]{16}\?days=30")
        expect(self.page.get_by_role("heading", level=1)).to_have_text("GET /export")
        self.page.get_by_text("As a table").first.click()
        expect(self.page.get_by_role("columnheader", name="2xx")).to_be_visible()
        self.link("1h").click()
        self.is_at(r"~/endpoints/[0-9a-f]{16}\?days=1h")
        expect(self.page.get_by_role("heading", name="No calls in the last hour")).to_be_visible()
        self.link("Show all time").click()
        expect(self.page.get_by_role("heading", name="Calls by status class")).to_be_visible()

    def looks_for_an_exception(self) -> None:
        self.page.get_by_role("navigation", name="Main").get_by_role(
            "link", name="Requests"
        ).click()
        self.page.get_by_label("Status").select_option("5xx")
        self.apply()
        self.has_rows(1)
        self.page.locator("#lens-rows a").click()
        self.is_at("~/requests/[0-9a-f]{16}")
        expect(self.page.locator("#lens-traceback")).to_contain_text("raise LookupError")
        self.link("All requests").click()
        self.link("Exceptions").click()
        self.is_at(r"~/exceptions\?days=all")
        self.page.locator("#lens-rows a").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text("LookupError")

    def signs_out(self) -> None:
        self.page.get_by_role("button", name="You: default key").click()
        self.page.get_by_role("button", name="Log out", exact=True).click()
        self.is_at("/login")
        names = [one["name"] for one in self.page.context.cookies(self.place.base + "/")]
        assert names == ["lens_period"]


def watched(page: Page) -> list[str]:
    """Requests of the page, in their order."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def all_the_way(visitor: Visitor) -> None:
    visitor.signs_in()
    visitor.looks_at_the_overview()
    visitor.page.goto(f"{visitor.place.base}/endpoints?days=30")
    paths = {one["path"] for one in visitor.page.context.cookies(visitor.place.base + "/")}
    assert paths == {urlsplit(visitor.place.base).path}
    visitor.place.call(f"/orders/{UNLUCKY}")
    if visitor.scripts:
        visitor.sees_calls_arrive()
    visitor.filters_sorts_and_turns_the_page()
    visitor.exports()
    visitor.opens_an_endpoint()
    visitor.looks_for_an_exception()
    visitor.signs_out()


def test_the_main_paths_with_scripts_wherever_the_admin_is(place: Place, page: Page) -> None:
    asked = watched(page)
    all_the_way(Visitor(page, place, scripts=True))
    assert [url for url in asked if not url.startswith(place.base + "/")] == []
    static = {url.partition("?")[0].removeprefix(place.base) for url in asked if "/static/" in url}
    assert {"/static/lens.css", "/static/lens.js", "/static/vendor/htmx.min.js"} <= static


def test_the_main_paths_without_scripts(start_shop: StartShop, scripts_off: Page) -> None:
    all_the_way(Visitor(scripts_off, directly(start_shop), scripts=False))
