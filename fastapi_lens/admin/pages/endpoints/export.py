"""The list of endpoints as a file: what the page shows, on all its pages, with the same filters."""

import json
from collections.abc import Iterator

from starlette.responses import StreamingResponse

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.callers import called_ids
from fastapi_lens.admin.display.filter_and_sort import filter_and_sort
from fastapi_lens.admin.pages.endpoints.earlier import Earlier
from fastapi_lens.admin.reports.download import file_response
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.reporting.documents.csv_table import csv_rows
from fastapi_lens.reporting.documents.listed import ListedEndpoint
from fastapi_lens.text.escaping import visible_json


def as_csv(context: Context) -> StreamingResponse:
    """``GET /endpoints.csv``: a header, then rows of endpoints, named like the JSON."""
    return file_response(
        context,
        csv_rows(_matching(context), tuple(ListedEndpoint.model_fields)),
        "endpoints.csv",
        "text/csv; charset=utf-8; header=present",
        view=_query(context).url(),
    )


def as_json(context: Context) -> StreamingResponse:
    """``GET /endpoints.json``: ``{"generated_at": …, "view": …, "endpoints": […]}``."""
    view = _query(context).url()
    return file_response(context, _json(context), "endpoints.json", "application/json", view=view)


def _query(context: Context) -> EndpointsQuery:
    return EndpointsQuery.parse(f"?{context.request.url.query}")


def _json(context: Context) -> Iterator[str]:
    view = json.dumps(_query(context).url())
    # The repr of a float is valid JSON, and exact.
    yield f'{{"generated_at": {context.now!r}, "view": {view}, "endpoints": ['
    between = "\n"
    for endpoint in _matching(context):
        yield between + visible_json(endpoint.model_dump_json())
        between = ",\n"
    yield "\n]}\n"


def _matching(context: Context) -> Iterator[ListedEndpoint]:
    query = _query(context)
    endpoints = context.lens.reader.endpoints(
        window=query.window.window, now=context.now, with_ignored=query.ignored
    )
    judged = context.lens.reader.evidence(context.now).by_id()
    called = called_ids(context, query.caller)
    # All members are written, whatever columns the page shows.
    earlier = Earlier().read(context, query.window.window).comparable(context, endpoints)
    listing = filter_and_sort(earlier.joined(endpoints), query, called=called)
    for endpoint in listing.matching:
        yield ListedEndpoint.of(endpoint, now=context.now, judged=judged.get(endpoint.id))
