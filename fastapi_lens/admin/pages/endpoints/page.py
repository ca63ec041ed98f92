"""The list of all endpoints: what is used, slow and faulty, and what is not used at all."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.callers import called_by, called_ids
from fastapi_lens.admin.display.filter_and_sort import (
    Listing,
    filter_and_sort,
)
from fastapi_lens.admin.display.first_call import first_call_of
from fastapi_lens.admin.display.labels import STATUS_LABELS, status_meanings
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.paging import PAGE_SIZE, page_links
from fastapi_lens.admin.display.periods import periods_of
from fastapi_lens.admin.display.source_links import SourceLinks
from fastapi_lens.admin.display.svg import error_scale
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.pages.endpoints import columns
from fastapi_lens.admin.pages.endpoints.chart import chart_values
from fastapi_lens.admin.pages.endpoints.earlier import Earlier
from fastapi_lens.admin.pages.endpoints.groups import group_list, group_values
from fastapi_lens.admin.pages.endpoints.parts import filters_on_paper, part_values
from fastapi_lens.admin.pages.endpoints.rows import Found, Row, row_of
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.tables.column import Column, Head, head_of
from fastapi_lens.admin.tables.endpoints import CHANGES, STATUS_ORDER
from fastapi_lens.admin.urls.endpoints import DEFAULT_SORT, EndpointsQuery, Sort
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import Status, Thresholds


def endpoints_page(context: Context) -> Response:
    """``GET /endpoints``: the page, its fragment, or 304 if the client shows the same fragment."""
    query = columns.query_of(context)
    redirect = columns.redirect_of(context, query)
    if redirect is not None:
        return redirect
    state = context.lens.reader.state(context.now)
    tag = templates.entity_tag(context, state.version, "endpoints", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    response, shown = cached_page(context, state, lambda: _made(context, query, state))
    history = history_headers(context.request, shown.url(context.url("/endpoints")))
    return columns.remembered(context, query, again(response, {"ETag": tag, **history}))


def _made(context: Context, query: EndpointsQuery, state: State) -> tuple[Response, EndpointsQuery]:
    """The page with an existing page of the list."""
    everything = context.lens.reader.endpoints(
        window=query.window.window,
        now=context.now,
        with_ignored=True,
        # Histograms are most of the work: only an order by percentile needs those of all.
        with_histograms=_needs_histograms(query),
        state=state,
    )
    ignored = {one.id for one in everything if _is_ignored(context, one)}
    hidden = frozenset[int]() if query.ignored else ignored
    shown = [one for one in everything if one.id not in hidden] if hidden else everything
    if query.group is None:
        listing, earlier = _listing(context, query, shown)
        values = _context(context, listing, _rows(context, listing, everything, earlier))
    else:
        # In any order, and compared with nothing: less is read then.
        members = replace(query.ungrouped(), sort=DEFAULT_SORT, columns=("calls",))
        listing, _ = _listing(context, members, shown)
        groups = group_list(query, query.group, listing.matching)
        listing = replace(listing, query=groups.query)
        values = {**_context(context, listing, []), **group_values(context, groups, query.group)}
    values |= part_values(context, listing.query)
    values |= chart_values(context, listing.query, listing.matching)
    values["ignored"] = len(ignored)
    everybody = listing.query.with_caller("").url(context.url("/endpoints"))
    caller = called_by(context, query.caller, everybody)
    values |= {"called_by": caller, **filters_on_paper(listing.query, caller)}
    return templates.page(context, "endpoints/page.html", values, state=state), listing.query


def _needs_histograms(query: EndpointsQuery) -> bool:
    """True if the order of single endpoints compares percentiles."""
    return query.group is None and query.sort.order.needs_histograms


def _listing(
    context: Context, query: EndpointsQuery, shown: Sequence[Endpoint]
) -> tuple[Listing, Earlier]:
    """The endpoints of a view with their histograms, and the period before."""
    names = {*(column.name for column in query.view_columns()), query.sort.key}
    earlier = Earlier(has_calls=not CHANGES.isdisjoint(names), has_durations="p95_change" in names)
    if query.sort.order.needs_before:
        earlier = earlier.read(context, query.window.window)
    if query.sort.key == "p95_change":
        earlier = earlier.comparable(context, shown)
    listing = filter_and_sort(
        earlier.joined(shown), query, called=called_ids(context, query.caller)
    )
    if not _needs_histograms(query):
        # For all pages, because the summary shows the p95 of all matching endpoints.
        matching = context.lens.reader.with_histograms(
            listing.matching, window=query.window.window, now=context.now
        )
        listing = listing.with_matching(matching)
    return listing, earlier


def _rows(
    context: Context, listing: Listing, everything: Sequence[Endpoint], earlier: Earlier
) -> list[Row]:
    reader, window, now = context.lens.reader, listing.query.window.window, context.now
    has_trend = any(column.name == "trend" for column in listing.query.view_columns())
    found = Found(
        # Only of this page: a trend reads every bucket of the window.
        trends=reader.trends([row.id for row in listing.rows], window=window, now=now)
        if has_trend
        else {},
        judged={one.endpoint.id: one for one in reader.recent_evidence(now, everything).every},
        earlier=earlier.read(context, window, listing.rows).timed(context, listing.rows),
        sources=SourceLinks.of(context),
    )
    return [
        row_of(context, listing.query, row, found) for row in found.earlier.joined(listing.rows)
    ]


def _is_ignored(context: Context, endpoint: Endpoint) -> bool:
    return context.lens.settings.rules.ignores(endpoint.method, endpoint.path)


def _context(context: Context, listing: Listing, rows: Sequence[Row]) -> dict[str, object]:
    query, base = listing.query, context.url("/endpoints")
    # Of all pages, so that bars can be compared from page to page.
    # One for both columns, so that a bar of 4xx can be compared with one of 5xx, too.
    full_bar = error_scale(
        [share for one in listing.matching for share in (one.usage.share_4xx, one.usage.share_5xx)]
    )
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
        "timed": listing.timed,
        "heads": [_head(query, base, column) for column in query.view_columns()],
        "chooser": columns.chooser(query, base),
        "tabs": _tabs(listing, base, context.lens.settings.thresholds),
        "periods": periods_of(
            context,
            query.window,
            lambda period: query.with_window(period).url(base),
            bounds=context.lens.reader.bounds(query.window.window, now=context.now),
            since=min(
                (one.first_called_at for one in listing.matching if one.first_called_at),
                default=None,
            ),
        ),
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
        "first_call": None if listing.called else first_call_of(context),
    }


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
