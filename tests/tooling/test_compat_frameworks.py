"""`make compat-frameworks` and the table of docs/frameworks.md are one."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts import compat_frameworks, compat_python, frameworks
from scripts.interpreters import Interpreter, NoInterpreterError

pytestmark = pytest.mark.unit

TODAY = date(2026, 3, 9)


def test_the_table_has_a_row_for_each_recipe_and_a_line_for_what_was_not_tried() -> None:
    results = {"3.11": {"mcp": True, "users": True}, "3.14": {"mcp": True, "users": False}}
    written = compat_frameworks.section(results, ["Python 3.13: there is none"], TODAY)
    assert written.splitlines() == [
        "Last run: 2026-03-09.",
        "",
        "| recipe | Python 3.11 | Python 3.14 |",
        "| --- | --- | --- |",
        "| mcp | passes | passes |",
        "| users | passes | **fails** |",
        "",
        "- Not tried: Python 3.13: there is none",
    ]


@pytest.mark.parametrize(
    ("lacking", "failing", "code"), [("", "", 0), ("3.14", "", 1), ("", "mcp", 1)]
)
def test_a_run_is_good_when_every_recipe_passes_on_every_version_that_was_asked_for(
    lacking: str,
    failing: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def obtained(version: str) -> Interpreter:
        if version == lacking:
            raise NoInterpreterError("this lacks the program debootstrap")
        return Interpreter(version)

    def outcomes_on(*_: Any) -> compat_frameworks.Outcomes:
        return {name: name != failing for name in ("mcp", "users")}

    monkeypatch.setattr(compat_frameworks, "obtain", obtained)
    monkeypatch.setattr(compat_frameworks, "environment_of", lambda *_: Path("python"))
    monkeypatch.setattr(compat_frameworks, "outcomes_on", outcomes_on)

    assert compat_frameworks.main(["3.12", "3.14"]) == code
    assert "| recipe | Python 3.12" in capsys.readouterr().out


def test_unknown_versions_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert compat_frameworks.main(["2.7"]) == 2
    assert "3.11, 3.12, 3.13, 3.14" in capsys.readouterr().err


def test_in_the_last_run_every_recipe_passed_on_the_newest_python() -> None:
    begin, end = compat_frameworks.MARKS
    text = compat_frameworks.DOCUMENT.read_text(encoding="utf-8")
    lines = text[text.index(begin) : text.index(end)].splitlines()
    head, *rows = [line.strip("| ").split(" | ") for line in lines if re.match(r"\| \w", line)]
    assert head[0] == "recipe"
    assert head[-1] == f"Python {compat_python.VERSIONS[-1]}"
    assert [row[0] for row in rows] == [each.stem for each in frameworks.recipes()]
    assert {cell for row in rows for cell in row[1:]} == {"passes"}
