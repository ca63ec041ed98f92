"""Mutation testing: its results are good enough, and each survivor has a reason that still fits."""

import re
from collections import Counter
from configparser import ConfigParser
from datetime import date

import pytest

from scripts import mutation
from scripts.mutation import MODULES, PACKAGE, Change, Module, Run

pytestmark = pytest.mark.unit

ROOT = mutation.ROOT
RESULTS = mutation.RESULTS.read_text(encoding="utf-8")
REASONS = mutation.reasons_in(mutation.REASONS.read_text(encoding="utf-8"))
CHANGE = Change("fastapi_lens/a.py", "if a | b:", "if a & b:")
DIFF = """--- fastapi_lens/a.py
+++ fastapi_lens/a.py
@@ -1,4 +1,4 @@
 def f(a, b):
-    if a | b:
+    if a & b:
         return 1
"""


SECTIONS = dict(re.findall(r"<!-- bench:([\w-]+) -->(.*?)<!-- /bench:\1 -->", RESULTS, re.DOTALL))
"""The results by module."""


@pytest.mark.parametrize("name", MODULES)
def test_the_files_and_the_tests_of_a_module_exist(name: str) -> None:
    for pattern in MODULES[name].files:
        assert [*(ROOT / PACKAGE).glob(pattern)], pattern
    for path in MODULES[name].tests:
        assert (ROOT / "tests" / path).exists(), path


def test_each_module_has_results_and_no_other_has() -> None:
    assert SECTIONS.keys() == MODULES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_tests_kill_most_mutants_of_a_module_and_each_survivor_has_a_reason(name: str) -> None:
    found = re.search(r": (\d+) of (\d+) mutants killed", SECTIONS.get(name, ""))
    assert found
    killed, run = int(found[1]), int(found[2])
    assert killed >= mutation.LEAST_KILLED * run
    reasons = re.findall(r"^\| ``.* → .* \| (.*) \|$", SECTIONS[name], re.MULTILINE)
    assert len(reasons) == run - killed
    assert set(reasons) <= set(REASONS.values())


@pytest.mark.parametrize("change", REASONS, ids=lambda change: f"{change.file}: {change.mutant}")
def test_a_reason_is_about_a_line_that_the_code_still_has(change: Change) -> None:
    lines = (ROOT / change.file).read_text(encoding="utf-8").splitlines()
    assert change.line in " ".join(line.strip() for line in lines)
    assert change.line != change.mutant
    assert REASONS[change].strip()


def test_the_settings_name_the_files_the_tests_and_the_time_limit() -> None:
    parser = ConfigParser()
    parser.read_string(mutation.settings_of(Module(("a.py", "b/*.py"), ("test_a.py",))))
    settings = parser["mutmut"]
    assert settings["only_mutate"].split() == [f"{PACKAGE}/a.py", f"{PACKAGE}/b/*.py"]
    assert settings["pytest_add_cli_args_test_selection"].split() == ["tests/test_a.py"]
    assert settings.getfloat("timeout_constant") == mutation.LEAST_SECONDS


def test_a_change_is_told_by_its_lines() -> None:
    assert mutation.change_of("fastapi_lens/a.py", DIFF) == CHANGE
    removed = DIFF.replace("+    if a & b:\n", "")
    assert mutation.change_of("fastapi_lens/a.py", removed) == CHANGE._replace(mutant="")


def test_a_run_counts_what_no_test_noticed_as_survivors() -> None:
    run = Run(10, Counter({"killed": 6, "timeout": 1, "survived": 2, "no tests": 1}), (CHANGE,))
    assert (run.killed, run.share) == (7, 0.7)
    assert mutation.faults("a", run, {}) == [
        "a: no reason for fastapi_lens/a.py: if a | b: → if a & b:",
        "a: 70.0% killed, at least 85% are asked for",
    ]
    good = Run(10, Counter({"killed": 9, "survived": 1}), (CHANGE,))
    assert mutation.faults("a", good, {CHANGE: "the same"}) == []


def test_the_section_of_a_module_says_how_many_were_run_and_why_the_others_live() -> None:
    run = Run(10, Counter({"killed": 4, "survived": 1}), (CHANGE,))
    text = mutation.section("a", run, {CHANGE: "Both are the same."}, date(2026, 11, 30))
    assert "2026-11-30: 4 of 5 mutants killed, 80.0% (4 killed, 1 survived)." in text
    assert "5 of 10 mutants were run: a random sample, seed 24." in text
    row = r"| `` fastapi_lens/a.py ``: `` if a \| b: `` → `` if a & b: `` | Both are the same. |"
    assert row in text
    assert "none yet" in mutation.section("a", run, {}, date(2026, 11, 30))


def test_reasons_are_read_by_the_line_and_its_mutants() -> None:
    text = """
        [[survivor]]
        file = "a.py"
        line = "if a | b:"
        mutants = ["if a & b:"]
        reason = "Both are the same."
    """
    assert mutation.reasons_in(text) == {CHANGE: "Both are the same."}
