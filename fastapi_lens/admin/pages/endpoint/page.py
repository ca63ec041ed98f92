"""One endpoint: whether it is alive and why, how often it is called, how slow and how faulty."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.app_charts import release_marks
from fastapi_lens.admin.display.charts import OverTime, by_hour, over_time
from fastapi_lens.admin.display.comparison import comparison, figures, is_seen
from fastapi_lens.admin.display.labels import STATUS_LABELS, open_words
from fastapi_lens.admin.display.links import Link, new_rule_href, rule_href
from fastapi_lens.admin.display.periods import periods_of
from fastapi_lens.admin.display.request_log import of_endpoint
from fastapi_lens.admin.display.source_links import SourceLinks
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.pages.endpoint.callers import callers_section
from fastapi_lens.admin.pages.endpoint.evidence import evidence_box
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.admin.urls.period import Period, WindowChoice
from fastapi_lens.reporting.model import Detail, Endpoint, Window
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import SECONDS_PER_DAY, Status, Thresholds

OF_CONNECTIONS = "Durations are the time that connections were open."


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the table of status codes."""

    status: int
    css: str
    calls: str
    share: float


def endpoint_page(context: Context) -> Response:
    """``GET /endpoints/{key}``: the page, its fragment, or 304 if nothing has changed."""
    key = context.request.path_params["key"]
    query = EndpointQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    # The version of the log, because the page also shows logged requests.
    tag = templates.entity_tag(context, state.log_version, key, query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    base = context.url(f"/endpoints/{key}")
    headers = {"ETag": tag}
    if wants_fragment(context.request):
        # A live update is no choice of the reader, so it leaves the address alone.
        live = context.request.headers.get("hx-source", "").endswith("#lens-live")
        headers["HX-Push-Url"] = "false" if live else query.url(base)
    return again(cached_page(context, state, lambda: _made(context, key, query, state)), headers)


def _made(context: Context, key: str, query: EndpointQuery, state: State) -> Response:
    """The page of an endpoint, or a page that says that it does not exist."""
    now, window = context.now, query.window.window
    detail = context.lens.reader.detail(key, window=window, now=now, with_ignored=True, state=state)
    if detail is None:
        return templates.not_found_page(
            context.request, context.base, message="No such endpoint in this application."
        )
    endpoint, settings = detail.endpoint, context.lens.settings
    judged = context.lens.reader.recent_judged(endpoint, now=now)
    values = {
        "current": "Endpoints",
        "heading": f"{endpoint.method} {endpoint.path}",
        "query": query,
        "endpoint": endpoint,
        "status": STATUS_LABELS[endpoint.status],
        "open": open_words(endpoint, now=now),
        "reason": status_reason(
            endpoint,
            thresholds=settings.thresholds,
            now=now,
            removed_at=None if judged is None else judged.removed_at,
        ),
        "tags": _tags(context, endpoint, query),
        "log": of_endpoint(context, endpoint, query.window),
        "ignored_by": _ignored_by(context, endpoint),
        "may_change": context.may_change,
        "csrf_token": context.csrf_token,
        "evidence": None if judged is None else evidence_box(context, judged),
        "flush_interval": context.lens.config.flush_interval,
        "callers": callers_section(context, endpoint),
        "keep_saved": context.request.query_params.get("saved") == "keeps",
        **_calls(context, detail, query),
        **_links(context, endpoint, query),
    }
    return templates.page(context, "endpoint/page.html", values, state=state)


def _calls(context: Context, detail: Detail, query: EndpointQuery) -> dict[str, object]:
    """Figures, charts and status codes of the calls in the period."""
    endpoint, before, window = detail.endpoint, detail.before, query.window.window
    comparable = before if before is not None and is_seen(endpoint, before) else None
    slow_ms, is_whole = context.lens.settings.slow_threshold_ms, window.seconds is None
    is_slow = endpoint.is_slow(limit_ms=slow_ms)
    return {
        "usage": endpoint.usage,
        "figures": figures(endpoint.usage, comparable, slow=is_slow, is_timed=endpoint.is_timed),
        "comparison": comparison(
            endpoint, before, everything=is_whole, times=Times.of(context.zone)
        ),
        "durations": "" if endpoint.is_timed else OF_CONNECTIONS,
        "slow_ms": slow_ms,
        "whole_time": is_whole,
        "over_time": _over_time(context, detail, query),
        "marks": release_marks(detail.series, context.lens.reader.releases()),
        "by_hour": by_hour(detail.week),
        "codes": _codes(detail.codes),
        "code_days": _code_days(context, endpoint, window),
    }


def _links(context: Context, endpoint: Endpoint, query: EndpointQuery) -> dict[str, object]:
    """The addresses that the page links to, and its choice of periods."""
    base, window = context.url(f"/endpoints/{endpoint.key}"), query.window.window
    return {
        "address": query.url(base),
        "back": EndpointsQuery(window=query.window).url(context.url("/endpoints")),
        "whole": EndpointQuery(window=Period(WindowChoice.ALL)).url(base),
        "periods": periods_of(
            context,
            query.window,
            lambda period: query.with_window(period).url(base),
            bounds=context.lens.reader.bounds(window, now=context.now),
            since=endpoint.first_called_at,
        ),
        "source_href": SourceLinks.of(context).href(endpoint.source),
        "ignore_href": new_rule_href(context, endpoint),
        "delete_href": context.url(f"/settings/danger?endpoint={endpoint.key}"),
        "callers_href": context.url("/callers"),
        "settings_href": context.url("/settings#callers"),
    }


def _over_time(context: Context, detail: Detail, query: EndpointQuery) -> OverTime:
    return over_time(
        detail.series,
        # Without a path, to save bytes: charts have very many of these links to the same page.
        narrow=lambda start, end: query.with_window(query.window.between(start, end)).url(""),
        ends_now=context.lens.reader.bounds(query.window.window, now=context.now).end is None,
        times=Times.of(context.zone),
        of_connections=not detail.endpoint.is_timed,
    )


def status_reason(
    endpoint: Endpoint, *, thresholds: Thresholds, now: float, removed_at: float | None = None
) -> str:
    """The reason for the status of an endpoint: ``no calls for 33 days; dead after 30 days``.

    Args:
        endpoint: The endpoint.
        thresholds: The days after which it is cold or dead.
        now: Epoch seconds.
        removed_at: Time at which it was found to be no longer in the routes; None if it is there.
    """
    cold, dead = formats.days(thresholds.cold_days), formats.days(thresholds.dead_days)
    if removed_at is not None:
        return f"removed from the routes on {formats.day(removed_at)}"
    if endpoint.last_called_at is None:
        seen = formats.span(now - endpoint.first_seen_at)
        return f"no calls since first seen {seen} ago"
    if words := open_words(endpoint, now=now):
        return f"{words}; cold after {cold} without a call"
    idle = formats.span(now - endpoint.last_called_at)
    if endpoint.status is Status.DEAD:
        return f"no calls for {idle}; dead after {dead}"
    if endpoint.status is Status.COLD:
        return f"no calls for {idle}; cold after {cold}, dead after {dead}"
    return (
        f"last called {formats.ago(endpoint.last_called_at, now)}; cold after {cold} without a call"
    )


def _codes(codes: Sequence[tuple[int, int]]) -> list[Code]:
    total = sum(calls for _, calls in codes)
    return [
        Code(status, f"c{status // 100}", formats.number(calls), calls / total)
        for status, calls in codes
    ]


def _code_days(context: Context, endpoint: Endpoint, window: Window) -> str:
    """The days whose status codes are counted."""
    first, last = context.lens.reader.code_days(window, now=context.now)
    called = endpoint.first_called_at
    first = max(first, int(called) // SECONDS_PER_DAY) if called is not None else last
    days = [formats.day(day * SECONDS_PER_DAY) for day in (first, last)]
    return days[0] if first >= last else " – ".join(days)


def _tags(context: Context, endpoint: Endpoint, query: EndpointQuery) -> list[Link]:
    """Tags with links to the lists of their endpoints, in the same window."""
    return [
        Link(
            tag,
            EndpointsQuery(tag=tag, window=query.window).url(context.url("/endpoints")),
            current=False,
        )
        for tag in endpoint.tags
    ]


def _ignored_by(context: Context, endpoint: Endpoint) -> list[Link]:
    """The rules that ignore it, with links to change them."""
    return [
        Link(rule.pattern, rule_href(context, rule), current=True)
        for rule in context.lens.settings.rules.ignoring(endpoint.method, endpoint.path)
    ]
