"""The request log as a file: what the list shows, on all its pages, with the same filters."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from starlette.responses import StreamingResponse

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.reports.download import file_response
from fastapi_lens.admin.urls.period import Period, WindowChoice, is_named
from fastapi_lens.admin.urls.query_string import fields_of
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.reporting.documents.csv_table import csv_line
from fastapi_lens.reporting.log.request_log import LoggedCall
from fastapi_lens.storage.schema.models import OTHERS_ID

READ_AT_ONCE = 500
COLUMNS = (
    *("id", "at", "method", "path", "query", "status", "duration_ms", "reason"),
    *("endpoint_method", "endpoint_path", "client", "agent", "exception", "caller"),
)


def as_csv(context: Context) -> StreamingResponse:
    """``GET /requests.csv``: a header, then a row for each request; times are epoch seconds."""
    lines = (csv_line(record.values()) for record in _records(context))
    return file_response(
        context,
        _after(csv_line(COLUMNS), lines),
        "requests.csv",
        "text/csv; charset=utf-8",
        view=_query(context).url(),
    )


def as_json(context: Context) -> StreamingResponse:
    """``GET /requests.json``: ``{"generated_at": …, "view": …, "requests": […]}``."""
    view = _query(context).url()
    head = f'{{"generated_at": {context.now!r}, "view": {json.dumps(view)}, "requests": ['

    def parts() -> Iterator[str]:
        between = "\n"
        for record in _records(context):
            yield between + json.dumps(record)
            between = ",\n"
        yield "\n]}\n"

    texts = _after(head, parts())
    return file_response(context, texts, "requests.json", "application/json", view=view)


def _query(context: Context) -> RequestsQuery:
    url = f"?{context.request.url.query}"
    query = RequestsQuery.parse(url).newest()
    # An address of a script without a period means all that is kept, as in earlier releases.
    return query if is_named(fields_of(url)) else query.with_window(Period(WindowChoice.ALL))


def _records(context: Context) -> Iterator[dict[str, object]]:
    log, before = context.lens.reader.log, None
    wanted = _query(context).wanted(context.now)
    # Continues after the last row, not at an offset: new rows would shift it.
    while found := log.requests(wanted, before=before, limit=READ_AT_ONCE):
        names = context.lens.reader.callers.names({call.caller_id for call in found} - {OTHERS_ID})
        yield from (_record(call, names.get(call.caller_id, "")) for call in found)
        before = found[-1].id


def _record(call: LoggedCall, caller: str) -> dict[str, object]:
    values = asdict(call)
    named = {
        "id": call.key,
        "endpoint_path": call.template,
        "exception": call.exception_type,
        "caller": caller,
    }
    return {name: named.get(name, values.get(name)) for name in COLUMNS}


def _after(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
