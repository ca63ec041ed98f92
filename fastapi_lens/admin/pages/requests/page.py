"""The request log: single requests, newest first, and each of them on a page of its own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.callers import called_by
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.periods import periods_of
from fastapi_lens.admin.display.printed_filters import Filters, printed_filters, searched
from fastapi_lens.admin.display.request_log import (
    REASONS,
    endpoint_filter,
    kept_words,
    message_values,
    rows_of,
)
from fastapi_lens.admin.display.source_links import SourceLinks
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.tables.column import heads
from fastapi_lens.admin.tables.requests import columns
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.admin.urls.period import Period, WindowChoice
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.reporting.log.request_log import MOST_NEWER, LogFilter, LoggedCall
from fastapi_lens.reporting.model import Bounds
from fastapi_lens.reporting.workers import State

PAGE_SIZE = 50

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET")
DURATIONS = (100, 500, 1_000, 5_000)
_SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a select list."""

    value: str
    label: str
    chosen: bool


def requests_page(context: Context) -> Response:
    """``GET /requests``: the list."""
    query = RequestsQuery.parse(f"?{context.request.url.query}")
    base, log = context.url("/requests"), context.lens.reader.log
    before = int(query.before, 16) if query.before else None
    state = context.lens.reader.state(context.now)
    # One more than a page tells if there are older ones.
    found = log.requests(query.wanted(context.now), before=before, limit=PAGE_SIZE + 1)
    calls = found[:PAGE_SIZE]
    newest = calls[0].key if calls and not query.before else ""
    values = {
        "current": "Requests",
        "heading": "Requests",
        "path": base,
        "query": query,
        "any_at_all": bool(calls) or bool(log.requests(LogFilter(), limit=1)),
        "kept": kept_words(context.lens.settings.config),
        "older": query.older(calls[-1].key).url(base) if len(found) > PAGE_SIZE else "",
        "waits": "" if query.before else _waits(context, query, newest),
        **_table(context, calls),
        **_filters(context, query, state),
        **_links(context, query),
    }
    headers = history_headers(context.request, query.url(base))
    return templates.page(context, "requests/page.html", values, headers=headers, state=state)


def new_requests(context: Context) -> Response:
    """``GET /requests/new``: the number of requests that are newer than the list.

    The list itself does not change while somebody reads it; a link loads the newer ones.
    """
    query = RequestsQuery.parse(f"?{context.request.url.query}")
    newest = query.newest().url(context.url("/requests"))
    # Opened as a page, it would show a bare number.
    if not wants_fragment(context.request):
        return RedirectResponse(newest, 303)
    after = int(query.before, 16) if query.before else 0
    count = context.lens.reader.log.newer(query.wanted(context.now), after=after)
    # Of the count alone: the version of the data changes with every flush.
    tag = f'W/"{hashlib.sha256(f"{query.url()} {count}".encode()).hexdigest()[:20]}"'
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, context.lens.reader.state(context.now).complete_to)
    words = f"{count:,}" if count < MOST_NEWER else f"{MOST_NEWER:,}+"
    values = {"count": count, "words": words, "newest": newest}
    headers = {"ETag": tag, "HX-Push-Url": "false"}
    return templates.page(context, "requests/new.html", values, headers=headers)


def request_page(context: Context) -> Response:
    """``GET /requests/{key}``: everything that is kept of one request."""
    reader = context.lens.reader
    call = reader.log.request(context.request.path_params["key"])
    if call is None:
        return templates.not_found_page(
            context.request,
            context.base,
            message="This request is not in the log, or it has expired.",
        )
    key = call.exception_key
    exception = reader.exception_log.kind(key) if key else None
    trace = "" if exception is None else exception.traceback or exception.message
    values = {
        "current": "Requests",
        "heading": f"{call.method} {call.path}",
        "row": rows_of(context, [call])[0],
        "call": call,
        "back": context.url("/requests"),
        "endpoint_href": context.url(f"/endpoints/{call.endpoint_key}"),
        "same_href": RequestsQuery(endpoint=call.endpoint_key).url(context.url("/requests")),
        "exception": exception,
        "traceback": SourceLinks.of(context).lines(trace),
        "exception_href": context.url(f"/exceptions/{key}"),
        **message_values(context),
    }
    return templates.page(context, "requests/request.html", values)


