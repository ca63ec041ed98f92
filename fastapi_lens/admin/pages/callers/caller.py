"""One caller: everything that it still uses, and its name by an admin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.audit import LABEL_CALLER
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.callers import UseFigures, share_words, who_of
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.display.paging import page_links
from fastapi_lens.admin.display.verdicts import css_of, headline_of, words_of
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.pages.callers.listing import uses_of
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.tables.callers import USE_COLUMNS
from fastapi_lens.admin.tables.column import Column, Head, head_of
from fastapi_lens.admin.urls.callers import CallerQuery
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.ledger.callers import CallerDetail, CallerUse
from fastapi_lens.reporting.model import Endpoint, Window, id_from_key
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.storage.records.audit import add_audit_entry
from fastapi_lens.storage.records.callers import MOST_CHARACTERS, label_caller
from fastapi_lens.storage.schema.models import OTHERS_ID

RECENT_DAYS = 30
"""Days within which a use counts as one of the present."""

_SHORTEST = Window(1)
"""Only the statuses of endpoints are needed, not their calls."""


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint that the caller uses, as a row of the table.

    Attributes:
        endpoint: None if it is no longer in the routes.
        status: In words; empty without an endpoint.
        css: The class of its verdict's mark; empty without a verdict, as `verdict` and `headline`.
        verdict: May it be deleted, in two or three words.
        headline: The same with its date.
    """

    figures: UseFigures
    endpoint: Endpoint | None
    status: str
    css: str
    verdict: str
    headline: str


def caller_page(context: Context) -> Response:
    """``GET /callers/{key}``: the page, its fragment, or 304; ``POST`` gives it a label."""
    if context.request.method == "POST":
        return _labelled(context)
    key = context.request.path_params["key"]
    query = CallerQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    tag = templates.entity_tag(context, state.version, "caller", key, query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    response, shown = cached_page(context, state, lambda: _made(context, key, query, state))
    history = history_headers(context.request, shown.url(context.url(f"/callers/{key}")))
    return again(response, {"ETag": tag, **history})


def _made(
    context: Context, key: str, query: CallerQuery, state: State
) -> tuple[Response, CallerQuery]:
    """The page with an existing page of its list, or a page that says that there is no such one."""
    found = found_caller(context)
    if found is None:
        return no_caller(context), query
    listing = uses_of(found.uses, query)
    caller, base = found.caller, context.url(f"/callers/{key}")
    endpoints = _endpoints(context, state)
    judged = context.lens.reader.recent_evidence(context.now, endpoints.values()).by_id()
    values = {
        "current": "Endpoints",
        "heading": caller.name,
        "address": listing.query.url(base),
        "back": context.url("/callers"),
        "who": who_of(context, caller),
        "summary": _summary(found.uses, now=context.now),
        "listing": listing,
        "rows": [_row(context, use, endpoints, judged) for use in listing.rows],
        "heads": [_head(listing.query, base, column) for column in USE_COLUMNS],
        "pages": page_links(
            listing.page, listing.pages, lambda page: listing.query.with_page(page).url(base)
        ),
        "export_href": listing.query.with_page(1).url(f"{base}.csv"),
        "endpoints_href": EndpointsQuery(caller=key).url(context.url("/endpoints")),
        "requests_href": RequestsQuery(caller=key).url(context.url("/requests")),
        "label_href": base,
        "forget_href": f"{base}/forget",
        "longest_label": MOST_CHARACTERS,
        "said": context.request.query_params.get("saved", "") == "label",
        "may_change": context.may_change,
        "csrf_token": context.csrf_token,
    }
    return templates.page(context, "callers/caller.html", values, state=state), listing.query


def found_caller(context: Context) -> CallerDetail | None:
    """The caller of an address; None without any, and for others.

    Raises:
        StorageError: The database cannot be read.
    """
    identity = id_from_key(context.request.path_params["key"])
    if identity <= OTHERS_ID:
        return None
    return context.lens.reader.callers.caller(identity, now=context.now)


def no_caller(context: Context) -> Response:
    """The page for a caller that does not exist, or no longer."""
    return templates.not_found_page(
        context.request,
        context.base,
        message="No such caller. It was forgotten, or has not called for 800 days.",
    )


def _labelled(context: Context) -> Response:
    key = context.request.path_params["key"]
    found = found_caller(context)
    if found is None:
        return no_caller(context)
    caller = found.caller
    label = " ".join(context.form.get("label", "").split())[:MOST_CHARACTERS].strip()
    if label != caller.label:
        lens = context.lens
        label_caller(lens.database, lens.app_name, caller.id, label)
        entry = context.author.did(
            # By its id, so that the log does not name somebody who is forgotten later.
            LABEL_CALLER,
            target=key,
            before=caller.label,
            after=label,
        )
        add_audit_entry(lens.database, lens.app_name, entry)
    # 303, so that a reload repeats the page and not the change.
    return RedirectResponse(context.url(f"/callers/{key}?saved=label"), 303)


def _endpoints(context: Context, state: State) -> Mapping[str, Endpoint]:
    """All endpoints in the routes by their keys, ignored ones included."""
    found = context.lens.reader.endpoints(
        window=_SHORTEST,
        now=context.now,
        with_ignored=True,
        with_histograms=False,
        state=state,
    )
    return {one.key: one for one in found}


def _summary(uses: Sequence[CallerUse], *, now: float) -> str:
    """The number of endpoints that the caller uses, as a sentence."""
    if not uses:
        return "It uses no endpoint."
    since = now - RECENT_DAYS * SECONDS_PER_DAY
    recent = sum(use.last_at is not None and use.last_at >= since for use in uses)
    used = formats.plural(len(uses), "endpoint")
    return f"It has called {used}, {recent:,} of them in the last {RECENT_DAYS} days."


def _row(
    context: Context,
    use: CallerUse,
    endpoints: Mapping[str, Endpoint],
    judged: Mapping[int, Judged],
) -> Row:
    endpoint = None if use.is_removed else endpoints.get(use.endpoint)
    verdict = None if endpoint is None else judged.get(endpoint.id)
    figures = UseFigures(
        use=use,
        who=who_of(context, use.caller),
        key=use.endpoint,
        href=EndpointQuery().url(context.url(f"/endpoints/{use.endpoint}")),
        refused=share_words(use.refused, use.calls),
        failed=share_words(use.errors_5xx, use.calls),
    )
    return Row(
        figures=figures,
        endpoint=endpoint,
        status="" if endpoint is None else STATUS_LABELS[endpoint.status],
        css="" if verdict is None else css_of(verdict.verdict.level),
        verdict="" if verdict is None else words_of(verdict),
        headline="" if verdict is None else headline_of(verdict),
    )


def _head(query: CallerQuery, base: str, column: Column[CallerUse]) -> Head:
    return head_of(column, query.sort, lambda name: query.with_sort(name).url(base))
