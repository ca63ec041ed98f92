"""The chart over the list: the calls of all endpoints that match, on whatever page."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.app_charts import calls_over_time
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.reporting.model import Endpoint

COOKIE = "lens_chart"
"""The cookie that remembers that the chart is open."""


def chart_values(
    context: Context, query: EndpointsQuery, endpoints: Sequence[Endpoint]
) -> Mapping[str, Any]:
    """The variables of the chart, which is read from the database only while it is open.

    Args:
        context: The request.
        query: The state of the page.
        endpoints: All that match.
    """
    href = query.with_chart().url(context.url("/endpoints"))
    if not (query.chart or context.request.cookies.get(COOKIE) == "on"):
        return {"over_time": None, "chart_href": href}
    reader, window = context.lens.reader, query.window.window
    series = reader.app_series([one.id for one in endpoints], [], window=window, now=context.now)
    over_time, marks = calls_over_time(
        series,
        reader.releases(),
        ends_now=reader.bounds(window, now=context.now).end is None,
        before=f"{formats.lasting(series.before_seconds)} before",
        times=Times.of(context.zone),
    )
    return {"over_time": over_time, "marks": marks, "chart_href": href}
