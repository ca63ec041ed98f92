"""The list of endpoints as a file: what the page shows, on all its pages, with the same filters."""

import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from fastapi_lens.admin.access.audit_events import EXPORT, entry_of
from fastapi_lens.admin.context import Visit
from fastapi_lens.admin.display.filter_and_sort import arrange
from fastapi_lens.admin.http.thread_pools import in_reader_thread
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.reporting.csv_table import csv_rows
from fastapi_lens.reporting.report import EndpointStats
from fastapi_lens.storage.records.settings import add_audit_entry
from fastapi_lens.text.escaping import visible_json

ROWS_AT_ONCE = 200


def as_csv(visit: Visit) -> StreamingResponse:
    """``GET /export.csv``: a header, then a row for each endpoint; the names are REPORT.md's."""
    return file_response(
        visit,
        csv_rows(_matching(visit)),
        "endpoints.csv",
        "text/csv; charset=utf-8; header=present",
        view=_query(visit).url(),
    )


def as_json(visit: Visit) -> StreamingResponse:
    """``GET /export.json``: ``{"generated_at": …, "view": …, "endpoints": […]}``."""
    view = _query(visit).url()
    return file_response(visit, _json(visit), "endpoints.json", "application/json", view=view)


def _query(visit: Visit) -> EndpointsQuery:
    return EndpointsQuery.parse(f"?{visit.request.url.query}")


def _json(visit: Visit) -> Iterator[str]:
    view = json.dumps(_query(visit).url())
    yield f'{{"generated_at": {visit.now!r}, "view": {view}, "endpoints": ['
    between = "\n"
    for endpoint in _matching(visit):
        yield between + visible_json(endpoint.model_dump_json())
        between = ",\n"
    yield "\n]}\n"


def _matching(visit: Visit) -> Iterator[EndpointStats]:
    query = _query(visit)
    endpoints = visit.lens.reader.endpoints(
        window=query.window.window, now=visit.now, with_ignored=query.ignored
    )
    for endpoint in arrange(endpoints, query).matching:
        yield EndpointStats.of(endpoint, now=visit.now)


def file_response(
    visit: Visit, parts: Iterator[str], name: str, media_type: str, *, view: str
) -> StreamingResponse:
    """A file that is sent as it is made, once it is noted who has taken it.

    Args:
        visit: Who asks for it.
        parts: Its text.
        name: ``endpoints.csv``; the day is put before the dot.
        media_type: What it is.
        view: Which part of everything, as the query string of the page.

    Raises:
        StorageError: The database cannot be read or written.
    """
    # The first part reads the database: an error becomes a page, not a file that breaks off.
    parts = itertools.chain([next(parts), *itertools.islice(parts, 1)], parts)
    entry = entry_of(
        visit.request, EXPORT, actor=visit.actor, now=visit.now, target=name, after=view
    )
    add_audit_entry(visit.lens.database, visit.lens.app_name, entry)
    stem, _, suffix = name.partition(".")
    day = datetime.fromtimestamp(visit.now, UTC).date().isoformat()
    headers = {
        "Content-Disposition": f'attachment; filename="{stem}-{day}.{suffix}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_in_pieces(parts), headers=headers, media_type=media_type)


async def _in_pieces(parts: Iterable[str]) -> AsyncIterator[str]:
    left = iter(parts)
    while piece := await in_reader_thread(lambda: "".join(itertools.islice(left, ROWS_AT_ONCE))):
        yield piece
