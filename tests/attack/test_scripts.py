"""Scripts that were sent or named by others are on every page, and none of them runs.

They are stored through the doors that are there for it: routes, requests, exceptions, forms.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import Page

from benchmarks.support.servers import Server, uvicorn
from benchmarks.support.waiting import wait_until
from fastapi_lens.text.escaping import visible
from tests.attack.corpus import CANARY, SCRIPTS
from tests.attack.hostile import KEY, WHOLE
from tests.support.browser import PageWatch
from tests.support.pages import csrf_token, links

ROOT = Path(__file__).parents[2]

INTRUDERS = """() => [...document.querySelectorAll("*")].flatMap((one) => {
  const names = [...one.attributes].map((attribute) => attribute.name);
  const found = names.filter((name) => /^(on|hx-on|srcdoc|style$)/.test(name));
  if (one.matches("iframe, base, object, embed, meta[http-equiv], script:not([src])"))
    found.push(one.tagName);
  const leads = one.getAttribute("href") ?? one.getAttribute("action");
  if (one.matches("a[href], form[action]") && new URL(leads, location).origin !== location.origin)
    found.push(one.outerHTML);
  return found;
})"""
"""Markup that no page of ours has: handlers, frames, inline scripts, links to elsewhere."""


@pytest.fixture
def ran(page: Page) -> list[Any]:
    """Calls of the canary function, on any page."""
    calls: list[Any] = []

    def called(*arguments: Any) -> None:
        calls.extend(arguments)

    page.context.expose_function(CANARY, called)
    return calls


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    args = ["--app-dir", str(ROOT), "--log-level", "critical"]
    with uvicorn("tests.attack.hostile:app", cwd=folder, args=args) as server:
        yield server


@pytest.fixture(scope="module")
def signed_in(hostile: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hostile.url, headers={"Origin": hostile.url}, timeout=30) as client:
        assert client.post("/lens/login", data={"key": "<b>wrong"}).status_code == 422
        assert client.post("/lens/login", data={"key": KEY}).status_code == 303
        attack(client)

        def logged() -> bool:
            return client.get("/lens/requests.csv").text.count("/crash/") > 2 * len(SCRIPTS)

        wait_until(logged, what="the requests in the log")
        yield client


def attack(client: httpx.Client) -> None:
    """Send everything: paths, queries, headers, exceptions, rules."""
    for number, script in enumerate((*SCRIPTS, WHOLE)):
        path = quote(script.encode("utf-8", "replace"), safe="")
        named = quote(script.replace("{", "").replace("}", ""), safe="")
        headers = {
            "User-Agent": quote(script, safe=" <>\"'=()/-;:") or "x",
            "Referer": f"http://{CANARY}/",
            "X-Forwarded-For": f"<script>{CANARY}(20)</script>",
            "X-Caller": quote(script.encode("utf-8", "replace"), safe=""),
        }
        client.get(f"/named/{named}", headers=headers)
        client.get(f"/any/{path}?{path}={path}", headers=headers)
        client.post(f"/any/{path}?{script.translate(str.maketrans('', '', '#'))}", headers=headers)
        # A connection of its own: uvicorn closes that of a request that has crashed.
        httpx.get(client.base_url.join(f"/crash/{number}"), headers=headers)
    token = csrf_token(client.get("/lens/settings").text)
    for number, script in enumerate(SCRIPTS):
        pattern = "/" + script.replace("*", "x").replace("\u2028", "").replace("\u202e", "")
        form = {"csrf_token": token, "version": str(number), "pattern": pattern}
        answer = client.post("/lens/settings/rules", data={**form, "status.4": "on", "do": "save"})
        assert answer.status_code in (303, 422, 409), answer.text


def addresses(client: httpx.Client) -> list[str]:
    """Every page, with the worst of what is there in place of its parameters."""
    found = ["/lens/", "/lens/requests", "/lens/exceptions", "/lens/settings", "/lens/login"]
    found += ["/lens/callers", "/lens/cleanup", "/lens/endpoints", "/lens/changes"]
    for words in ("srcdoc", "onfocus", "hx-get"):
        found.append(f"/lens/go?q={words}")
        for kind in ("endpoints", "requests", "exceptions"):
            text = client.get(f"/lens/{kind}", params={"q": words}).text
            found += [one.href for one in links(text) if f"/lens/{kind}/" in one.href][:2]
    callers = [one.href for one in links(client.get("/lens/callers").text)]
    for own in [href for href in callers if "/lens/callers/" in href][:6]:
        found += [own, f"{own}/forget", f"/lens/endpoints?caller={own[-16:]}"]
    for script in (SCRIPTS[1], SCRIPTS[5], WHOLE[:190]):
        typed = urlencode({"q": script, "tag": script, "pattern": f"/{script}"})
        pages = ("", "requests", "exceptions", "callers", "go", "settings/rules/preview")
        found += [f"/lens/{page}?{typed}" for page in pages]
        found += [f"/lens/{page}{quote(script, safe='')}" for page in ("", "endpoints/")]
    return list(dict.fromkeys(found))


def sign_in(page: Page, client: httpx.Client) -> None:
    ((name, value),) = client.cookies.items()
    url = str(client.base_url.join("/lens"))
    page.context.add_cookies([{"name": name, "value": value, "url": url}])


def test_no_script_of_others_runs_on_any_page(
    hostile: Server, signed_in: httpx.Client, page: Page, page_watch: PageWatch, ran: list[Any]
) -> None:
    page_watch.expect("status of 404")  # What the browser says of pages that are not there.
    sign_in(page, signed_in)
    found: dict[str, Any] = {}
    shown = ""
    for address in addresses(signed_in):
        page.goto(f"{hostile.url}{address}")
        shown += page.locator("body").inner_text()
        if intruders := page.evaluate(INTRUDERS):
            found[address] = intruders
    assert found == {}
    assert ran == []
    # It was there to be seen, or the test would prove nothing.
    assert [script for script in SCRIPTS if visible(script)[:12].strip() not in shown] == []


def test_what_a_live_update_brings_runs_no_more(
    hostile: Server, signed_in: httpx.Client, page: Page, ran: list[Any]
) -> None:
    sign_in(page, signed_in)
    for path in ("/lens/endpoints", "/lens/requests"):
        page.goto(f"{hostile.url}{path}")
        signed_in.get(f"/any/{quote(SCRIPTS[8], safe='')}")
        with page.expect_response(lambda answer: "/lens/" in answer.url):
            page.evaluate("htmx.trigger(document.body, 'lens:tick')")
        page.get_by_role("searchbox").first.fill("<svg onload")
        page.wait_for_load_state("networkidle")
        assert page.evaluate(INTRUDERS) == []
    page.goto(f"{hostile.url}/lens/settings")
    page.locator("input[name=pattern]").first.fill(f"/{SCRIPTS[1]}")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(INTRUDERS) == []
    assert ran == []


def test_the_canary_sings_where_a_script_does_run(page: Page, ran: list[Any]) -> None:
    page.set_content(f"<p>x</p><iframe srcdoc='x'></iframe><script>{CANARY}(2)</script>")
    wait_until(lambda: bool(page.evaluate("1")) and ran == [2], what="the canary")
    assert {"srcdoc", "IFRAME", "SCRIPT"} <= set(page.evaluate(INTRUDERS))
