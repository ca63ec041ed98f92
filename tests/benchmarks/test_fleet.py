"""The benchmark of fleets runs and shows what it should; none of its numbers is judged."""

import re
from dataclasses import replace

import pytest

from benchmarks import fleet
from benchmarks.fleet_results import Findings, Measured, verdicts
from benchmarks.fleet_watch import Look
from benchmarks.fleet_workers import Told


def _measured(
    lags: list[float], *, flushes: int = 10, is_first_edition: bool = False, interval: float = 0.3
) -> Measured:
    told = Told(flushes=flushes, flush_cpu=0.5, intervals=[interval])
    return Measured(
        workers=6,
        endpoints=5,
        is_first_edition=is_first_edition,
        seconds=1.0,
        first=told,
        others=Told(),
        server_cpu=0.1,
        machine_cpu=1.0,
        looks=[Look(1.0, lag, 3) for lag in lags],
    )


def _within(today: Measured, first_edition: Measured) -> list[bool | None]:
    found = Findings((today, first_edition), [4.0], [2.0], [1.0])
    return [verdict.within for verdict in verdicts(found, fleet.SMOKE)]


def test_a_fleet_keeps_up_while_its_lag_does_not_grow() -> None:
    first_edition = _measured([0.0], flushes=1, is_first_edition=True)

    assert _within(_measured([2.0, 5.0, 3.0, 5.5]), first_edition) == [True] * 4
    assert _within(_measured([2.0, 2.0, 2.0, 5.5]), first_edition) == [False, True, True, True]


def test_a_fleet_that_flushes_less_often_does_not_keep_up() -> None:
    today = _measured([1.0])

    assert today.keeps_up(0.3)
    assert not replace(today, first=Told(intervals=[0.6])).keeps_up(0.3)


def test_cpu_is_compared_by_the_flush() -> None:
    first_edition = _measured([0.0], flushes=9, is_first_edition=True)

    assert _within(_measured([0.0], flushes=90), first_edition)[1]
    assert not _within(_measured([0.0], flushes=89), first_edition)[1]


@pytest.mark.postgres
def test_it_runs_and_shows_each_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    fleet.main(["--smoke"])
    shown = capsys.readouterr().out

    rows = re.findall(
        r"^\| (today|first edition) \| (\d+) \| 5 \| .* \| (\d+) \|$", shown, re.MULTILINE
    )
    assert rows == [("today", "1", "0"), ("today", "6", "0"), ("first edition", "6", "0")]
    assert "| at most 5 ms |" in shown
