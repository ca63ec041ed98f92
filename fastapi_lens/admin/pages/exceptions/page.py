"""The exceptions that left a handler, most recent first, and each of them on a page of its own."""

from dataclasses import replace

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.request_log import (
    endpoint_filter,
    failure_row,
    log_tabs,
)
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.tables.column import heads
from fastapi_lens.admin.tables.exceptions import COLUMNS
from fastapi_lens.admin.urls.exceptions import FailuresQuery
from fastapi_lens.admin.urls.requests import RequestsQuery


def failures_page(context: Context) -> Response:
    """``GET /failures``: kinds of exceptions, the latest first."""
    query = FailuresQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    tag = templates.entity_tag(context, state.log_version, "failures", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    base = context.url("/failures")
    found = context.lens.reader.log.failures(endpoint=query.endpoint, text=query.q)
    values = {
        "current": "Requests",
        "heading": "Exceptions",
        "path": base,
        "address": query.url(base),
        "query": query,
        "tabs": log_tabs(context, endpoint=query.endpoint, failures=True),
        "only": endpoint_filter(
            context, query.endpoint, replace(query, endpoint="").url(base), state
        ),
        "heads": heads(COLUMNS),
        "rows": [failure_row(context, failure) for failure in found],
        "clear": base,
    }
    headers = {"ETag": tag, **history_headers(context.request, query.url(base))}
    return templates.page(context, "failures.html", values, headers=headers, state=state)


def failure_page(context: Context) -> Response:
    """``GET /failures/{key}``: one kind of exception, with the traceback of one of the latest."""
    failure = context.lens.reader.log.failure(context.request.path_params["key"])
    if failure is None:
        return templates.not_found_page(
            context.request,
            context.base,
            message="This exception is not in the log, or not any more.",
        )
    requests = RequestsQuery(endpoint=failure.endpoint_key, q=failure.type, status="5xx")
    values = {
        "current": "Requests",
        "heading": failure.type,
        "failure": failure,
        "back": context.url("/failures"),
        "endpoint_href": context.url(f"/endpoints/{failure.endpoint_key}"),
        "requests_href": requests.url(context.url("/requests")),
    }
    return templates.page(context, "failure.html", values)
