"""The simulation of endpoints on behaviours whose truth is known by hand."""

from pathlib import Path

import pytest

from benchmarks.verdict import main
from benchmarks.verdict_behaviours import HELD_OUT, MAIN, load
from benchmarks.verdict_results import section
from benchmarks.verdict_world import NIGHTS_OFF, WHOLE, Outcome, Run, outcomes_of

BEHAVIOURS = """
def daily(random, first, last):
    return range(first, last)

def twice(random, first, last):
    return [100, 800]

kind("daily", "steady", daily, n=1)
kind("daily, stops", "stopped", daily, n=1, stops=True)
kind("called twice", "irregular", twice, n=1)
"""


@pytest.fixture
def behaviours(tmp_path: Path) -> str:
    path = tmp_path / "behaviours.py"
    path.write_text(BEHAVIOURS, encoding="utf-8")
    return str(path)


def outcomes(behaviours: str, observation: str = WHOLE) -> list[Outcome]:
    return outcomes_of(Run(behaviours, observation, has_ledger=False, seed=2))


def test_verdicts_of_known_behaviours_come_true_as_counted_by_hand(behaviours: str) -> None:
    daily, stops, twice = outcomes(behaviours)

    assert daily.days == stops.days == twice.days == 1_260
    assert (daily.safe_wrong, daily.probably_wrong) == (0, 0)
    assert (stops.first_probably, stops.first_safe) == (32, 401)
    # Silent since day 100, safe from day 501 on, and called on day 800.
    assert twice.safe_wrong == 299
    # Wrong as long as a call comes within 400 days: from day 400 on, when probably had begun.
    assert twice.probably_wrong == 400
    assert twice.rules_wrong[180] == 400
    # And until the first call, on which it was never called before.
    assert twice.rules_wrong[90] == 400 + 9
    assert twice.rules_wrong[0] == 400 + 100


def test_an_endpoint_that_is_never_fully_observed_is_never_unused(behaviours: str) -> None:
    assert [
        (each.probably_wrong, each.first_probably) for each in outcomes(behaviours, NIGHTS_OFF)
    ] == [(0, None)] * 3


def test_the_section_has_a_row_for_each_group_of_the_file(behaviours: str) -> None:
    text = section(outcomes(behaviours), command="make bench-verdict")

    assert "| whole | irregular | 1 | 1 | 0 | 1 | 0 |" in text
    assert "| daily, stops | 1 | 32 d, at most 32 d (1) | 401 d, at most 401 d (1) |" in text


def test_the_simulation_has_as_many_endpoints_as_were_promised() -> None:
    assert sum(each.count for each in load(MAIN)) == 428
    assert not {each.name for each in load(MAIN)} & {each.name for each in load(HELD_OUT)}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (None, " cannot be run: FileNotFoundError: "),
        ("x = (", " cannot be run: SyntaxError: '(' was never closed"),
        ("kind('a', 'steady', color=3)", " cannot be run: TypeError: "),
        ("", " registers nothing: call kind(name, group, *generators)"),
        ("kind('a', 'steady', stops=True)", ": 'a': it has no caller that could stop"),
        ("kind('a', 'steady', 5)", ": 'a': TypeError: 'int' object is not callable"),
        ("kind('a', 'steady', lambda *_: 1 / 0)", ": 'a': ZeroDivisionError: division by zero"),
        ("kind('a', 'steady', lambda *_: None)", ": 'a': TypeError: 'NoneType' object is not iter"),
        (
            "kind('a', 'steady', noise=lambda *_: [0.5])",
            ": 'a': a generator must give day numbers as int, not 0.5",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str | None, problem: str
) -> None:
    file = tmp_path / "behaviours.py"
    if source is not None:
        file.write_text(source, encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        main(["--quick", "--behaviours", str(file)])

    assert ended.value.code == 2
    assert f"error: {file}{problem}" in capsys.readouterr().err
