"""The watch over pages has to find what it is there for, or every page would look clean."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from benchmarks.support.servers import Server
from tests.support.browser import PageWatch

APP = """
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

STRICT = {"Content-Security-Policy": "default-src 'none'; script-src 'self'; img-src data:"}
PAGES = {
    "calm": "<title>calm</title><link rel=icon href=data:,>",
    "script": "<link rel=icon href=data:,><script>document.title = 'ran'</script>",
    "missing": "<link rel=icon href=data:,><script src=/nothing.js></script>",
    "foreign": "<link rel=icon href=data:,><script src=http://203.0.113.7/x.js></script>",
}


async def page(request):
    name = request.path_params["name"]
    return HTMLResponse(PAGES[name], headers=STRICT if name != "foreign" else {})


app = Starlette(routes=[Route("/{name}.html", page)])
"""


@pytest.fixture
def site(run_server: Callable[..., Server], tmp_path: Path) -> str:
    (tmp_path / "watched.py").write_text(APP, encoding="utf-8")
    return run_server("watched:app").url


def test_a_calm_page_leaves_no_finding(page: Page, page_watch: PageWatch, site: str) -> None:
    page.goto(f"{site}/calm.html")

    assert page.title() == "calm"
    assert page_watch.findings() == []
    assert page_watch.hosts == {site.removeprefix("http://")}


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("script", "csp: script-src-elem blocked inline"),
        ("missing", "console: error: Failed to load resource"),
    ],
)
def test_what_a_page_does_wrong_is_found(
    page: Page, page_watch: PageWatch, site: str, name: str, finding: str
) -> None:
    page.goto(f"{site}/{name}.html")

    assert any(line.startswith(finding) for line in page_watch.findings())

    page_watch.expect("^(csp|console):")
    assert page_watch.findings() == []


def test_an_error_in_a_script_is_found(page: Page, page_watch: PageWatch, site: str) -> None:
    page.goto(f"{site}/calm.html")
    with page.expect_event("pageerror"):
        page.evaluate("setTimeout(() => { throw new Error('lost') }, 0)")

    assert any(line.startswith("error:") and "lost" in line for line in page_watch.findings())
    page_watch.expect("lost")


def test_a_foreign_host_is_found_and_cannot_be_expected(
    page: Page, page_watch: PageWatch, site: str
) -> None:
    # Answered by the test: nothing leaves this machine.
    page.route("http://203.0.113.7/**", lambda route: route.fulfill(body=""))
    page.goto(f"{site}/foreign.html")
    page_watch.expect(".")

    assert page_watch.findings() == ["host: 203.0.113.7"]
    page_watch.hosts.discard("203.0.113.7")
