"""The cleanup page: a verdict on each endpoint, and what was observed to reach it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.callers import (
    Latest,
    callers_by_shape,
    is_off,
    known_since,
    latest_of,
)
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.paging import PAGE_SIZE, page_links
from fastapi_lens.admin.display.part_choices import part_choices
from fastapi_lens.admin.display.printed_filters import part_filters, printed_filters, searched
from fastapi_lens.admin.display.verdicts import (
    LEVEL_LABELS,
    LEVEL_MEANINGS,
    Chip,
    chips_of,
    css_of,
    exclusion_words,
    headline_of,
    observed_words,
    weeks_strip,
    words_of,
)
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.pages.cleanup.listing import CleanupList, list_of
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.tables.cleanup import (
    COLUMNS,
    LEVEL_ORDER,
    REMOVED_COLUMNS,
)
from fastapi_lens.admin.tables.column import Column, Head, head_of
from fastapi_lens.admin.urls.cleanup import REMOVED, CleanupQuery
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.evidence.gone import Gone
from fastapi_lens.reporting.ledger.callers import CallerUse
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.verdict.evidence import UNUSED

ALL_IN_JSON = "The evidence of all endpoints, whatever is filtered"


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint as a row of the table.

    Attributes:
        href: Its evidence.
        is_chosen: True if its box is ticked.
        css: The class of its verdict's mark.
        verdict: The verdict in two or three words.
        headline: The verdict with its date.
        excluded: All exclusions, in words.
        weeks: Its uses as bars.
        chips: Its exclusions.
        callers: The latest of its callers.
        handler: File and line of the handler, without the folders above; may be empty.
        hint: The name of its handler, with that of its module; may be empty.
        last_refused_at: The last day on which it was called after its removal, in epoch seconds.
    """

    judged: Judged
    href: str
    is_chosen: bool
    css: str
    verdict: str
    headline: str
    excluded: str
    weeks: Markup
    chips: Sequence[Chip]
    callers: Latest
    handler: str
    hint: str
    last_refused_at: float | None


def cleanup_page(context: Context) -> Response:
    """``GET /cleanup``: the page, or its fragment."""
    query = CleanupQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    response, shown = cached_page(context, state, lambda: _made(context, query, state))
    history = history_headers(context.request, shown.url(context.url("/cleanup")))
    return again(response, history)


def _made(context: Context, query: CleanupQuery, state: State) -> tuple[Response, CleanupQuery]:
    """The page with an existing page of the list."""
    reader = context.lens.reader
    evidence = reader.evidence(context.now)
    listing = list_of(evidence, query)
    uses = callers_by_shape(context, listing.rows)
    rows = [
        _row(context, listing, one, uses[one.endpoint.id])
        for one in reader.with_weeks(listing.rows, now=context.now)
    ]
    values = {
        **_list_values(context, listing, rows),
        "choices": part_choices((one.endpoint for one in evidence.endpoints), query),
        **_observation_values(evidence),
        **_caller_values(context),
        "current": "Cleanup",
        "heading": "Cleanup",
        "said": context.request.query_params.get("saved", "") == "keeps",
        "may_change": context.may_change,
        "flush_interval": context.lens.config.flush_interval,
    }
    response = templates.page(context, "cleanup/page.html", values, state=state)
    return response, listing.query


def _observation_values(evidence: AppEvidence) -> dict[str, object]:
    observation = evidence.observation
    words = observed_words(evidence)
    since = observation.since_day or observation.today
    return {
        "observed": words,
        "band": svg.band(
            observation.today - since + 1,
            [(first - since, last - since) for first, last in observation.holes],
            title=f"Observed: {words.summary}. Not observed: {words.holes or 'none'}.",
        ),
        "releases": evidence.releases[:1],
        "twins": evidence.twins,
    }


def _caller_values(context: Context) -> dict[str, object]:
    off = is_off(context.lens.settings.config.caller_source)
    # Of no endpoint: only the time since when callers are known is shown.
    found = context.lens.reader.callers.of_judged(())
    return {
        "callers_known": known_since(found, records=not off, now=context.now),
        "callers_off": off,
        "settings_href": context.url("/settings#callers"),
        "callers_href": context.url("/callers"),
    }


def _list_values(context: Context, listing: CleanupList, rows: list[Row]) -> dict[str, object]:
    query, base = listing.query, context.url("/cleanup")
    columns = REMOVED_COLUMNS if query.tab == REMOVED else COLUMNS
    tabs = _tabs(listing, base)
    verdict = next((one.label for one in tabs if one.current), "") if query.tab else ""
    return {
        "path": base,
        "address": query.url(base),
        "clear": query.without_filters().url(base),
        "query": query,
        "listing": listing,
        "rows": rows,
        "heads": [_head(query, base, column) for column in columns],
        "is_removed": query.tab == REMOVED,
        "some_unused": query.tab != REMOVED
        and any(one.judged.verdict.level in UNUSED for one in rows),
        "tabs": tabs,
        **printed_filters([searched(query.q), *part_filters(query), ("Verdict", verdict)]),
        "pages": page_links(
            query.page, listing.pages, lambda page: query.with_page(page).url(base)
        ),
        "page_size": PAGE_SIZE,
        "exports": [
            Link("CSV", query.with_page(1).url(context.url("/cleanup.csv")), current=False),
            Link("Markdown", query.with_page(1).url(context.url("/cleanup.md")), current=False),
            # Without the filters: `check` would let pass the removal of an endpoint that it lacks.
            Link("JSON", context.url("/cleanup.json"), current=False, title=ALL_IN_JSON),
        ],
    }


def _row(context: Context, listing: CleanupList, judged: Judged, uses: Sequence[CallerUse]) -> Row:
    endpoint, verdict = judged.endpoint, judged.verdict
    return Row(
        judged=judged,
        href=EndpointQuery().url(context.url(f"/endpoints/{endpoint.key}")) + "#evidence",
        is_chosen=endpoint.key in listing.query.chosen,
        css=css_of(verdict.level),
        verdict=words_of(judged),
        headline=headline_of(judged),
        excluded=exclusion_words(judged),
        weeks=weeks_strip(judged.weeks),
        chips=chips_of(judged),
        callers=latest_of(uses, is_called=judged.last_used_at is not None),
        handler=formats.last_parts(endpoint.source),
        hint=formats.short_name(endpoint.name),
        last_refused_at=_last_refused(judged.gone),
    )


def _last_refused(gone: Gone | None) -> float | None:
    """The last day on which a removed endpoint was called, in epoch seconds."""
    if gone is None:
        return None
    days = [day for day in (gone.last_day, gone.noise_last_day) if day is not None]
    return max(days) * SECONDS_PER_DAY if days else None


def _head(query: CleanupQuery, base: str, column: Column[Judged]) -> Head:
    if query.tab == REMOVED:
        return Head(column)
    return head_of(column, query.sort, lambda name: query.with_sort(name).url(base))


def _tabs(listing: CleanupList, base: str) -> list[Link]:
    """All, each level, and removed endpoints that are still called where there are any."""
    query = listing.query
    choices = [("", "All", "All endpoints in the routes.")]
    choices += [(level.value, LEVEL_LABELS[level], LEVEL_MEANINGS[level]) for level in LEVEL_ORDER]
    if listing.counts[REMOVED] or query.tab == REMOVED:
        choices.append((REMOVED, "Removed, still called", "No longer in the routes; answered 404."))
    return [
        Link(
            label,
            query.with_tab(tab).url(base),
            tab == query.tab,
            tab or "all",
            listing.counts[tab],
            title,
        )
        for tab, label, title in choices
    ]
