"""One endpoint: whether it is alive and why, how often it is called, how slow and how faulty."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from fastapi_lens.admin import charts, formats, rendering
from fastapi_lens.admin.query import EndpointQuery, WindowChoice
from fastapi_lens.admin.sharing import again, shared_page
from fastapi_lens.admin.views.endpoints import STATUS_LABELS, Link
from fastapi_lens.admin.visit import Visit
from fastapi_lens.reporting.model import Endpoint, Series, Usage
from fastapi_lens.reporting.status import Status, Thresholds

CLASSES = ("2xx", "3xx", "4xx", "5xx")
PERCENTILES = ("p50", "p95", "p99")
TICKS = 4
"""Times that are written below a chart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with what is read beside it.

    Attributes:
        name: Part of the ids on the page.
        peak: The value at the upper edge, with its unit.
        legend: Name and CSS class of each series.
        ticks: Times below it, evenly spaced, oldest first.
        head: Names of the columns of its table.
        table: The same numbers, newest first.
    """

    name: str
    heading: str
    svg: Markup
    peak: str
    legend: Sequence[tuple[str, str]]
    ticks: Sequence[str]
    head: Sequence[str]
    table: Sequence[Sequence[str]]


def endpoint_page(visit: Visit, key: str) -> Response:
    """``GET /endpoints/{key}``: the page, its fragment, or 304 when nothing has changed."""
    query = EndpointQuery.parse(f"?{visit.request.url.query}")
    tag = rendering.entity_tag(visit, key, query.url())
    if rendering.is_unchanged(visit.request, tag):
        return rendering.unchanged(visit, tag)
    base = visit.url(f"/endpoints/{key}")
    headers = {"ETag": tag}
    if rendering.wants_fragment(visit.request):
        live = visit.request.headers.get("hx-source", "").endswith("#lens-live")
        headers["HX-Push-Url"] = "false" if live else query.url(base)
    return again(shared_page(visit, lambda: _made(visit, key, query)), headers)


def _made(visit: Visit, key: str, query: EndpointQuery) -> Response:
    """The page of an endpoint, or one that says that there is none."""
    reader, now, window = visit.lens.reader, visit.now, query.window.window
    endpoint = reader.endpoint(key, window=window, now=now)
    if endpoint is None:
        return rendering.not_found_page(
            visit.request, visit.base, message="There is no such endpoint in this application."
        )
    series = reader.series(endpoint.id, window=window, now=now)
    codes = reader.status_codes(endpoint.id, window=window, now=now)
    base = visit.url(f"/endpoints/{key}")
    context = {
        "current": "Endpoints",
        "heading": f"{endpoint.method} {endpoint.path}",
        "address": query.url(base),
        "back": visit.url("/"),
        "query": query,
        "endpoint": endpoint,
        "usage": endpoint.usage,
        "status": STATUS_LABELS[endpoint.status],
        "reason": status_reason(endpoint, thresholds=visit.lens.settings.thresholds, now=now),
        "is_slow": endpoint.is_slow(limit_ms=visit.lens.settings.slow_threshold_ms),
        "slow_ms": visit.lens.settings.slow_threshold_ms,
        "windows": _windows(query, base),
        "charts": [calls_chart(series), latency_chart(series)],
        "codes": _codes(codes),
        "step": formats.step_length(series.step_seconds),
    }
    return rendering.page(visit, "endpoint.html", context)


def status_reason(endpoint: Endpoint, *, thresholds: Thresholds, now: float) -> str:
    """Why an endpoint has the status that it has: ``no call for 33 days; dead after 30 days``."""
    cold, dead = formats.days(thresholds.cold_days), formats.days(thresholds.dead_days)
    if endpoint.last_called_at is None:
        seen = formats.span(now - endpoint.first_seen_at)
        return f"never called since it was first seen {seen} ago"
    idle = formats.span(now - endpoint.last_called_at)
    if endpoint.status is Status.DEAD:
        return f"no call for {idle}; dead after {dead}"
    if endpoint.status is Status.COLD:
        return f"no call for {idle}; cold after {cold}, dead after {dead}"
    return (
        f"last called {formats.ago(endpoint.last_called_at, now)}; cold after {cold} without a call"
    )


def calls_chart(series: Series) -> Chart:
    """Calls per step, stacked by status class."""
    columns = [_classes(point.usage) for point in series.points]
    peak = charts.nice_ceiling(max((sum(column) for column in columns), default=0))
    labels = _labels(series)
    table = [
        (label, *(formats.number(count) for count in (sum(column), *column)))
        for label, column in zip(labels, columns, strict=True)
    ]
    step = formats.step_length(series.step_seconds)
    return Chart(
        name="calls",
        heading="Calls by status class",
        svg=charts.stacked_bars(
            columns,
            classes=[f"c{name[0]}" for name in CLASSES],
            peak=peak,
            hints=[_hint(("calls", *CLASSES), row) for row in table],
            title=f"Calls per {step} by status class, {sum(map(sum, columns)):,} in all",
        ),
        peak=f"{peak:,.0f}" if peak >= 1 else f"{peak:g}",
        legend=[(name, f"c{name[0]}") for name in CLASSES],
        ticks=_ticks(labels),
        head=("From (UTC)", "Calls", *CLASSES),
        table=table[::-1],
    )


def latency_chart(series: Series) -> Chart:
    """p50, p95 and p99 per step; a gap where there was no call."""
    values = [
        point.usage.percentiles_ms if point.usage.calls else (None,) * len(PERCENTILES)
        for point in series.points
    ]
    peak = charts.nice_ceiling(max((v for row in values for v in row if v is not None), default=0))
    labels = _labels(series)
    table = [
        (label, *(formats.NOTHING if v is None else formats.duration(v) for v in row))
        for label, row in zip(labels, values, strict=True)
    ]
    step = formats.step_length(series.step_seconds)
    return Chart(
        name="latency",
        heading="Latency",
        svg=charts.lines(
            list(zip(*values, strict=True)),
            classes=PERCENTILES,
            peak=peak,
            hints=[_hint(PERCENTILES, row) for row in table],
            title=f"p50, p95 and p99 of the duration per {step}, estimated within 1.4 %",
        ),
        peak=formats.duration(peak),
        legend=[(name, name) for name in PERCENTILES],
        ticks=_ticks(labels),
        head=("From (UTC)", *PERCENTILES),
        table=table[::-1],
    )


def _classes(usage: Usage) -> tuple[int, int, int, int]:
    """Calls by status class; informational answers, which end nothing, count as 2xx."""
    rest = usage.calls - usage.redirects - usage.errors_4xx - usage.errors_5xx
    return (rest, usage.redirects, usage.errors_4xx, usage.errors_5xx)


def _labels(series: Series) -> list[str]:
    return [formats.step_label(point.start, series.step_seconds) for point in series.points]


def _ticks(labels: Sequence[str]) -> list[str]:
    """A few of the labels, evenly spaced, each at the left edge of its part."""
    if len(labels) < TICKS:
        return list(labels)
    return [labels[len(labels) * tick // TICKS] for tick in range(TICKS)]


def _hint(names: Sequence[str], row: Sequence[str]) -> str:
    label, *values = row
    return f"{label}: " + ", ".join(f"{v} {n}" for n, v in zip(names, values, strict=True))


def _codes(codes: Sequence[tuple[int, int]]) -> list[tuple[int, str, str, float]]:
    """Status code, CSS class, calls and share of each."""
    total = sum(calls for _, calls in codes)
    return [
        (status, f"c{status // 100}", formats.number(calls), calls / total)
        for status, calls in codes
    ]


def _windows(query: EndpointQuery, base: str) -> list[Link]:
    return [
        Link(choice.label, EndpointQuery(window=choice).url(base), choice is query.window)
        for choice in WindowChoice
    ]
