"""The list of all endpoints: what is used, slow and faulty, and what is not used at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.callers import called_by, called_ids
from fastapi_lens.admin.display.filter_and_sort import (
    Listing,
    filter_and_sort,
)
from fastapi_lens.admin.display.labels import STATUS_LABELS, open_words, status_meanings
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.paging import PAGE_SIZE, page_links
from fastapi_lens.admin.display.svg import error_scale
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.pages.endpoints.chart import chart_values
from fastapi_lens.admin.pages.endpoints.groups import group_list, group_values
from fastapi_lens.admin.pages.endpoints.parts import part_values
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.tables.column import Column, Head, head_of
from fastapi_lens.admin.tables.endpoints import COLUMNS, STATUS_ORDER
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.admin.urls.window import WindowChoice
from fastapi_lens.reporting.evidence import Judged
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import Status, Thresholds
from fastapi_lens.verdict.sentences import headline


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint as a row of the table.

    Attributes:
        href: Its own page.
        hint: The name of its handler, with that of its module; may be empty, as `handler` may.
        handler: File and line of the handler, without the folders above.
        verdict: May it be deleted, in a few words; empty where there is no verdict.
        trend: Calls per step of the window.
        open: Its open connections, in words; empty if there are none.
        errors: Number of failed calls, in words.
        is_slow: True if its p95 is above the configured limit.
        is_ignored: True if a rule ignores it.
    """

    endpoint: Endpoint
    href: str
    hint: str
    handler: str
    status: str
    verdict: str
    trend: list[int]
    share_4xx: float
    share_5xx: float
    open: str
    errors: str
    percentiles_ms: tuple[float, float, float]
    is_slow: bool
    is_ignored: bool


