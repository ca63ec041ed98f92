"""The list of exceptions as a file: on all pages, with the same period, filters and order."""

from collections.abc import Iterator

from starlette.responses import Response

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.pages.exceptions.listing import listed
from fastapi_lens.admin.reports.download import file_response
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.reporting.documents.csv_table import csv_line, iso_time

COLUMNS = (
    *("id", "type", "message", "location", "method", "path"),
    *("times", "is_new", "first_seen_at", "last_seen_at", "times_in_all"),
)
CSV = "text/csv; charset=utf-8; header=present"


def as_csv(context: Context) -> Response:
    """``GET /exceptions.csv``: a header, then a row for each kind; times are ISO 8601."""
    query = ExceptionsQuery.parse(f"?{context.request.url.query}")
    lines = _lines(context, query)
    return file_response(context, lines, "exceptions.csv", CSV, view=query.url())


def _lines(context: Context, query: ExceptionsQuery) -> Iterator[str]:
    found = context.lens.reader.exceptions(
        window=query.window.window, now=context.now, endpoint=query.endpoint, text=query.q
    )
    yield csv_line(COLUMNS)
    for one in listed(found, query).matching:
        yield csv_line(
            (
                *(one.key, one.type, one.message, one.place, one.method, one.path),
                *(one.in_period, one.is_new),
                *(iso_time(one.first_at), iso_time(one.last_at), one.calls),
            )
        )
