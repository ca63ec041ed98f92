"""The README's costs agree with the latest benchmark results."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def section_of(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.search(r"<!-- bench:recording -->(.*?)<!-- /bench:recording -->", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def rows_of(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_every_number_of_the_readme_stands_in_the_results() -> None:
    quoted = rows_of(section_of("README.md"))
    measured = rows_of(section_of("benchmarks/RESULTS.md").partition("### Budgets")[2])

    assert len(quoted) >= 5
    assert [row for row in quoted if row not in [known[:3] for known in measured]] == []


def test_the_results_hold_a_full_run_and_name_its_day_and_machine() -> None:
    first = section_of("benchmarks/RESULTS.md").partition("\n| ")[0]

    assert re.search(r"Measured \d{4}-\d\d-\d\d by `make bench` on .+, \d+ cores?, ", first)
