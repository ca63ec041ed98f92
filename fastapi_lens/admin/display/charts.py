"""Charts of one endpoint over time, with their tables. No I/O; templates write the HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.times import IN_UTC, Times
from fastapi_lens.reporting.model import Series, Usage, WeekHours
from fastapi_lens.reporting.series.heat_map import Heat, heat_of

CLASSES = ("2xx", "3xx", "4xx", "5xx")
PERCENTILES = ("p50", "p95", "p99")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TICKS = 4
"""Times that are written below a chart."""

LABELS = 7
"""Durations that are written beside a heat map, at most."""

HOURS = 24

Narrow = Callable[[int, int], str]
"""The address of the page that shows a part of time, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table of numbers.

    Attributes:
        label: Time or weekday of the row.
        href: Narrows the window to it; empty where nothing finer is kept.
    """

    label: str
    href: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of charts.

    Attributes:
        name: Part of the ids on the page.
        summary: Text that opens it.
        head: Names of the columns.
    """

    name: str
    summary: str
    head: Sequence[str]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its texts.

    Attributes:
        name: Part of the ids on the page.
        legend: Name and CSS class of each series or colour.
        scale: Texts at its left edge, from the top, evenly spaced.
        note: Subject of the chart, if the heading does not give it.
    """

    name: str
    heading: str
    svg: Markup
    legend: Sequence[tuple[str, str]]
    scale: Sequence[str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class OverTime:
    """Charts with the same steps, one below the other.

    Attributes:
        charts: From the top.
        columns: Columns over all charts for the pointer.
        ticks: Times below them, evenly spaced, each at the beginning of its part.
        last: Text at their right end.
        table: The numbers of all, newest first; its first column narrows the window.
        note: A sentence about the times; empty where none is needed.
    """

    charts: Sequence[Chart]
    columns: Markup
    ticks: Sequence[str]
    last: str
    table: Table
    note: str = ""


@dataclass(frozen=True, slots=True)
class ByHour:
    """The chart of the hours of the week, with its table."""

    chart: Chart
    ticks: Sequence[str]
    table: Table


def over_time(
    series: Series,
    *,
    narrow: Narrow,
    ends_now: bool,
    times: Times = IN_UTC,
    of_connections: bool = False,
) -> OverTime:
    """Calls, percentiles and all latencies of a series.

    Args:
        series: With one step at least.
        narrow: Where a step leads to.
        ends_now: True if the last step is not over.
        times: The zone of the labels.
        of_connections: True for a WebSocket, whose duration is the time that it was open.
    """
    size = series.step_seconds
    step = formats.step_length(size)
    labels = [times.step_label(point.start, size) for point in series.points]
    links = [narrow(point.start, point.end) if point.divides else "" for point in series.points]
    heat = heat_of(series)
    return OverTime(
        charts=(
            calls_chart(series, step),
            latency_chart(series, step, of_connections=of_connections),
            heat_chart(heat, step, of_connections=of_connections),
        ),
        columns=svg.columns_of(links),
        ticks=ticks_of(labels),
        last="now" if ends_now else times.step_label(series.points[-1].end, size),
        table=_numbers(
            series,
            heat,
            [Line(*pair, ()) for pair in zip(labels, links, strict=True)],
            times.step_head(size),
            more=", with the duration of connections" if of_connections else "",
        ),
        note=times.step_note(size),
    )


def ticks_of(labels: Sequence[str]) -> list[str]:
    """The labels below a chart: all of a few steps, otherwise `TICKS` at equal distances."""
    few = len(labels) < TICKS
    return [*labels] if few else [labels[len(labels) * tick // TICKS] for tick in range(TICKS)]


def calls_chart(
    series: Series,
    step: str,
    *,
    heading: str = "Calls by status class",
    before: Sequence[int] = (),
    before_name: str = "",
) -> Chart:
    """Calls per step, stacked by status class.

    Args:
        series: With one step at least.
        step: Length of a step in words.
        heading: Of the chart.
        before: Calls of the period before, which are a line; empty if they are not known.
        before_name: Name of that line.
    """
    columns = [classes_of(point.usage) for point in series.points]
    most = max((sum(column) for column in columns), default=0)
    peak = svg.nice_ceiling(max(most, max(before, default=0)))
    legend = [(name, f"c{name[0]}") for name in CLASSES]
    return Chart(
        name="calls",
        heading=heading,
        svg=svg.stacked_bars(
            columns,
            classes=[css for _, css in legend],
            peak=peak,
            title=f"Calls per {step} by status class, {sum(map(sum, columns)):,} in all",
            line=before,
        ),
        legend=[*legend, *([(before_name, "prev")] if before else [])],
        scale=(f"{peak:,.0f}", "0"),
    )


def latency_chart(series: Series, step: str, *, of_connections: bool = False) -> Chart:
    """p50, p95 and p99 per step; a gap where there was no call."""
    what = "time that connections were open" if of_connections else "duration"
    values = [_percentiles(point.usage) for point in series.points]
    peak = svg.nice_ceiling(max((v for row in values for v in row if v is not None), default=0))
    return Chart(
        name="latency",
        heading="Duration of connections" if of_connections else "Latency",
        svg=svg.lines(
            list(zip(*values, strict=True)),
            classes=PERCENTILES,
            peak=peak,
            title=f"p50, p95 and p99 of the {what} per {step}, estimated within 1.4%",
        ),
        legend=[(name, name) for name in PERCENTILES],
        scale=(_edge(peak), "0"),
    )


def heat_chart(heat: Heat, step: str, *, of_connections: bool = False) -> Chart:
    """Calls by step and duration."""
    what = "connections" if of_connections else "calls"
    how = "the time that they were open" if of_connections else "duration"
    limits = svg.heat_limits([calls for column in heat.columns for calls in column])
    title = f"{what.capitalize()} by {how}, per {step}: darker means more {what}"
    return Chart(
        name="heat",
        heading="Connections by duration" if of_connections else "Duration distribution",
        svg=svg.heat_map(heat.columns, limits=limits, title=title),
        legend=_heat_legend(limits, what),
        scale=_scale(heat),
    )


def by_hour(found: WeekHours) -> ByHour:
    """Calls by weekday and hour."""
    days = [[found.mean(day * HOURS + hour) for hour in range(HOURS)] for day in range(7)]
    # Sunday is the lowest band.
    columns = [[day[hour] or 0.0 for day in reversed(days)] for hour in range(HOURS)]
    limits = svg.heat_limits([mean for column in columns for mean in column])
    names = [f"{hour:02}:00" for hour in range(HOURS)]
    chart = Chart(
        name="week",
        heading="Calls by weekday and hour",
        svg=svg.heat_map(columns, limits=limits, title="Average calls by weekday and hour (UTC)"),
        legend=_heat_legend(limits, "calls per hour"),
        scale=WEEKDAYS,
        note=_hours_note(IN_UTC.between(found.start, found.end), found, limits),
    )
    lines = [
        Line(name, "", [_mean(mean) for mean in day])
        for name, day in zip(WEEKDAYS, days, strict=True)
    ]
    table = Table("week", "As a table", ("UTC", *(name[:2] for name in names)), lines)
    return ByHour(chart, names[:: HOURS // TICKS], table)


def _numbers(series: Series, heat: Heat, lines: Sequence[Line], first: str, *, more: str) -> Table:
    """The numbers of each step: calls, classes, percentiles, and the calls of each band."""
    filled = [
        replace(
            line,
            cells=(
                *map(formats.number, (point.usage.calls, *classes_of(point.usage))),
                *(formats.NOTHING if v is None else formats.milliseconds(v) for v in durations),
                *(formats.number(calls) if calls else "" for calls in column),
            ),
        )
        for line, point, column in zip(lines, series.points, heat.columns, strict=True)
        for durations in [_percentiles(point.usage)]
    ]
    head = (
        first,
        "Calls",
        *CLASSES,
        *(f"{name} ms" for name in PERCENTILES),
        *(_band(*edges) for edges in heat.bands_ms),
    )
    summary = f"As a table, per {formats.step_length(series.step_seconds)}{more}"
    return Table("numbers", summary, head, filled[::-1])


def classes_of(usage: Usage) -> tuple[int, int, int, int]:
    """Calls by status class; informational responses count as 2xx."""
    rest = usage.calls - usage.redirects - usage.errors_4xx - usage.errors_5xx
    return (rest, usage.redirects, usage.errors_4xx, usage.errors_5xx)


def _percentiles(usage: Usage) -> Sequence[float | None]:
    return usage.percentiles_ms if usage.calls else (None,) * len(PERCENTILES)


def _band(low_ms: float, high_ms: float) -> str:
    """The name of a band of durations: ``8.4–12.6 ms``."""
    if low_ms <= 0:
        return f"<{high_ms:.2g} ms"
    return f"{_edge(low_ms)}–{_edge(high_ms)}"


def _edge(value_ms: float) -> str:
    """An edge of a band, with as few digits as distinguish it from its neighbours."""
    if value_ms >= 1000:  # noqa: PLR2004  Milliseconds of a second.
        return f"{value_ms / 1000:.3g} s"
    return f"{value_ms:.2g} ms" if value_ms < 100 else f"{value_ms:.0f} ms"  # noqa: PLR2004


def _scale(heat: Heat) -> list[str]:
    """The lower edges of some bands, from the top; empty texts for the others."""
    every = -(-len(heat.bands_ms) // LABELS)
    edges = [low for low, _ in heat.bands_ms]
    return [_edge(low) if low and not at % every else "" for at, low in enumerate(edges)][::-1]


def _hours_note(span: str, found: WeekHours, limits: Sequence[float]) -> str:
    if not sum(found.hours):
        return "Needs one full hour of data."
    return f"Average calls per hour, {span}" if limits else f"No calls, {span}"


def _mean(value: float | None) -> str:
    if value is None:
        return formats.NOTHING
    return formats.number(round(value)) if value >= 100 else f"{value:.1f}"  # noqa: PLR2004


def _heat_legend(limits: Sequence[float], unit: str) -> list[tuple[str, str]]:
    """The largest value of each colour, the last one with the unit of all."""
    return [
        (
            (f"≤ {limit:,.0f}" if float(limit).is_integer() else f"≤ {_mean(limit)}")
            + (f" {unit}" if limit == limits[-1] else ""),
            f"h{svg.heat_level(limit, limits)}",
        )
        for limit in limits
    ]
