"""`make compat-python` and what the project says of Python's versions are one."""

import re
import tomllib
from collections import Counter
from datetime import date
from typing import Any

import pytest

from scripts import compat, compat_python
from scripts.interpreters import Interpreter, NoInterpreterError

pytestmark = pytest.mark.unit

TODAY = date(2026, 3, 9)
PROJECT = tomllib.loads((compat.ROOT / "pyproject.toml").read_text())["project"]


def result(python: str, outcome: compat.Outcome) -> compat.Result:
    versions = dict.fromkeys(compat_python.SHOWN, "1.0") | {"python": python}
    return compat.Result(compat.Release("a", ()), versions, outcome)


def test_the_table_has_a_row_for_each_run_and_a_line_for_what_was_not_tried() -> None:
    results = [
        result("3.11.7", compat.Outcome(10, 0, Counter("xx"))),
        result("3.12.1", compat.Outcome(11, 2, Counter())),
    ]
    text = compat_python.section(results, ["Python 3.15: no suite"], TODAY)

    assert "Last run: 2026-03-09." in text
    assert "| 3.11.7 | 1.0 | 1.0 | 1.0 | 1.0 | 10 | 0 | 2 |" in text
    assert "| 3.12.1 | 1.0 | 1.0 | 1.0 | 1.0 | 11 | 2 | 0 |" in text
    assert text.endswith("\n\n- Not tried: Python 3.15: no suite")
    assert "Not tried" not in compat_python.section(results, [], TODAY)


def test_each_python_is_tried_with_the_oldest_and_todays_fastapi() -> None:
    oldest, newest = compat_python.releases("3.13", PROJECT)

    assert (oldest.requirements, newest.requirements) == (("fastapi==0.115",), ("fastapi",))
    assert (oldest.newest, newest.newest) == (False, True)


def test_unknown_versions_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert compat_python.main(["2.7"]) == 2
    assert "3.11, 3.12, 3.13, 3.14" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failed", "lacking", "code"), [(0, [], 0), (1, [], 1), (0, ["3.14"], 1), (0, ["3.13"], 0)]
)
def test_what_failed_or_was_not_tried_is_no_success(
    failed: int,
    lacking: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def obtained(version: str) -> Interpreter:
        if version in lacking:
            raise NoInterpreterError("this lacks the program debootstrap")
        return Interpreter(version)

    def outcome_with(_: Any, python: str, interpreter: Interpreter) -> compat.Result:
        return result(interpreter.program, compat.Outcome(5, failed, Counter()))

    monkeypatch.setattr(compat_python, "obtain", obtained)
    monkeypatch.setattr(compat, "environment_of", lambda *_: "python")
    monkeypatch.setattr(compat, "outcome_with", outcome_with)

    assert compat_python.main(["3.12", "3.14"]) == code
    shown = capsys.readouterr()
    assert "| 3.12 |" in shown.out
    assert ("Python 3.14: this lacks the program debootstrap" in shown.err) == ("3.14" in lacking)


def test_the_versions_that_the_classifiers_name_are_those_that_passed() -> None:
    document = compat.DOCUMENT.read_text()
    begin, end = compat_python.MARKS
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in document[document.index(begin) : document.index(end)].splitlines()
        if re.match(r"\| \d", line)
    ]
    passed = [".".join(row[0].split(".")[:2]) for row in rows if row[-2] == "0"]
    named = [
        each.rpartition(" ")[2]
        for each in PROJECT["classifiers"]
        if re.search(r"Python :: 3\.\d", each)
    ]

    assert named == list(compat_python.VERSIONS)
    assert passed == [version for version in named for _ in ("oldest", "newest")]
    assert PROJECT["requires-python"] == f">={named[0]}"
