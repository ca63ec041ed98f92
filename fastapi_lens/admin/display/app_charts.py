"""Charts of many endpoints together over time: calls, errors and latency. No I/O."""

from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.charts import (
    CLASSES,
    PERCENTILES,
    Chart,
    Line,
    OverTime,
    Table,
    calls_chart,
    classes_of,
    latency_chart,
    ticks_of,
)
from fastapi_lens.admin.display.times import IN_UTC, Times
from fastapi_lens.reporting.evidence.observation import Release
from fastapi_lens.reporting.model import Series, Usage
from fastapi_lens.reporting.series.app_series import AppSeries

MOST_MARKS = 6
"""Releases that a chart names; the latest ones."""

FEWEST_CALLS = 20
"""Calls of a step below which it has no share of errors: one more would change all."""


def app_charts(
    series: AppSeries,
    releases: Sequence[Release],
    *,
    ends_now: bool,
    before: str,
    times: Times = IN_UTC,
) -> tuple[OverTime, Markup]:
    """The charts over one axis, and the marks of releases over them.

    Args:
        series: With one step at least.
        releases: Of the app, in any order.
        ends_now: True if the last step is not over.
        before: Name of the period before: ``7 days before``.
        times: The zone of the labels.
    """
    calls, durations = series.calls, series.durations
    step = formats.step_length(calls.step_seconds)
    charts = (
        _calls(series, step, before),
        _errors(calls, step),
        latency_chart(durations, formats.step_length(durations.step_seconds)),
    )
    lines = _with_durations(_calls_lines(calls, times), series)
    table = _table(calls, lines, times, [f"{name} ms" for name in PERCENTILES])
    shown = _over_time(calls, charts, table, ends_now=ends_now, times=times)
    return shown, release_marks(calls, releases)


def calls_over_time(
    series: AppSeries,
    releases: Sequence[Release],
    *,
    ends_now: bool,
    before: str,
    times: Times = IN_UTC,
) -> tuple[OverTime, Markup]:
    """The chart of calls alone, and the marks of releases over it; see `app_charts`."""
    calls = series.calls
    charts = (_calls(series, formats.step_length(calls.step_seconds), before),)
    table = _table(calls, _calls_lines(calls, times), times)
    shown = _over_time(calls, charts, table, ends_now=ends_now, times=times)
    return shown, release_marks(calls, releases)


def _over_time(
    calls: Series, charts: Sequence[Chart], table: Table, *, ends_now: bool, times: Times
) -> OverTime:
    labels = _labels(calls, times)
    return OverTime(
        charts=charts,
        columns=svg.columns_of([""] * len(labels)),
        ticks=ticks_of(labels),
        last="now" if ends_now else times.step_label(calls.points[-1].end, calls.step_seconds),
        table=table,
        note=times.step_note(calls.step_seconds),
    )


def _labels(calls: Series, times: Times) -> list[str]:
    return [times.step_label(point.start, calls.step_seconds) for point in calls.points]


def _calls(series: AppSeries, step: str, before: str) -> Chart:
    return calls_chart(
        series.calls, step, heading="Calls", before=series.before, before_name=before
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


def _calls_lines(calls: Series, times: Times) -> list[Line]:
    """The calls of each step by status class, oldest first."""
    return [
        Line(label, "", [*map(formats.number, (point.usage.calls, *classes_of(point.usage)))])
        for label, point in zip(_labels(calls, times), calls.points, strict=True)
    ]


def _with_durations(lines: Sequence[Line], series: AppSeries) -> list[Line]:
    """The same lines with percentiles, in those where a step of durations begins."""
    durations = {point.start: point.usage for point in series.durations.points}
    found: list[Line] = []
    for line, point in zip(lines, series.calls.points, strict=True):
        timed = durations.get(point.start, Usage())
        shown = timed.percentiles_ms if timed.calls else (None, None, None)
        cells = (formats.NOTHING if each is None else formats.milliseconds(each) for each in shown)
        found.append(replace(line, cells=(*line.cells, *cells)))
    return found


def _table(
    calls: Series, lines: Sequence[Line], times: Times, further: Sequence[str] = ()
) -> Table:
    size = calls.step_seconds
    head = (times.step_head(size), "Calls", *CLASSES, *further)
    return Table("numbers", f"As a table, per {formats.step_length(size)}", head, lines[::-1])


def release_marks(series: Series, releases: Sequence[Release]) -> Markup:
    """Lines with the names of the latest releases that began within a series; empty for none."""
    begin, end = series.points[0].start, series.points[-1].end
    inside = [one for one in releases if one.name and begin < one.first_at < end]
    latest = sorted(inside, key=lambda one: one.first_at)[-MOST_MARKS:]
    flags = [((one.first_at - begin) / (end - begin), f"release {one.name}") for one in latest]
    return svg.marks(flags) if flags else Markup("")
