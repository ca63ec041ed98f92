"""The list of all callers: who they are, and how much each of them still uses."""

from dataclasses import dataclass

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.callers import Who, is_off, who_of
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.paging import PAGE_SIZE, page_links
from fastapi_lens.admin.display.printed_filters import printed_filters, searched
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.pages.callers.listing import CallerList, callers_of
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.tables.callers import CALLER_COLUMNS
from fastapi_lens.admin.tables.column import Column, Head, head_of
from fastapi_lens.admin.urls.callers import CallersQuery
from fastapi_lens.reporting.ledger.callers import CallerTotals
from fastapi_lens.reporting.workers import State

NOISE_LABEL = "Health checks and bots"


@dataclass(frozen=True, slots=True)
class Row:
    """A caller as a row of the table."""

    totals: CallerTotals
    who: Who
    key: str


def callers_page(context: Context) -> Response:
    """``GET /callers``: the page, its fragment, or 304 if the client shows the same fragment."""
    query = CallersQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    tag = templates.entity_tag(context, state.version, "callers", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    response, shown = cached_page(context, state, lambda: _made(context, query, state))
    history = history_headers(context.request, shown.url(context.url("/callers")))
    return again(response, {"ETag": tag, **history})


def _made(context: Context, query: CallersQuery, state: State) -> tuple[Response, CallersQuery]:
    """The page with an existing page of the list."""
    listing = callers_of(context.lens.reader.callers.callers(), query)
    query, base = listing.query, context.url("/callers")
    values = {
        "current": "Endpoints",
        "heading": "Callers",
        "path": base,
        "address": query.url(base),
        "clear": query.without_filters().url(base),
        "query": query,
        "listing": listing,
        "forgotten": context.request.query_params.get("done", "") == "forgotten",
        "rows": [Row(one, who_of(context, one.caller), one.caller.key) for one in listing.rows],
        "heads": [_head(query, base, column) for column in CALLER_COLUMNS],
        "tabs": _tabs(listing, base),
        **printed_filters([searched(query.q), ("Only", NOISE_LABEL if query.noise else "")]),
        "pages": page_links(
            query.page, listing.pages, lambda page: query.with_page(page).url(base)
        ),
        "page_size": PAGE_SIZE,
        "exports": [Link("CSV", query.with_page(1).url(f"{base}.csv"), current=False)],
        "is_off": is_off(context.lens.settings.config.caller_source),
        "settings_href": context.url("/settings#callers"),
        "back": context.url("/endpoints"),
        "may_change": context.may_change,
    }
    return templates.page(context, "callers/page.html", values, state=state), query


def _head(query: CallersQuery, base: str, column: Column[CallerTotals]) -> Head:
    return head_of(column, query.sort, lambda name: query.with_sort(name).url(base))


def _tabs(listing: CallerList, base: str) -> list[Link]:
    query = listing.query
    choices = (
        (False, "Callers", "callers", listing.others, "All callers but health checks and bots."),
        (
            True,
            NOISE_LABEL,
            "noise",
            listing.noisy,
            "Their calls do not count as use. Settings say which names these are.",
        ),
    )
    return [
        Link(
            label, query.with_noise(noise=noise).url(base), noise is query.noise, name, count, title
        )
        for noise, label, name, count, title in choices
    ]
