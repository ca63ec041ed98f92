from collections.abc import Sequence

import pytest

from fastapi_lens.admin.display.app_charts import MOST_MARKS, app_charts
from fastapi_lens.reporting.evidence.observation import Release
from fastapi_lens.reporting.model import Point, Series, Usage
from fastapi_lens.reporting.series.app_series import AppSeries
from tests.admin.make import usage

pytestmark = pytest.mark.unit

BEGIN, STEP = 1_775_224_800, 10_800


def series(used: Sequence[Usage], step: int = STEP) -> Series:
    points = (Point(BEGIN + step * n, BEGIN + step * (n + 1), one) for n, one in enumerate(used))
    return Series(step, tuple(points))


def release(name: str, at: float) -> Release:
    return Release(id=1, name=name, first_at=at, last_at=at)


def of(used: Sequence[Usage], before: tuple[int, ...] = ()) -> AppSeries:
    return AppSeries(series(used), series(used), before)


FOUR = [usage(100, errors_5xx=10, errors_4xx=20), usage(), usage(19, errors_5xx=19), usage(40)]


def test_all_charts_have_the_same_steps_and_one_table() -> None:
    shown, marks = app_charts(of(FOUR), [], ends_now=True, before="7 days before")
    assert [chart.name for chart in shown.charts] == ["calls", "errors", "latency"]
    assert (len(shown.ticks), shown.last, marks) == (4, "now", "")
    assert shown.table.summary == "As a table, per 3 hours"
    assert [line.cells[0] for line in shown.table.lines] == ["40", "19", "0", "100"]
    assert shown.table.lines[-1].cells[1:5] == ("70", "0", "20", "10")
    assert shown.table.lines[-2].cells[5:] == ("–", "–", "–")
    assert shown.columns.count("<rect") == 4


def test_the_period_before_is_a_line_with_its_name() -> None:
    calls = app_charts(of(FOUR, (150, 1, 2, 3)), [], ends_now=True, before="7 days before")[0]
    assert ("7 days before", "prev") in calls.charts[0].legend
    assert calls.charts[0].scale == ("150", "0")
    without = app_charts(of(FOUR), [], ends_now=True, before="7 days before")[0].charts[0]
    assert (len(without.legend), without.scale) == (4, ("100", "0"))


def test_a_few_calls_have_no_share_of_errors() -> None:
    errors = app_charts(of(FOUR), [], ends_now=False, before="")[0].charts[1]
    # The third step failed as a whole, but has too few calls.
    assert errors.scale == ("20%", "0")


def test_a_period_without_calls_has_empty_charts() -> None:
    shown, _ = app_charts(of([usage(), usage()]), [], ends_now=False, before="")
    assert shown.last == "3 Apr 20:00"
    assert shown.ticks == ["3 Apr 14:00", "3 Apr 17:00"]
    assert shown.charts[1].scale == ("1%", "0")


def test_longer_steps_of_durations_are_in_the_table_where_they_begin() -> None:
    found = AppSeries(series(FOUR), series([usage(119, ms=90), usage(59, ms=90)], 2 * STEP))
    shown = app_charts(found, [], ends_now=True, before="")[0]
    assert [line.cells[6] != "–" for line in shown.table.lines[::-1]] == [True, False, True, False]
    assert "per 6 hours" in shown.charts[2].svg


def test_releases_of_the_period_are_marked_the_latest_ones_with_their_names() -> None:
    end = BEGIN + 4 * STEP
    inside = [release(f"1.{n}", BEGIN + 600 * (n + 1)) for n in range(MOST_MARKS + 2)]
    outside = [release("0.9", BEGIN - 1), release("", BEGIN + 5), release("9.9", end)]
    marks = app_charts(of(FOUR), [*inside, *outside], ends_now=True, before="")[1]
    assert marks.count("<line") == MOST_MARKS
    assert "release 1.2" in marks
    assert "release 1.1<" not in marks
    assert "release 9.9" not in marks


def test_the_name_of_a_release_is_text() -> None:
    marks = app_charts(of(FOUR), [release("<b>&", BEGIN + 9)], ends_now=True, before="")[1]
    assert marks.count("release &lt;b&gt;&amp;") == 2
