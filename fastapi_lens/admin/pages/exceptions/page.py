"""The exceptions that left a handler, most recent first, and each of them on a page of its own."""

from dataclasses import replace

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.request_log import (
    endpoint_filter,
    exception_row,
    log_tabs,
    who_link,
)
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.tables.column import heads
from fastapi_lens.admin.tables.exceptions import COLUMNS
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.reporting.request_log import ExceptionKind


def exceptions_page(context: Context) -> Response:
    """``GET /exceptions``: kinds of exceptions, the latest first."""
    query = ExceptionsQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    tag = templates.entity_tag(context, state.log_version, "exceptions", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    base = context.url("/exceptions")
    found = context.lens.reader.log.exception_kinds(endpoint=query.endpoint, text=query.q)
    values = {
        "current": "Requests",
        "heading": "Exceptions",
        "path": base,
        "address": query.url(base),
        "query": query,
        "tabs": log_tabs(context, endpoint=query.endpoint, exceptions=True),
        "only": endpoint_filter(
            context, query.endpoint, replace(query, endpoint="").url(base), state
        ),
        "heads": heads(COLUMNS),
        "rows": [exception_row(context, exception) for exception in found],
        "clear": base,
    }
    headers = {"ETag": tag, **history_headers(context.request, query.url(base))}
    return templates.page(context, "exceptions/page.html", values, headers=headers, state=state)


def exception_page(context: Context) -> Response:
    """``GET /exceptions/{key}``: one kind of exception, with the traceback of a recent one."""
    exception = context.lens.reader.log.exception_kind(context.request.path_params["key"])
    if exception is None:
        return templates.not_found_page(
            context.request,
            context.base,
            message="This exception is not in the log, or it has expired.",
        )
    requests = RequestsQuery(endpoint=exception.endpoint_key, q=exception.type, status="5xx")
    values = {
        "current": "Requests",
        "heading": exception.type,
        "exception": exception,
        "back": context.url("/exceptions"),
        "endpoint_href": context.url(f"/endpoints/{exception.endpoint_key}"),
        "callers": _callers(context, exception),
        "requests_href": requests.url(context.url("/requests")),
    }
    return templates.page(context, "exceptions/exception.html", values)


def _callers(context: Context, exception: ExceptionKind) -> list[Link]:
    """The callers of its logged requests, those with the most requests first."""
    reader = context.lens.reader
    counts = reader.log.callers_of_exception(exception.key)
    names = reader.callers.names(counts.keys())
    return [
        replace(who_link(context, identity, names[identity]), count=count)
        for identity, count in counts.items()
        if identity in names
    ]
