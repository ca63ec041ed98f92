"""Other sites and hardened hosts in a real browser: what it sends, and what it may read."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, Response

from benchmarks.support.servers import Server, Start, granian, hypercorn, uvicorn
from benchmarks.support.waiting import wait_until
from tests.attack.exposed import INSIDE

pytestmark = [pytest.mark.browser, pytest.mark.server]

ROOT = Path(__file__).parents[2]
KEY = "what-opens-the-exposed-one"

READ = """async (address) => {
  const found = await fetch(address);
  return [found.status, await found.text()];
}"""
LISTEN = """(address) => new Promise((done) => {
  const source = new EventSource(address);
  source.onerror = () => done("refused");
  source.onopen = source.onmessage = () => done("open");
})"""
LOAD = """([tag, address]) => new Promise((done) => {
  const element = document.createElement(tag);
  element.onload = () => done("loaded");
  element.onerror = () => done("refused");
  element.src = address;
  document.body.append(element);
})"""


def serving(folder: Path, **env: str) -> Server:
    args = ["--app-dir", str(ROOT), "--log-level", "warning"]
    return uvicorn("tests.attack.exposed:app", cwd=folder, args=args, env=env)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without a key, as on the machine of a developer."""
    with serving(tmp_path_factory.mktemp("local")) as server:
        yield server


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("keyed"), LENS_REPORT_KEY=KEY) as server:
        yield server


@pytest.mark.parametrize("site", ["evil.test", "evil.localhost", "127.0.0.1"])
def test_a_page_of_another_site_reads_nothing_of_an_admin_without_a_key(
    local: Server, browser_context: BrowserContext, site: str
) -> None:
    own = f"http://localhost:{local.port}"
    httpx.get(own + INSIDE)
    wait_until(lambda: INSIDE in httpx.get(f"{own}/lens/report").text, what="the call")
    page = browser_context.new_page()
    page.goto(f"http://{site}:{local.port}/page?to={own}/lens/")
    for path in ("/lens/report", "/lens/requests.json", "/lens/", "/lens/settings"):
        status, text = page.evaluate(READ, own + path)
        assert (path, status, INSIDE in text) == (path, 403, False)
    assert page.evaluate(READ, own + INSIDE)[0] == 200  # The host's own policy stays.
    assert page.evaluate(LISTEN, f"{own}/lens/requests/new") == "refused"
    for tag in ("img", "script"):
        assert page.evaluate(LOAD, [tag, f"{own}/lens/report"]) == "refused"
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  It marks it.
    page.evaluate(LOAD, ["iframe", f"{own}/lens/"])
    assert [answer.status for answer in answers if "/lens/" in answer.url] == [403]
    page.get_by_text("on", exact=True).click()
    page.wait_for_url(re.compile(rf"{own}/lens/(\?.*)?$"))
    page.goto(f"{own}/lens/endpoints")
    assert INSIDE in page.locator("#lens-rows").inner_text()


@pytest.mark.parametrize("site", ["shop.test", "localhost"])
def test_a_host_that_hides_its_referrer_keeps_every_form_of_the_admin(
    keyed: Server, browser_context: BrowserContext, site: str
) -> None:
    """Over plain http, a browser says with an Origin alone where a form comes from."""
    page = browser_context.new_page()
    sent: list[Request] = []
    page.on("request", lambda one: sent.append(one) if one.method == "POST" else None)
    base = f"http://{site}:{keyed.port}"
    page.goto(f"{base}/lens/")
    _sign_in(page)
    page.wait_for_url(f"{base}/lens/")
    page.goto(f"{base}/lens/settings")
    slow = page.locator("input[name=slow_threshold_ms]")
    slow.fill(str(700 + len(site)))
    slow.press("Enter")
    page.locator("#lens-toasts .toast.ok").wait_for()
    page.locator("button.who").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.wait_for_url("**/login*")
    assert {one.all_headers()["origin"] for one in sent} == {base}
    assert len(sent) == 3


@pytest.mark.parametrize("start", [uvicorn, hypercorn, granian])
def test_every_server_says_that_a_proxy_speaks_http_1_0(tmp_path: Path, start: Start) -> None:
    env = {"PYTHONPATH": str(ROOT)}
    with start("tests.attack.exposed:app", cwd=tmp_path, env=env) as server:
        for version, status in (("1.0", b"403"), ("1.1", b"200")):
            for path in ("/lens/", "/lens/report"):
                assert _status(server.port, f"GET {path} HTTP/{version}") == status
            form = f"POST /lens/settings/danger HTTP/{version}"
            origin = f"Origin: http://127.0.0.1:{server.port}"
            assert (_status(server.port, form, origin) == b"403") is (version == "1.0")


def _status(port: int, *lines: str) -> bytes:
    """The status of an answer to lines that an nginx sends which is told nothing."""
    headers = (f"Host: 127.0.0.1:{port}", "Connection: close", "Content-Length: 0")
    with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
        connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode())
        with connection.makefile("rb") as answer:
            return answer.readline().split()[1]


def _sign_in(page: Page) -> None:
    page.fill("#lens-key", KEY)
    page.click("button.primary")
