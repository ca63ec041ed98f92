"""Takes docs/screenshots/ from the running demo, which it starts with data of its own.

``make screenshots``, or ``python -m scripts.screenshots``: each page at two widths, in light and
dark. It says nothing about whether the pages are right; the tests do.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.support.ports import free_port
from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until
from scripts import chromium

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "screenshots"

SIZES = ((1440, 900), (390, 844))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

KEY = "screenshots"
START_SECONDS = 180.0
"""The example lays down its history first."""
LIVE_CALLS = 300
"""Calls that the demo's traffic has to make before its pages are worth a picture."""


@contextmanager
def running_demo() -> Iterator[str]:
    """Start the example with fresh history and traffic; the address of its admin."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lens-screenshots-") as folder:
        environment = {"PORT": str(port), "EXAMPLE_DATA_DIR": folder, "LENS_REPORT_KEY": KEY}
        argv = [sys.executable, "-m", "example_project"]
        server = Server(argv, port=port, cwd=Path(folder), env=environment)
        try:
            server.wait(seconds=START_SECONDS)
            yield f"{server.url}/lens"
        finally:
            server.stop()


def wait_for_traffic(page: Page, base: str) -> None:
    """Until live calls have come on top of the history."""

    def total() -> int:
        answer = page.request.get(f"{base}/report", headers={"X-Lens-Key": KEY})
        calls: int = answer.json()["summary"]["total_requests"]
        return calls

    before = total()
    wait_until(lambda: total() >= before + LIVE_CALLS, seconds=120, what="the demo's traffic")


def first(page: Page, address: str) -> str:
    """Where the first row of a list leads."""
    page.goto(address)
    rows = page.locator("#lens-rows a")
    return (rows.first.get_attribute("href") or "") if rows.count() else ""


def addresses(page: Page, base: str) -> dict[str, str]:
    """Every page by the name of its pictures."""
    busiest = first(page, f"{base}/endpoints?sort=-calls")
    return {
        "overview": f"{base}/",
        "endpoints": f"{base}/endpoints",
        "endpoint": busiest,
        "endpoint-all-time": f"{busiest}?days=all",
        "endpoint-never-called": first(page, f"{base}/endpoints?status=never_called"),
        "callers": f"{base}/callers",
        "requests": f"{base}/requests",
        "request": first(page, f"{base}/requests?status=5xx&q=Error"),
        "cleanup": f"{base}/cleanup",
        "exceptions": f"{base}/exceptions",
        "exception": first(page, f"{base}/exceptions"),
        "settings": f"{base}/settings",
        "rules": f"{base}/settings/rules/preview?pattern=/v1/**#rules",
        "audit": f"{base}/settings/audit",
        "danger": f"{base}/settings/danger",
        "no-match": f"{base}/endpoints?q=nothing-like-it",
        "not-found": f"{base}/endpoints/0000000000000000",
    }


def take(browser: Browser, base: str) -> None:
    """Take every picture."""
    context = browser.new_context(base_url=base.removesuffix("/lens"))
    page = context.new_page()
    wait_for_traffic(page, base)
    sign_in(page, base)
    wait_until(
        lambda: first(page, f"{base}/requests?status=5xx&q=Error") != "",
        seconds=180,
        what="an exception of the demo",
    )
    pages = addresses(page, base)
    session = context.storage_state()
    context.close()
    for width, height in SIZES:
        for scheme in SCHEMES:
            options: dict[str, Any] = {
                "base_url": base.removesuffix("/lens"),
                "color_scheme": scheme,
                "viewport": {"width": width, "height": height},
            }
            picture(browser, f"{base}/login", f"login-{scheme}-{width}", options)
            for name, url in pages.items():
                signed_in = {**options, "storage_state": session}
                picture(browser, url, f"{name}-{scheme}-{width}", signed_in)


def sign_in(page: Page, base: str) -> None:
    """Log in through the form."""
    page.goto(f"{base}/login")
    page.fill("input[name=key]", KEY)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}/")


def picture(browser: Browser, url: str, name: str, options: dict[str, Any]) -> None:
    """One page in a fresh window, once its fonts and images are there."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(url, wait_until="load")
    # What changed comes after the page.
    page.locator("[hx-trigger=load]").wait_for(state="detached")
    page.screenshot(path=OUT / f"{name}.png", animations="disabled")
    context.close()
    print(f"docs/screenshots/{name}.png")


def main() -> None:
    """Start the demo and a browser, take the pictures, stop both."""
    with running_demo() as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find(), args=chromium.launch_arguments()
        )
        # Without those of pages that have another name now.
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir(parents=True)
        take(browser, base)
        browser.close()


if __name__ == "__main__":
    main()
