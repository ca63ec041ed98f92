"""The list of callers, and the endpoints of one, as files: on all pages, with the same filters."""

from collections.abc import Iterator, Mapping, Sequence

from starlette.responses import Response

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.pages.callers.caller import found_caller, no_caller
from fastapi_lens.admin.pages.callers.listing import callers_of, uses_of
from fastapi_lens.admin.reports.download import file_response
from fastapi_lens.admin.urls.callers import CallerQuery, CallersQuery
from fastapi_lens.reporting.documents.csv_table import csv_line, iso_time
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.ledger.callers import CallerTotals, CallerUse
from fastapi_lens.reporting.model import id_from_key

CALLER_COLUMNS = (
    *("id", "name", "own_name", "kind", "is_noise"),
    *("first_use_at", "last_use_at", "endpoints", "calls"),
)
USE_COLUMNS = (
    *("caller", "method", "path", "verdict", "calls", "refused", "errors_5xx"),
    *("first_use_at", "last_use_at", "days", "longest_gap_days"),
)
CSV = "text/csv; charset=utf-8; header=present"


def callers_csv(context: Context) -> Response:
    """``GET /callers.csv``: a header, then a row for each caller; times are ISO 8601."""
    query = CallersQuery.parse(f"?{context.request.url.query}")
    lines = _lines(context, query)
    return file_response(context, lines, "callers.csv", CSV, view=query.url())


def caller_csv(context: Context) -> Response:
    """``GET /callers/{key}.csv``: a header, then a row for each endpoint that the caller uses."""
    key = context.request.path_params["key"]
    found = found_caller(context)
    if found is None:
        return no_caller(context)
    query = CallerQuery.parse(f"?{context.request.url.query}")
    judged = context.lens.reader.evidence(context.now).by_id()
    uses = uses_of(found.uses, query).matching
    lines = _use_lines(uses, judged)
    return file_response(context, lines, "caller.csv", CSV, view=f"{key}{query.url()}")


def _lines(context: Context, query: CallersQuery) -> Iterator[str]:
    yield csv_line(CALLER_COLUMNS)
    for one in callers_of(context.lens.reader.callers.callers(), query).matching:
        yield csv_line(_cells(one))


def _cells(totals: CallerTotals) -> tuple[object, ...]:
    caller = totals.caller
    return (
        caller.key,
        caller.name,
        caller.own_name,
        caller.kind.value,
        caller.is_noise,
        iso_time(caller.first_at),
        iso_time(caller.last_at),
        totals.endpoints,
        totals.calls,
    )


def _use_lines(uses: Sequence[CallerUse], judged: Mapping[int, Judged]) -> Iterator[str]:
    yield csv_line(USE_COLUMNS)
    for use in uses:
        verdict = judged.get(id_from_key(use.endpoint))
        yield csv_line(
            (
                use.caller.name,
                use.method,
                use.path,
                None if verdict is None else verdict.verdict.level.value,
                use.calls,
                use.refused,
                use.errors_5xx,
                iso_time(use.first_at),
                iso_time(use.last_at),
                use.days,
                use.longest_gap_days,
            )
        )
