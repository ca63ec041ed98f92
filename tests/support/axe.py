"""Accessibility rules of axe-core, run in a page that a test has opened. Judges nothing itself."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""WCAG 2.2 AA, and what axe recommends beyond it."""

RULES_OF_COLOUR = ("color-contrast", "link-in-text-block")
"""Rules whose result can differ between light and dark for the same markup."""

_RUN = """([type, values]) => axe.run(document, {
  runOnly: {type, values}, resultTypes: ['violations'], elementRef: false,
})"""


@cache
def _source() -> str:
    if not SCRIPT.is_file():
        raise RuntimeError(f"{SCRIPT} is missing: run `make setup`, which installs axe-core")
    return SCRIPT.read_text(encoding="utf-8")


def axe_violations(page: Page, *, rules: Sequence[str] = ()) -> list[str]:
    """Violations that axe finds on the page as it is now.

    The script comes in through the debugger, so that it works under every
    Content-Security-Policy.

    Args:
        page: Where to look.
        rules: The only ones that are looked at; by default all of `TAGS`.

    Returns:
        One line for each rule that is broken: its id, what it asks for, and the elements.
    """
    page.evaluate(_source())
    only = ["rule", list(rules)] if rules else ["tag", list(TAGS)]
    found: dict[str, Any] = page.evaluate(_RUN, only)
    return [_line(violation) for violation in found["violations"]]


def _line(violation: dict[str, Any]) -> str:
    targets = ", ".join(str(node["target"][0]) for node in violation["nodes"])
    return f"{violation['id']}: {violation['help']} ({targets})"
