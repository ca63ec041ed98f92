"""Exceptions: the list of their kinds in a period, and each kind on a page of its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.paging import PAGE_SIZE, page_links
from fastapi_lens.admin.display.periods import Periods, periods_of
from fastapi_lens.admin.display.printed_filters import printed_filters, searched
from fastapi_lens.admin.display.request_log import (
    endpoint_filter,
    exception_rows,
    message_values,
    rows_of,
    who_link,
)
from fastapi_lens.admin.display.source_links import SourceLinks
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.pages.exceptions.listing import ExceptionList, listed
from fastapi_lens.admin.tables.column import head_of, heads
from fastapi_lens.admin.tables.exceptions import COLUMNS
from fastapi_lens.admin.tables.requests import columns
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.exceptions import ExceptionQuery, ExceptionsQuery
from fastapi_lens.admin.urls.period import Period
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.reporting.log.exception_reader import MOST_EXCEPTIONS, ExceptionKind
from fastapi_lens.settings.status import SECONDS_PER_DAY

AROUND_SECONDS = 60
"""Time before and after the latest exception from which requests are shown, in whole minutes."""

MOST_AROUND = 20


def exceptions_page(context: Context) -> Response:
    """``GET /exceptions``: kinds of exceptions with one in the period."""
    query = ExceptionsQuery.parse(f"?{context.request.url.query}")
    reader, now = context.lens.reader, context.now
    state = reader.state(now)
    tag = templates.entity_tag(context, state.log_version, "exceptions", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    found = reader.exceptions(
        window=query.window.window, now=now, endpoint=query.endpoint, text=query.q
    )
    listing = listed(found, query)
    query, base = listing.query, context.url("/exceptions")
    of_all = replace(query, endpoint="", page=1).url(base)
    only = endpoint_filter(context, query.endpoint, of_all, state)
    values = {
        "current": "Exceptions",
        "heading": "Exceptions",
        "path": base,
        "address": query.url(base),
        "query": query,
        "listing": listing,
        "only": only,
        **printed_filters([searched(query.q), ("Endpoint", only.label if only else "")]),
        "rows": exception_rows(context, listing.rows, query.window),
        "heads": [
            head_of(column, query.sort, lambda name: query.with_sort(name).url(base))
            for column in COLUMNS
        ],
        "clear": query.without_filters().url(base),
        "requests_href": RequestsQuery(endpoint=query.endpoint, window=query.window).url(
            context.url("/requests")
        ),
        "periods": _periods(context, query.window, lambda it: replace(query, window=it).url(base)),
        **_list_links(query, listing, base),
        **_limits(context, query, listing),
        **message_values(context),
    }
    headers = {"ETag": tag, **history_headers(context.request, query.url(base))}
    return templates.page(context, "exceptions/page.html", values, headers=headers, state=state)


def _periods(context: Context, period: Period, link: Callable[[Period], str]) -> Periods:
    bounds = context.lens.reader.bounds(period.window, now=context.now)
    return periods_of(context, period, link, bounds=bounds, nothing="all that is kept")


def _list_links(
    query: ExceptionsQuery, listing: ExceptionList, base: str
) -> Mapping[str, list[Link]]:
    return {
        "pages": page_links(
            query.page, listing.pages, lambda page: replace(query, page=page).url(base)
        ),
        "exports": [Link("CSV", replace(query, page=1).url(f"{base}.csv"), current=False)],
    }


def _limits(
    context: Context, query: ExceptionsQuery, listing: ExceptionList
) -> Mapping[str, object]:
    """The reasons for which the list may not show the whole period."""
    kept_days = context.lens.retention.log_kept_seconds // SECONDS_PER_DAY
    begin = query.window.window.begin(context.now) or 0
    since = (one.counted_since for one in listing.matching if one.counted_since is not None)
    return {
        "page_size": PAGE_SIZE,
        "most": MOST_EXCEPTIONS if len(listing.matching) == MOST_EXCEPTIONS else None,
        "kept_days": kept_days if context.now - begin > kept_days * SECONDS_PER_DAY else None,
        "counted_since": next(since, None),
    }


def exception_page(context: Context) -> Response:
    """``GET /exceptions/{key}``: one kind of exceptions, with the traceback of a recent one."""
    reader, now = context.lens.reader, context.now
    query = ExceptionQuery.parse(f"?{context.request.url.query}")
    key = context.request.path_params["key"]
    exception = reader.exception(key, window=query.window.window, now=now)
    if exception is None:
        return templates.not_found_page(
            context.request,
            context.base,
            message="This exception is not in the log, or it has expired.",
        )
    requests = RequestsQuery(
        endpoint=exception.endpoint_key, q=exception.type, status="5xx", window=query.window
    )
    base = context.url(f"/exceptions/{key}")
    endpoint = EndpointQuery(window=query.window)
    releases = _releases(context, exception)
    links = SourceLinks.of(context, releases[1])
    values = {
        "current": "Exceptions",
        "heading": exception.type,
        "exception": exception,
        "query": query,
        "row": exception_rows(context, [exception], query.window)[0],
        "periods": _periods(context, query.window, lambda it: ExceptionQuery(window=it).url(base)),
        "back": ExceptionsQuery(window=query.window).url(context.url("/exceptions")),
        "endpoint_href": endpoint.url(context.url(f"/endpoints/{exception.endpoint_key}")),
        "callers": _callers(context, exception),
        "releases": releases,
        "place_href": links.place(exception.place),
        "traceback": links.lines(exception.traceback or exception.message),
        "requests_href": requests.url(context.url("/requests")),
        "around": _around(context, exception),
        **message_values(context),
    }
    return templates.page(context, "exceptions/exception.html", values)


def _callers(context: Context, exception: ExceptionKind) -> list[Link]:
    """The callers of its logged requests, those with the most requests first."""
    reader = context.lens.reader
    counts = reader.exception_log.callers_of(exception.key)
    names = reader.callers.names(counts.keys())
    return [
        replace(who_link(context, identity, names[identity]), count=count)
        for identity, count in counts.items()
        if identity in names
    ]


def _releases(context: Context, exception: ExceptionKind) -> tuple[str, str]:
    """The latest releases that recorded at its first and at its last time; empty if unnamed."""
    releases = [one for one in context.lens.reader.releases() if one.name]

    def at(moment: float) -> str:
        begun = [one.name for one in releases if one.first_at <= moment]
        return begun[-1] if begun else ""

    return at(exception.first_at), at(exception.last_at)


def _around(context: Context, exception: ExceptionKind) -> Mapping[str, object]:
    """The logged requests of the endpoint around the latest exception."""
    last = int(exception.last_at)
    period = Period().between(last - AROUND_SECONDS, last + AROUND_SECONDS)
    query = RequestsQuery(endpoint=exception.endpoint_key, window=period)
    found = context.lens.reader.log.requests(query.wanted(context.now), limit=MOST_AROUND)
    rows = rows_of(context, found)
    return {
        "rows": rows,
        "heads": heads(columns(with_callers=any(row.who for row in rows))),
        "href": query.url(context.url("/requests")),
    }
