"""The report of callers as CSV."""

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.reports.download import file_response
from fastapi_lens.reporting.documents.callers_report import csv_rows


def uses_csv(context: Context) -> Response:
    """``GET /uses.csv``: the report of callers, a row for each pair of an endpoint and a caller."""
    key = context.request.query_params.get("endpoint")
    found = context.lens.reader.callers.uses(key)
    if found is None:
        message = "No such endpoint in the lens."
        return templates.not_found_page(context.request, context.base, message=message)
    return file_response(
        context,
        csv_rows(found.uses),
        "uses.csv",
        "text/csv; charset=utf-8; header=present",
        view="" if key is None else f"?endpoint={key}",
    )
