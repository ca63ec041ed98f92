from xml.etree import ElementTree as ET

import pytest

from fastapi_lens.admin.display.charts import CLASSES, Line, Table, by_hour, over_time
from fastapi_lens.reporting.model import Point, Series, Usage, WeekHours
from tests.admin.make import usage

pytestmark = pytest.mark.unit

BEGIN = 1_775_224_800


def series_of(*used: Usage, step: int = 3_600, divides: bool = True) -> Series:
    return Series(
        step,
        tuple(
            Point(BEGIN + step * n, BEGIN + step * (n + 1), one, divides)
            for n, one in enumerate(used)
        ),
    )


def narrow(start: int, end: int) -> str:
    return f"?{start}-{end}"


def numbers(table: Table, line: Line) -> dict[str, str]:
    """The cells of a line by column."""
    return dict(zip(table.head[1:], line.cells, strict=True))


@pytest.fixture
def series() -> Series:
    return series_of(
        usage(100, redirects=10, errors_4xx=5, errors_5xx=1, ms=20), usage(), usage(40, ms=90)
    )


def test_the_table_has_the_numbers_of_all_charts_newest_first(series: Series) -> None:
    shown = over_time(series, narrow=narrow, ends_now=True)
    assert shown.table.head[:9] == (
        *("From (UTC)", "Calls", "2xx", "3xx", "4xx", "5xx", "p50 ms", "p95 ms", "p99 ms"),
    )
    assert shown.table.lines[0].label == "3 Apr 16:00"
    assert shown.table.lines[0].href == f"?{BEGIN + 7_200}-{BEGIN + 10_800}"
    newest, empty, oldest = (numbers(shown.table, line) for line in shown.table.lines)
    counts = ("Calls", *CLASSES)
    percentiles = ("p50 ms", "p95 ms", "p99 ms")
    assert [newest[name] for name in counts] == ["40", "40", "0", "0", "0"]
    assert [empty[name] for name in (*counts, *percentiles)] == [*"00000", "–", "–", "–"]
    assert [oldest[name] for name in counts] == ["100", "84", "10", "5", "1"]
    assert [float(oldest[name]) for name in percentiles] == pytest.approx([20] * 3, rel=0.02)
    # All calls of a step lie in one band, whose name says how long they took.
    bands = {name: calls for name, calls in oldest.items() if calls and "–" in name}
    assert bands == {"17 ms–25 ms": "100"}


def test_charts_share_their_steps_and_scales_are_round(series: Series) -> None:
    shown = over_time(series, narrow=narrow, ends_now=False)
    calls, histogram, heat = shown.charts
    assert calls.scale == ("100", "0")
    assert histogram.scale == ("100 ms", "0")
    assert "Calls per hour by status class, 140 in all" in calls.svg
    assert [name for name, _ in heat.legend] == ["≤ 48", "≤ 57", "≤ 69", "≤ 83", "≤ 100 calls"]
    assert shown.ticks == ["3 Apr 14:00", "3 Apr 15:00", "3 Apr 16:00"]
    assert shown.last == "3 Apr 17:00"
    links = ET.fromstring(shown.columns).findall("a")  # noqa: S314  Our own.
    assert [link.attrib["href"] for link in links] == [
        line.href for line in reversed(shown.table.lines)
    ]


def test_a_step_that_is_as_fine_as_can_be_leads_nowhere() -> None:
    shown = over_time(series_of(usage(1), step=60, divides=False), narrow=narrow, ends_now=True)
    assert "<a" not in shown.columns
    assert [line.href for line in shown.table.lines] == [""]
    assert shown.last == "now"


def test_charts_of_no_calls_have_scales_all_the_same() -> None:
    shown = over_time(series_of(*[usage()] * 8), narrow=narrow, ends_now=True)
    calls, histogram, heat = shown.charts
    assert (calls.scale, histogram.scale) == (("1", "0"), ("1 ms", "0"))
    assert heat.legend == []
    assert "<path" not in heat.svg
    assert len(shown.ticks) == 4


def test_bands_of_very_different_durations_are_whole_octaves_with_few_labels() -> None:
    shown = over_time(series_of(usage(1, ms=0.1), usage(1, ms=9e5)), narrow=narrow, ends_now=True)
    names = shown.table.head[9:]
    assert names[0] == "<0.26 ms"
    assert names[1] == "0.26 ms–0.52 ms"
    assert names[-1].startswith("550 s")
    scale = shown.charts[2].scale
    assert len(scale) == len(names)
    assert 1 < sum(1 for text in scale if text) <= 7


def test_the_hours_of_the_week_are_means_of_those_that_were_looked_at() -> None:
    calls, hours = [0] * 168, [0] * 168
    calls[24], hours[24] = 9, 2
    calls[167], hours[167] = 700, 1
    shown = by_hour(WeekHours(BEGIN - 86_400, BEGIN, tuple(calls), tuple(hours)))
    assert shown.chart.note == "Average calls per hour, 2 Apr 2026 14:00 – 3 Apr 2026 14:00 UTC"
    assert shown.chart.legend[-1] == ("≤ 700 calls per hour", "h5")
    days = {line.label: numbers(shown.table, line) for line in shown.table.lines}
    assert set(days["Mon"].values()) == {"–"}
    assert days["Tue"]["00"] == "4.5"
    assert days["Sun"]["23"] == "700"
    assert shown.ticks == ["00:00", "06:00", "12:00", "18:00"]
    # Sunday is at the bottom, in the darkest colour.
    assert '<path class="h5" d="M23 6h1v1H23z"/>' in shown.chart.svg


def test_before_an_hour_is_over_nothing_can_be_said_of_the_week() -> None:
    shown = by_hour(WeekHours(BEGIN, BEGIN, (0,) * 168, (0,) * 168))
    assert shown.chart.note == "Needs one full hour of data."
    assert shown.chart.legend == []


def test_hours_in_which_nobody_called_are_said_in_words() -> None:
    shown = by_hour(WeekHours(BEGIN - 86_400, BEGIN, (0,) * 168, (1,) * 168))
    assert shown.chart.note == "No calls, 2 Apr 2026 14:00 – 3 Apr 2026 14:00 UTC"
    assert shown.chart.legend == []
