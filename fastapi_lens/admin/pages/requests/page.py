"""The request log: single requests, newest first, and each of them on a page of its own."""

import hashlib
from dataclasses import dataclass, replace

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Visit
from fastapi_lens.admin.http.requests import parts_of
from fastapi_lens.admin.pages.endpoints.page import Link
from fastapi_lens.admin.urls.requests import FailuresQuery, RequestsQuery
from fastapi_lens.config.request_log import LogSettings
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.reporting.request_log import MOST_NEWER, Failure, LoggedCall
from fastapi_lens.reporting.workers import State

PAGE_SIZE = 50
RECENT = 10
"""Requests that the page of an endpoint shows."""

REASONS = {"error": "Error", "slow": "Slowest", "sample": "Sample"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET")
DURATIONS = (100, 500, 1_000, 5_000)
_SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """A request as a row of a table.

    Attributes:
        href: Its own page.
        css: The class of its status code: ``c5``.
        reason: Why it is in the log, in a word.
        failure: The bare name of its exception's type; empty without.
        is_slow: Whether it took longer than the configured limit.
    """

    call: LoggedCall
    href: str
    css: str
    reason: str
    failure: str
    is_slow: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of a list to choose from."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A kind of exception as a row of a table.

    Attributes:
        href: Its own page.
        name: The bare name of its type.
    """

    failure: Failure
    href: str
    name: str


def requests_page(visit: Visit) -> Response:
    """``GET /requests``: the list."""
    query = RequestsQuery.parse(f"?{visit.request.url.query}")
    base, log = visit.url("/requests"), visit.lens.reader.log
    before = int(query.before, 16) if query.before else None
    state = visit.lens.reader.state(visit.now)
    found = log.requests(query.wanted, before=before, limit=PAGE_SIZE + 1)
    calls = found[:PAGE_SIZE]
    newest = calls[0].key if calls and not query.before else ""
    context = {
        "current": "Requests",
        "heading": "Requests",
        "path": base,
        "address": query.url(base),
        "query": query,
        "tabs": log_tabs(visit, endpoint=query.endpoint),
        "only": _only(visit, query.endpoint, replace(query, endpoint="").newest().url(base), state),
        "selects": _selects(query, visit.lens.methods),
        "rows": [row_of(visit, call) for call in calls],
        "with_clients": any(call.client for call in calls),
        "older": query.older(calls[-1].key).url(base) if len(found) > PAGE_SIZE else "",
        "newest": query.newest().url(base),
        "clear": base,
        "waits": "" if query.before else _waits(visit, query, newest),
        "exports": [
            Link(kind.upper(), query.newest().url(f"{base}.{kind}"), current=False)
            for kind in ("csv", "json")
        ],
        "kept": kept_words(visit.lens.settings.log),
    }
    headers = _history(visit, query.url(base))
    return templates.page(visit, "requests.html", context, headers=headers, state=state)


def new_requests(visit: Visit) -> Response:
    """``GET /requests/new``: how many there are that the list does not show yet.

    The list stays as it is: whoever reads in it asks for them.
    """
    query = RequestsQuery.parse(f"?{visit.request.url.query}")
    newest = query.newest().url(visit.url("/requests"))
    if not templates.wants_fragment(visit.request):
        return RedirectResponse(newest, 303)
    after = int(query.before, 16) if query.before else 0
    count = visit.lens.reader.log.newer(query.wanted, after=after)
    tag = f'W/"{hashlib.sha256(f"{query.url()} {count}".encode()).hexdigest()[:20]}"'
    if templates.is_unchanged(visit.request, tag):
        return templates.unchanged(tag, visit.lens.reader.state(visit.now).complete_to)
    words = f"{count:,}" if count < MOST_NEWER else f"{MOST_NEWER:,}+"
    context = {"count": count, "words": words, "newest": newest}
    headers = {"ETag": tag, "HX-Push-Url": "false"}
    return templates.page(visit, "requests_new.html", context, headers=headers)


def request_page(visit: Visit) -> Response:
    """``GET /requests/{key}``: everything that is kept of one request."""
    log = visit.lens.reader.log
    call = log.request(visit.request.path_params["key"])
    if call is None:
        return templates.not_found_page(
            visit.request, visit.base, message="This request is not in the log, or not any more."
        )
    context = {
        "current": "Requests",
        "heading": f"{call.method} {call.path}",
        "row": row_of(visit, call),
        "call": call,
        "back": visit.url("/requests"),
        "endpoint_href": visit.url(f"/endpoints/{call.endpoint_key}"),
        "same_href": RequestsQuery(endpoint=call.endpoint_key).url(visit.url("/requests")),
        "failure": log.failure(call.failure_key) if call.failure_key else None,
        "failure_href": visit.url(f"/failures/{call.failure_key}"),
    }
    return templates.page(visit, "request.html", context)


def failures_page(visit: Visit) -> Response:
    """``GET /failures``: kinds of exceptions, the latest first."""
    query = FailuresQuery.parse(f"?{visit.request.url.query}")
    state = visit.lens.reader.state(visit.now)
    tag = templates.entity_tag(visit, state.log_version, "failures", query.url())
    if templates.is_unchanged(visit.request, tag):
        return templates.unchanged(tag, state.complete_to)
    base = visit.url("/failures")
    found = visit.lens.reader.log.failures(endpoint=query.endpoint, text=query.q)
    context = {
        "current": "Requests",
        "heading": "Exceptions",
        "path": base,
        "address": query.url(base),
        "query": query,
        "tabs": log_tabs(visit, endpoint=query.endpoint, failures=True),
        "only": _only(visit, query.endpoint, replace(query, endpoint="").url(base), state),
        "rows": [failure_row(visit, failure) for failure in found],
        "clear": base,
    }
    headers = {"ETag": tag, **_history(visit, query.url(base))}
    return templates.page(visit, "failures.html", context, headers=headers, state=state)


def failure_page(visit: Visit) -> Response:
    """``GET /failures/{key}``: one kind of exception, with the traceback of one of the latest."""
    failure = visit.lens.reader.log.failure(visit.request.path_params["key"])
    if failure is None:
        return templates.not_found_page(
            visit.request, visit.base, message="This exception is not in the log, or not any more."
        )
    requests = RequestsQuery(endpoint=failure.endpoint_key, q=failure.type, status="5xx")
    context = {
        "current": "Requests",
        "heading": failure.type,
        "failure": failure,
        "back": visit.url("/failures"),
        "endpoint_href": visit.url(f"/endpoints/{failure.endpoint_key}"),
        "requests_href": requests.url(visit.url("/requests")),
    }
    return templates.page(visit, "failure.html", context)


def of_endpoint(visit: Visit, endpoint: Endpoint) -> dict[str, object]:
    """What the log has of one endpoint, for its own page."""
    log, query = visit.lens.reader.log, RequestsQuery(endpoint=endpoint.key)
    failures = log.failures(endpoint=endpoint.key, limit=RECENT)
    return {
        "rows": [row_of(visit, call) for call in log.requests(query.wanted, limit=RECENT)],
        "failures": [failure_row(visit, failure) for failure in failures],
        "requests_href": query.url(visit.url("/requests")),
        "failures_href": FailuresQuery(endpoint=endpoint.key).url(visit.url("/failures")),
        "kept": kept_words(visit.lens.settings.log),
    }


def row_of(visit: Visit, call: LoggedCall) -> Row:
    """A request as a table shows it."""
    is_websocket = call.method == "WEBSOCKET"
    return Row(
        call=call,
        href=visit.url(f"/requests/{call.key}"),
        css=f"c{call.status // 100}",
        reason=REASONS.get(call.reason, call.reason),
        failure=call.failure_type.rpartition(".")[2],
        is_slow=call.duration_ms > visit.lens.settings.slow_threshold_ms and not is_websocket,
    )


def failure_row(visit: Visit, failure: Failure) -> FailureRow:
    """A kind of exception as a table shows it."""
    href = visit.url(f"/failures/{failure.key}")
    return FailureRow(failure, href, failure.type.rpartition(".")[2])


def log_tabs(visit: Visit, *, endpoint: str, failures: bool = False) -> list[Link]:
    """The two lists of the log, of the same endpoint."""
    requests_href = RequestsQuery(endpoint=endpoint).url(visit.url("/requests"))
    failures_href = FailuresQuery(endpoint=endpoint).url(visit.url("/failures"))
    return [
        Link("Requests", requests_href, current=not failures, name="requests"),
        Link("Exceptions", failures_href, current=failures, name="failures"),
    ]


def kept_words(settings: LogSettings) -> str:
    """What of all requests is in the log: completes the sentence ``Each worker keeps …``."""
    parts = [
        f"every server error up to {settings.log_errors_per_minute:,} a minute"
        if settings.log_errors_per_minute
        else "",
        f"the slowest {settings.log_slowest:,} a minute" if settings.log_slowest else "",
        f"{settings.log_sample_rate * 100:g}% of all requests" if settings.log_sample_rate else "",
    ]
    told = [part for part in parts if part]
    return ", ".join(told[:-1]) + (" and " if told[1:] else "") + told[-1] if told else ""


def _waits(visit: Visit, query: RequestsQuery, newest: str) -> str:
    """Where the list asks for what is newer than its first row."""
    return replace(query, before=newest).url(visit.url("/requests/new"))


def _only(visit: Visit, key: str, href: str, state: State) -> Link | None:
    """The only endpoint that is shown, and the way to all of them; None without."""
    if not key:
        return None
    endpoint = visit.lens.reader.endpoint(key, window=Window(1), now=visit.now, state=state)
    name = f"{endpoint.method} {endpoint.path}" if endpoint else f"endpoint {key}"
    return Link(name, href, current=True)


def _selects(query: RequestsQuery, declared: set[str]) -> list[tuple[str, str, list[Choice]]]:
    """Lists to choose from: name, label, and their entries; what the address has is among them."""
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


def _history(visit: Visit, address: str) -> dict[str, str]:
    """What an answer to htmx makes of the address: see `endpoints.history_headers`."""
    if not templates.wants_fragment(visit.request):
        return {}
    shown = parts_of(visit.request.headers.get("hx-current-url", ""))
    if shown.path + (f"?{shown.query}" if shown.query else "") == address:
        return {"HX-Push-Url": "false"}
    source = visit.request.headers.get("hx-source", "")
    typing = source.endswith("#lens-q") and RequestsQuery.parse(f"?{shown.query}").q
    return {"HX-Replace-Url" if typing else "HX-Push-Url": address}