def _table(context: Context, calls: Sequence[LoggedCall]) -> dict[str, object]:
    """The rows, and the heads of the columns that they need."""
    rows = rows_of(context, calls)
    shown = columns(
        with_callers=any(row.who for row in rows),
        with_clients=any(call.client for call in calls),
    )
    return {"rows": rows, "heads": heads(shown)}


def _filters(context: Context, query: RequestsQuery, state: State) -> dict[str, object]:
    """The filters of the list, with the addresses that remove them."""
    base, wanted = context.url("/requests"), query.wanted(context.now)
    of_all, of_everybody = replace(query, endpoint=""), replace(query, caller="")
    only = endpoint_filter(context, query.endpoint, of_all.newest().url(base), state)
    caller = called_by(context, query.caller, of_everybody.newest().url(base))
    selects = _selects(query, context.lens.methods)
    return {
        "only": only,
        "called_by": caller,
        "selects": selects,
        **_printed(query, only, caller, selects),
        "periods": periods_of(
            context,
            query.window,
            lambda period: query.with_window(period).url(base),
            bounds=Bounds(wanted.since, wanted.until),
            nothing="all that is kept",
        ),
        "clear": RequestsQuery(window=query.window).url(base),
    }


def _printed(
    query: RequestsQuery,
    only: Link | None,
    caller: Link | None,
    selects: Sequence[tuple[str, str, list[Choice]]],
) -> Filters:
    """The variable that prints search and filters."""
    chosen = [
        (everything.removeprefix("Any ").capitalize(), choice.label)
        for _, everything, choices in selects
        for choice in choices
        if choice.chosen
    ]
    links = [("Endpoint", only), ("Called by", caller)]
    named = [(name, link.label) for name, link in links if link]
    return printed_filters([searched(query.q), *named, *chosen])


def _links(context: Context, query: RequestsQuery) -> dict[str, object]:
    """The addresses of other views of the list, and of its files."""
    base = context.url("/requests")
    exceptions = ExceptionsQuery(endpoint=query.endpoint, window=query.window)
    return {
        "address": query.url(base),
        "newest": query.newest().url(base),
        "everything": query.with_window(Period(WindowChoice.ALL)).url(base),
        "exceptions_href": exceptions.url(context.url("/exceptions")),
        "exports": [
            Link(kind.upper(), query.newest().url(f"{base}.{kind}"), current=False)
            for kind in ("csv", "json")
        ],
    }


def _waits(context: Context, query: RequestsQuery, newest: str) -> str:
    """The address that returns the number of requests newer than the first row."""
    return replace(query, before=newest).url(context.url("/requests/new"))


def _selects(query: RequestsQuery, declared: set[str]) -> list[tuple[str, str, list[Choice]]]:
    """Select lists: name, label, and options; values in the address are always included."""
    known = [*METHODS, *sorted(declared.difference(METHODS))]
    classes = [f"{first}xx" for first in range(2, 6)]
    statuses = [(status, status) for status in _with(classes, query.status)]
    methods = [(method, method) for method in _with(known, query.method)]
    durations: list[int] = sorted({*DURATIONS, query.min_ms} - {0})
    lists = (
        ("status", "Any status", query.status, statuses),
        ("method", "Any method", query.method, methods),
        (
            "min_ms",
            "Any duration",
            str(query.min_ms or ""),
            [(str(ms), f"≥ {_length(ms)}") for ms in durations],
        ),
        ("reason", "Any reason", query.reason, list(REASONS.items())),
    )
    return [
        (name, label, [Choice(value, text, value == chosen) for value, text in entries])
        for name, label, chosen, entries in lists
    ]


def _with(values: list[str], value: str) -> list[str]:
    return [*values, *([value] if value and value not in values else [])]


def _length(ms: int) -> str:
    return f"{ms // _SECOND_MS:,} s" if ms % _SECOND_MS == 0 else f"{ms:,} ms"
