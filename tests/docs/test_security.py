"""The page about security names tests that there are, and an answer to every attack."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ATTACKS = (
    *("any route by any method", "forged forms (CSRF)", "clickjacking", "open redirect"),
    *("session fixation", "timing of the comparison", "header injection", "path injection"),
    *("stored scripts (XSS)", "formulas", "SQL and its wildcards", "caches", "DNS rebinding"),
    *("forwarding headers", "make fuzz", "patterns and texts", "a known key", "guesses"),
    *("reports at once without a key", "reports at once with a key"),
    *("reviving a session", "?report_key=", "cookies of the session's name"),
    *("keys tried from many networks", "a flood of wrong keys"),
    *("through the application's CORS", "signs in, or tries keys", "around the dependencies"),
    *("made-up `Origin`", "no-referrer"),
)


def rows(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[1:]]


def defined_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_has_a_row_of_its_own(attack: str) -> None:
    assert sum(attack in cells[0] for cells in rows("What was tried")) == 1


def test_every_row_says_what_comes_of_it_and_names_a_test_that_there_is() -> None:
    for attack, outcome, named in rows("What was tried"):
        assert outcome, attack
        found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", named)
        assert found, attack
        assert named.count("`") == 2 * len(found)
        for path, name in found:
            assert name in defined_in(path), f"{path} has no {name}"


def test_every_promise_is_held_by_a_file_of_tests_that_there_is() -> None:
    for promise, named in rows("What is promised"):
        paths = re.findall(r"`(tests/[\w/]+\.py)`", named)
        assert paths, promise
        for path in paths:
            assert any(name.startswith("test_") for name in defined_in(path)), promise