def endpoints_page(context: Context) -> Response:
    """``GET /endpoints``: the page, its fragment, or 304 if the client shows the same fragment."""
    query = EndpointsQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    tag = templates.entity_tag(context, state.version, "endpoints", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    response, shown = cached_page(context, state, lambda: _made(context, query, state))
    history = history_headers(context.request, shown.url(context.url("/endpoints")))
    return again(response, {"ETag": tag, **history})


def _made(context: Context, query: EndpointsQuery, state: State) -> tuple[Response, EndpointsQuery]:
    """The page with an existing page of the list."""
    reader, window, now = context.lens.reader, query.window.window, context.now
    # Histograms are most of the work: only an order by percentile needs those of all.
    single = query if query.group is None else query.ungrouped()
    by_percentile = single.sort.order.needs_histograms
    everything = reader.endpoints(
        window=window,
        now=now,
        with_ignored=True,
        with_histograms=by_percentile,
        state=state,
    )
    ignored = {one.id for one in everything if _is_ignored(context, one)}
    hidden = frozenset[int]() if query.ignored else ignored
    shown = [one for one in everything if one.id not in hidden] if hidden else everything
    listing = filter_and_sort(shown, single, called=called_ids(context, query.caller))
    if not by_percentile:
        # For all pages, because the summary shows the p95 of all matching endpoints.
        matching = reader.with_histograms(listing.matching, window=window, now=now)
        listing = listing.with_matching(matching)
    if query.group is None:
        rows = _rows(context, listing, everything)
        values = _context(context, listing, rows)
    else:
        groups = group_list(query, query.group, listing.matching)
        listing = replace(listing, query=groups.query)
        values = {**_context(context, listing, []), **group_values(context, groups, query.group)}
    values |= part_values(context, listing.query)
    values |= chart_values(context, listing.query, listing.matching)
    values["ignored"] = len(ignored)
    everybody = listing.query.with_caller("").url(context.url("/endpoints"))
    values["called_by"] = called_by(context, query.caller, everybody)
    return templates.page(context, "endpoints/page.html", values, state=state), listing.query


def _rows(context: Context, listing: Listing, everything: Sequence[Endpoint]) -> list[Row]:
    reader, window, now = context.lens.reader, listing.query.window.window, context.now
    # Only of this page: a trend reads every bucket of the window.
    trends = reader.trends([row.id for row in listing.rows], window=window, now=now)
    judged = reader.recent_evidence(now, everything).by_id()
    return [
        _row(context, listing, row, list(trends[row.id]), judged.get(row.id))
        for row in listing.rows
    ]


def _is_ignored(context: Context, endpoint: Endpoint) -> bool:
    return context.lens.settings.rules.ignores(endpoint.method, endpoint.path)


def _context(context: Context, listing: Listing, rows: Sequence[Row]) -> dict[str, object]:
    query, base = listing.query, context.url("/endpoints")
    # Of all pages, so that bars can be compared from page to page.
    full_bar = error_scale([endpoint.usage.error_share for endpoint in listing.matching])
    return {
        "current": "Endpoints",
        "heading": "Endpoints",
        "address": query.url(base),
        "path": base,
        "clear": query.without_filters().url(base),
        "query": query,
        "listing": listing,
        "rows": rows,
        "total": listing.total,
        "heads": [_head(query, base, column) for column in COLUMNS],
        "tabs": _tabs(listing, base, context.lens.settings.thresholds),
        "windows": [
            Link(choice.label, query.with_window(choice).url(base), choice is query.window)
            for choice in WindowChoice
        ],
        "pages": page_links(
            query.page, listing.pages, lambda page: query.with_page(page).url(base)
        ),
        "page_size": PAGE_SIZE,
        "exports": [
            Link(
                kind.upper(),
                query.ungrouped().url(context.url(f"/endpoints.{kind}")),
                current=False,
            )
            for kind in ("csv", "json")
        ],
        "full_bar": full_bar,
        "scale": f"{full_bar:.0%}",
        "slow_ms": context.lens.settings.slow_threshold_ms,
        "flush_interval": context.lens.config.flush_interval,
        "curl": "" if listing.called else _curl(context, listing),
    }


def _row(
    context: Context,
    listing: Listing,
    endpoint: Endpoint,
    trend: list[int],
    judged: Judged | None,
) -> Row:
    usage = endpoint.usage
    p50, p95, p99 = usage.percentiles_ms
    calls = usage.calls or 1
    errors = ((usage.errors_5xx, "5xx"), (usage.errors_4xx, "4xx"))
    own = EndpointQuery(window=listing.query.window)
    return Row(
        endpoint=endpoint,
        href=own.url(context.url(f"/endpoints/{endpoint.key}")),
        hint=formats.short_name(endpoint.name),
        handler=formats.last_parts(endpoint.source),
        status=STATUS_LABELS[endpoint.status],
        verdict="" if judged is None else headline(judged.verdict),
        trend=trend,
        share_4xx=usage.errors_4xx / calls,
        share_5xx=usage.errors_5xx / calls,
        open=open_words(endpoint, now=context.now),
        errors=", ".join(f"{count:,} × {name}" for count, name in errors if count),
        percentiles_ms=(p50, p95, p99),
        is_slow=endpoint.is_slow(limit_ms=context.lens.settings.slow_threshold_ms),
        is_ignored=_is_ignored(context, endpoint),
    )


def _head(query: EndpointsQuery, base: str, column: Column[Endpoint]) -> Head:
    def link(name: str) -> str:
        sort = query.sort.reversed() if query.sort.key == name else Sort.first_of(name)
        return query.with_sort(sort).url(base)

    return head_of(column, query.sort, link)


def _tabs(listing: Listing, base: str, thresholds: Thresholds) -> list[Link]:
    query, meanings = listing.query, status_meanings(thresholds)
    choices: list[tuple[Status | None, str, str, str]] = [(None, "All", "all", "All endpoints.")]
    choices += [
        (status, STATUS_LABELS[status], status.value, meanings[status]) for status in STATUS_ORDER
    ]
    return [
        Link(
            label,
            query.with_status(status).url(base),
            status is query.status,
            name,
            listing.counts[status],
            title,
        )
        for status, label, name, title in choices
    ]


def _curl(context: Context, listing: Listing) -> str:
    """A command for a first call: of a GET without parameters, if there is one."""
    # A path with parameters cannot be called as it stands.
    paths = [e.path for e in listing.matching if e.method == "GET" and "{" not in e.path]
    path = min(paths, key=len) if paths else "/"
    url = context.request.url
    # Templates lack the path under which a proxy or a server offers the application.
    root = context.request.scope.get("root_path", "")
    return f"curl {url.scheme}://{url.netloc}{root.rstrip('/')}{path}"
