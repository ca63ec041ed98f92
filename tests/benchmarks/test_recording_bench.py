"""The benchmark of recording runs and writes what it should; none of its numbers is judged."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from benchmarks import recording
from benchmarks.apps import MANY, ONE, build
from benchmarks.chart import Bar, bar_chart
from benchmarks.findings import Findings, verdicts
from benchmarks.inprocess import Cost, costs_of, middle_of
from benchmarks.memory import Memory
from benchmarks.plan import ThroughputPlan
from benchmarks.sections import replace_section
from benchmarks.throughput import PLAIN, TYPICAL, Run, Throughput, order_of, shape_of, summary_of
from benchmarks.variants import BARE, LENS, VARIANTS


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a run of a second has written."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "RESULTS.md").write_text(
        "# Results\n\n<!-- bench:other -->\nkept\n<!-- /bench:other -->\n"
    )
    recording.main(["--smoke", "--out", str(folder)])
    return folder


def test_the_results_have_a_row_for_every_variant(written: Path) -> None:
    text = (written / "RESULTS.md").read_text(encoding="utf-8")
    costs = text.partition("### Microseconds per request")[2].partition("\n### ")[0]

    assert re.findall(r"^\| ((?!---| ).+?) \|", costs, re.MULTILINE) == [
        variant.label for variant in VARIANTS.values()
    ]


def test_what_is_not_installed_here_is_said_to_be_not_measured(written: Path) -> None:
    text = (written / "RESULTS.md").read_text(encoding="utf-8")

    assert "| fastapi-lens of PyPI | not measured |" in text
    assert re.search(r"\| \*\*fastapi_lens\*\* \| -?[\d.,]+ \(", text)


def test_the_section_of_another_program_is_left_as_it_was(written: Path) -> None:
    text = (written / "RESULTS.md").read_text(encoding="utf-8")

    assert "<!-- bench:other -->\nkept\n<!-- /bench:other -->" in text
    assert text.count("<!-- bench:recording -->") == 1


def test_the_chart_is_well_formed_and_names_the_lens_and_the_budget(written: Path) -> None:
    words = [element.text for element in ET.parse(written / "chart.svg").iter()]  # noqa: S314  Ours.

    assert "fastapi_lens" in words
    assert "budget 6" in words


def test_bars_that_noise_made_negative_are_drawn_as_nothing() -> None:
    drawn = bar_chart([Bar("slower", -67.0, ours=False)], title="t", unit="u", budget=6.0)

    assert "slower" in [element.text for element in ET.fromstring(drawn).iter()]  # noqa: S314  Ours.


def test_a_section_is_replaced_in_place_and_appended_when_it_is_new() -> None:
    text = replace_section("# Title\n", "one", "first")
    text = replace_section(text, "two", "other")

    assert replace_section(text, "one", r"a\1b") == (
        "# Title\n\n<!-- bench:one -->\na\\1b\n<!-- /bench:one -->\n\n"
        "<!-- bench:two -->\nother\n<!-- /bench:two -->\n"
    )


def test_a_cost_is_the_median_of_the_differences_within_each_round() -> None:
    # The machine was slow in the third round: for both.
    costs = costs_of([{"other": bare + 4.0, BARE: bare} for bare in (50.0, 51.0, 90.0)])

    assert costs["other"].added == 4.0
    assert costs["other"].total == 55.0


def test_of_several_processes_each_number_is_the_median() -> None:
    costs = [
        Cost(50.0, 5.0, 4.0, 6.0, 10),
        Cost(60.0, 3.0, 1.0, 9.0, 10),
        Cost(40.0, 9.0, 5.0, 7.0, 5),
    ]
    assert middle_of(costs) == Cost(50.0, 5.0, 4.0, 7.0, 25)


def test_a_throughput_is_compared_with_the_bare_run_of_the_same_round() -> None:
    runs = [
        Run(name, number, per_second, failed=0)
        for number, bare in enumerate((1_000, 500, 800))
        for name, per_second in ((BARE, bare), ("lens", bare * 0.98))
    ]

    assert summary_of(runs)["lens"].kept == pytest.approx(98.0)


def test_a_pause_in_one_run_of_many_is_lost_time() -> None:
    lens = [1_000] * 9 + [500]
    runs = [Run(BARE, number, 1_000, failed=0) for number in range(10)]
    runs += [Run("lens", number, per_second, failed=0) for number, per_second in enumerate(lens)]
    found = summary_of(runs)["lens"]

    assert found.kept == pytest.approx(95.0)
    assert found.low < 95.0 < found.high <= 100.0


def test_every_round_asks_the_bare_server_and_some_rounds_the_expensive_ones() -> None:
    plan = ThroughputPlan(1, 6, 3, 0.5, 0.1)
    order = order_of([BARE, "lens", "radar"], plan)

    assert sorted(number for number, name in order if name == BARE) == [0, 1, 2, 3, 4, 5]
    assert sorted(number for number, name in order if name == "radar") == [0, 3]


def test_requests_lost_by_the_typical_application_alone_have_a_budget() -> None:
    cost = Cost(50.0, 5.0, 4.0, 6.0, 10)
    lost = Throughput(900.0, kept=90.0, low=89.0, high=91.0, runs=5, failed=0)
    found = Findings(
        {ONE: {LENS: cost}, MANY: {LENS: cost}},
        {TYPICAL + LENS: lost, PLAIN + LENS: lost, LENS: lost},
        {BARE: [1.0], "flushing": [1.1]},
        Memory(before=1, after=1, requests=1),
    )

    judged = [one for one in verdicts(found) if one.what.startswith("requests per second lost")]

    assert [(one.budget, one.measured, one.within) for one in judged] == [
        ("at most 2.5 %", "10.0 %", False),
        ("no budget", "10.0 %", None),
        ("no budget", "10.0 %", None),
    ]


@pytest.mark.parametrize("variant", [BARE, LENS])
def test_the_typical_application_answers_with_three_orders(variant: str, tmp_path: Path) -> None:
    shape = shape_of(TYPICAL + variant)

    with TestClient(build(VARIANTS[variant], shape, tmp_path)) as client:
        orders = client.get(shape.middle).json()
        refused = client.get("/customers/7/orders?limit=0")

    assert [len(order["lines"]) for order in orders] == [5, 5, 5]
    assert refused.status_code == 422
