"""The charts of the overview: calls, errors and latency of all endpoints. No I/O."""

from collections.abc import Sequence

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
from fastapi_lens.admin.display.times import IN_UTC, Times
from fastapi_lens.reporting.app_series import AppSeries
from fastapi_lens.reporting.model import Series, Usage
from fastapi_lens.reporting.observation import Release

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
    calls = series.calls
    size = calls.step_seconds
    step = formats.step_length(size)
    labels = [times.step_label(point.start, size) for point in calls.points]
    few = len(labels) < TICKS
    return OverTime(
        charts=(
            _calls(series, step, before),
            _errors(calls, step),
            latency_chart(series.durations, formats.step_length(series.durations.step_seconds)),
        ),
        columns=svg.columns_of([""] * len(labels)),
        ticks=labels if few else [labels[len(labels) * tick // TICKS] for tick in range(TICKS)],
        last="now" if ends_now else times.step_label(calls.points[-1].end, size),
        table=_table(series, step, labels, times.step_head(size)),
    ), _marks(calls, releases)


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


def _table(series: AppSeries, step: str, labels: Sequence[str], first: str) -> Table:
    durations = {point.start: point.usage for point in series.durations.points}
    lines: list[Line] = []
    for label, point in zip(labels, series.calls.points, strict=True):
        timed = durations.get(point.start, Usage())
        shown = timed.percentiles_ms if timed.calls else (None, None, None)
        cells = (
            *map(formats.number, (point.usage.calls, *classes_of(point.usage))),
            *(formats.NOTHING if each is None else formats.milliseconds(each) for each in shown),
        )
        lines.append(Line(label, "", cells))
    head = (first, "Calls", *CLASSES, *(f"{name} ms" for name in PERCENTILES))
    return Table("numbers", f"As a table, per {step}", head, lines[::-1])


def _marks(series: Series, releases: Sequence[Release]) -> Markup:
    begin, end = series.points[0].start, series.points[-1].end
    inside = [one for one in releases if one.name and begin < one.first_at < end]
    latest = sorted(inside, key=lambda one: one.first_at)[-MOST_MARKS:]
    flags = [((one.first_at - begin) / (end - begin), f"release {one.name}") for one in latest]
    return svg.marks(flags) if flags else Markup("")
