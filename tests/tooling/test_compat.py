import re
import subprocess
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from scripts import compat, compat_python

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 3, 9)
REPORT = """<testsuites><testsuite>
  <testcase name="a"/><testcase name="b"/>
  <testcase name="c"><skipped message="FastAPI 9 brought it"/></testcase>
  <testcase name="d"><failure message="no"/></testcase>
  <testcase name="e"><error message="no"/></testcase>
</testsuite></testsuites>"""


def pyproject() -> dict[str, dict]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def result(name: str, outcome: compat.Outcome, *, newest: bool = False) -> compat.Result:
    release = compat.Release(name, (f"fastapi=={name}",), newest=newest)
    versions = dict.fromkeys((*compat.SHOWN, "python"), "1.0")
    return compat.Result(release, {**versions, "fastapi": name}, outcome)


def test_the_report_of_pytest_is_what_is_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    found = compat.outcome_of(tmp_path / "report.xml")
    assert found == compat.Outcome(2, 2, Counter({"FastAPI 9 brought it": 1}))


def test_the_table_has_a_row_for_each_release_and_the_reasons_below() -> None:
    left_out = Counter({"FastAPI 9 brought it": 3})
    results = [
        result("0.1", compat.Outcome(10, 0, left_out)),
        result("0.2", compat.Outcome(13, 0, Counter())),
    ]
    document = "before\n{}\nold\n{}\nafter\n".format(*compat.MARKS)
    written = compat.written_into(document, compat.section(results, TODAY))
    assert "Last run: 2026-03-09." in written
    assert "| 0.1 | 1.0 | 1.0 | 1.0 | 1.0 | 1.0 | 10 | 0 | 3 |" in written
    assert "| 0.2 | 1.0 | 1.0 | 1.0 | 1.0 | 1.0 | 13 | 0 | 0 |" in written
    assert "- FastAPI 0.1: 3 because FastAPI 9 brought it" in written
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "old\n" not in written
    assert compat.written_into(written, compat.section(results, TODAY)) == written


def test_a_release_is_good_when_nothing_failed_and_todays_when_nothing_was_left_out() -> None:
    passed, skipped = compat.Outcome(1, 0, Counter()), compat.Outcome(1, 0, Counter("x"))
    assert result("0.1", passed).good
    assert result("0.1", skipped).good
    assert result("0.2", passed, newest=True).good
    assert not result("0.2", skipped, newest=True).good
    assert not result("0.1", compat.Outcome(1, 1, Counter())).good
    assert not result("0.1", compat.Outcome(0, 0, Counter())).good


def test_the_oldest_of_all_is_what_pyproject_declares() -> None:
    declared = {
        "dependencies": ["fastapi>=0.115", "python-multipart>=0.0.18"],
        "optional-dependencies": {
            "cli": ["rich>=13"],
            "demo": ["uvicorn>=0.32"],
            "mysql": [],
            "postgresql": ["psycopg[binary]>=3.2.1"],
        },
    }
    oldest = ("fastapi==0.115", "python-multipart==0.0.18", "rich==13", "psycopg[binary]==3.2.1")
    assert compat.minimums(declared) == oldest
    assert compat.names_of(oldest) == ["fastapi", "python-multipart", "rich", "psycopg"]
    with pytest.raises(ValueError, match="not a plain minimum"):
        compat.minimums({**declared, "dependencies": ["fastapi"]})


def test_an_environment_is_made_again_when_something_else_is_asked_for() -> None:
    declared = pyproject()
    old, newest = (
        compat.Release("a", ("fastapi==0.1",)),
        compat.Release("b", ("fastapi",), newest=True),
    )
    asked = compat.fingerprint(old, declared, TODAY)
    tomorrow = date(2026, 3, 10)
    assert compat.fingerprint(old, declared, tomorrow) == asked
    assert compat.fingerprint(compat.Release("a", ("fastapi==0.2",)), declared, TODAY) != asked
    assert compat.fingerprint(newest, declared, TODAY) != compat.fingerprint(
        newest, declared, tomorrow
    )


def test_every_folder_of_tests_that_is_run_is_there() -> None:
    for folder in (*compat.TESTS, *compat.OF_BOUNDS, *compat_python.TESTS):
        assert list((ROOT / folder).rglob("test_*.py")), folder


def test_a_run_that_pytest_could_not_begin_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    no_such_folder: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], 4)
    versions = dict.fromkeys((*compat.SHOWN, "python"), "1.0")
    monkeypatch.setattr(compat, "versions_in", lambda *_: versions)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: no_such_folder)
    with pytest.raises(SystemExit, match="could not run the tests"):
        compat.outcome_with(compat.Release("a", ()), Path("python"))


def test_unknown_releases_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert compat.main(["0.1"]) == 2
    assert "oldest, 0.128, 0.136, 0.137, newest" in capsys.readouterr().err


def test_the_last_result_is_that_of_what_is_declared_and_a_good_one() -> None:
    begin, end = compat.MARKS
    document = compat.DOCUMENT.read_text().partition(begin)[2].partition(end)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in document.splitlines()
        if re.match(r"\| \d", line)
    ]
    fastapi, failed, left_out = 0, -2, -1
    wanted = compat.releases(pyproject()["project"])
    assert len(rows) == len(wanted)
    assert all(int(row[failed]) == 0 for row in rows)
    assert int(rows[-1][left_out]) == 0
    for row, release in zip(rows, wanted, strict=True):
        (asked,) = {
            each.partition("==")[2].removesuffix(".*")
            for each in release.requirements
            if each.startswith("fastapi")
        }
        assert (row[fastapi] + ".").startswith(asked and asked + ".")
    for requirement in compat.minimums(pyproject()["project"]):
        assert re.sub(r"(\[\w+\])?==", " ", requirement) in document
