"""The exceptions that left a handler, most recent first, and each of them on a page of its own."""

from dataclasses import replace

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Visit
from fastapi_lens.admin.display.request_log import (
    endpoint_filter,
    failure_row,
    log_tabs,
)
from fastapi_lens.admin.http.history import history_headers
from fastapi_lens.admin.urls.exceptions import FailuresQuery
from fastapi_lens.admin.urls.requests import RequestsQuery


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
        "only": endpoint_filter(
            visit, query.endpoint, replace(query, endpoint="").url(base), state
        ),
        "rows": [failure_row(visit, failure) for failure in found],
        "clear": base,
    }
    headers = {"ETag": tag, **history_headers(visit.request, query.url(base))}
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
