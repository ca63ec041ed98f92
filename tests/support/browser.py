"""One Chromium for test after test, and what a page did besides what the test looked at.

A watch collects errors, violations and foreign hosts of one browser context, and judges at the
end. Nothing here drives a page.
"""

import contextlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Playwright,
    Request,
    WebError,
    sync_playwright,
)

from scripts import chromium

_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => window.lensTestViolation(
  `${event.effectiveDirective} blocked ${event.blockedURI || "inline"} on ${event.documentURI}`));
"""

_SITES = "--host-resolver-rules=MAP *.test 127.0.0.1"
"""Names that lead to this machine, and that the browser trusts no more than the internet's."""

# The browser cancels what a page still loads when the page is left; that is no failure.
_LEFT = "net::ERR_ABORTED"


class SharedBrowser:
    """A Chromium that stays open from one test to the next: a start costs two seconds of CPU.

    While Playwright's synchronous interface is open, its event loop counts as running in this
    thread, and tests that call `asyncio.run` would fail: `close` it before them.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def get(self, program: Path) -> Browser:
        """The browser, started where none is open."""
        if self._browser is None or not self._browser.is_connected():
            self.close()
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=program, args=[*chromium.launch_arguments(), _SITES]
            )
        return self._browser

    def close(self) -> None:
        """End the browser, if one is open, and let go of this thread's event loop."""
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self._browser = self._playwright = None


class PageWatch:
    """Collects what no page of ours may do.

    Attributes:
        hosts: Every host and port that a request went to.
    """

    def __init__(self, context: BrowserContext) -> None:
        """Start to watch every page of the context."""
        self._context = context
        self.hosts: set[str] = set()
        self._found: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        context.expose_function("lensTestViolation", self._on_violation)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)

    def expect(self, pattern: str) -> None:
        """Let findings pass that the regular expression is found in, for this test.

        A finding starts with its kind: ``console:``, ``error:``, ``csp:``, ``failed:``.
        Foreign hosts never pass.
        """
        self._expected.append(re.compile(pattern))

    def findings(self) -> list[str]:
        """Findings so far that were not expected."""
        for page in self._context.pages:
            # A round trip: what the page has reported before it is here afterwards.
            with contextlib.suppress(Error):
                page.evaluate("0")
        unexpected = [
            finding
            for finding in self._found
            if not any(pattern.search(finding) for pattern in self._expected)
        ]
        foreign = [f"host: {host}" for host in sorted(self.hosts) if not _is_local(host)]
        return unexpected + foreign

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._found.append(f"console: {message.type}: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self._found.append(f"error: {error.error}")

    def _on_violation(self, text: str) -> None:
        self._found.append(f"csp: {text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("about", "blob", "data"):
            self.hosts.add(parts.netloc)

    def _on_failure(self, request: Request) -> None:
        if request.failure != _LEFT:
            self._found.append(f"failed: {request.method} {request.url}: {request.failure}")


def _is_local(host: str) -> bool:
    return host.rpartition(":")[0] in ("127.0.0.1", "localhost")
