"""Charts of many endpoints together over time: calls, errors and latency. No I/O."""

from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.charts import (
    CLASSES,
    PERCENTILES,
    TICKS,
    Chart,
    Line,
    OverTime,
    Table,
    classes_of,
    latency_chart,
)
from fastapi_lens.reporting.app_series import AppSeries
from fastapi_lens.reporting.model import Series, Usage
from fastapi_lens.reporting.observation import Release

CALLS_HEAD = ("From (UTC)", "Calls", *CLASSES)
"""Columns of the numbers of calls."""

MOST_MARKS = 6
"""Releases that a chart names; the latest ones."""

FEWEST_CALLS = 20
"""Calls of a step below which it has no share of errors: one more would change all."""


def app_charts(
    series: AppSeries, releases: Sequence[Release], *, ends_now: bool, before: str
) -> tuple[OverTime, Markup]:
    """The charts over one axis, and the marks of releases over them.

    Args:
        series: With one step at least.
        releases: Of the app, in any order.
        ends_now: True if the last step is not over.
        before: Name of the period before: ``7 days before``.
    """
    step = formats.step_length(series.calls.step_seconds)
    durations = series.durations
    charts = (
        _calls(series, step, before),
        _errors(series.calls, step),
        latency_chart(durations, formats.step_length(durations.step_seconds)),
    )
    shown = _over_time(series.calls, charts, _table(series, step), ends_now=ends_now)
    return shown, _marks(series.calls, releases)


def calls_over_time(
    series: AppSeries, releases: Sequence[Release], *, ends_now: bool, before: str
) -> tuple[OverTime, Markup]:
    """The chart of calls alone, and the marks of releases over it; see `app_charts`."""
    step = formats.step_length(series.calls.step_seconds)
    charts = (_calls(series, step, before),)
    shown = _over_time(series.calls, charts, _calls_table(series.calls, step), ends_now=ends_now)
    return shown, _marks(series.calls, releases)


def _over_time(calls: Series, charts: Sequence[Chart], table: Table, *, ends_now: bool) -> OverTime:
    labels = _labels(calls)
    few = len(labels) < TICKS
    return OverTime(
        charts=charts,
        columns=svg.columns_of([""] * len(labels)),
        ticks=labels if few else [labels[len(labels) * tick // TICKS] for tick in range(TICKS)],
        last="now" if ends_now else formats.step_label(calls.points[-1].end, calls.step_seconds),
        table=table,
    )


def _labels(calls: Series) -> list[str]:
    return [formats.step_label(point.start, calls.step_seconds) for point in calls.points]


def _calls(series: AppSeries, step: str, before: str) -> Chart:
    columns = [classes_of(point.usage) for point in series.calls.points]
    most = max((sum(column) for column in columns), default=0)
    peak = svg.nice_ceiling(max(most, max(series.before, default=0)))
    legend = [(name, f"c{name[0]}") for name in CLASSES]
    return Chart(
        name="calls",
        heading="Calls",
        svg=svg.stacked_bars(
            columns,
            classes=[css for _, css in legend],
            peak=peak,
            title=f"Calls per {step} by status class, {sum(map(sum, columns)):,} in all",
            line=series.before,
        ),
        legend=[*legend, *([(before, "prev")] if series.before else [])],
        scale=(f"{peak:,.0f}", "0"),
    )


def _errors(series: Series, step: str) -> Chart:
    shares = [_shares(point.usage) for point in series.points]
    known = [share for pair in shares for share in pair if share is not None]
    peak = svg.nice_ceiling(max(known, default=0) * 100) / 100
    return Chart(
        name="errors",
        heading="Errors, share of calls",
        svg=svg.lines(
            list(zip(*shares, strict=True)),
            classes=("e5", "e4"),
            peak=peak,
            title=f"Share of calls that were answered with 5xx and 4xx, per {step}",
        ),
        legend=(("5xx", "e5"), ("4xx", "e4")),
        scale=(f"{peak * 100:g}%", "0"),
    )


def _shares(usage: Usage) -> tuple[float | None, float | None]:
    if usage.calls < FEWEST_CALLS:
        return None, None
    return usage.errors_5xx / usage.calls, usage.errors_4xx / usage.calls


def _table(series: AppSeries, step: str) -> Table:
    durations = {point.start: point.usage for point in series.durations.points}
    lines: list[Line] = []
    for line, point in zip(_calls_lines(series.calls), series.calls.points, strict=True):
        timed = durations.get(point.start, Usage())
        times = timed.percentiles_ms if timed.calls else (None, None, None)
        durations_ms = (
            formats.NOTHING if each is None else formats.milliseconds(each) for each in times
        )
        lines.append(replace(line, cells=(*line.cells, *durations_ms)))
    head = (*CALLS_HEAD, *(f"{name} ms" for name in PERCENTILES))
    return Table("numbers", f"As a table, per {step}", head, lines[::-1])


def _calls_table(calls: Series, step: str) -> Table:
    lines = _calls_lines(calls)[::-1]
    return Table("numbers", f"As a table, per {step}", CALLS_HEAD, lines)


def _calls_lines(calls: Series) -> list[Line]:
    """The calls of each step by status class, oldest first."""
    return [
        Line(label, "", [*map(formats.number, (point.usage.calls, *classes_of(point.usage)))])
        for label, point in zip(_labels(calls), calls.points, strict=True)
    ]


def _marks(series: Series, releases: Sequence[Release]) -> Markup:
    begin, end = series.points[0].start, series.points[-1].end
    inside = [one for one in releases if one.name and begin < one.first_at < end]
    latest = sorted(inside, key=lambda one: one.first_at)[-MOST_MARKS:]
    flags = [((one.first_at - begin) / (end - begin), f"release {one.name}") for one in latest]
    return svg.marks(flags) if flags else Markup("")
