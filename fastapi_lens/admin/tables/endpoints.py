"""The columns of the table of all endpoints, from left to right; cells: `endpoints/_cells.html`."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi_lens.admin.tables.column import Column, Order
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import Status

STATUS_ORDER = tuple(Status)
"""From alive to never called."""


def _has_calls(endpoint: Endpoint) -> bool:
    """False for an endpoint without an error share and percentiles in the window."""
    return endpoint.usage.calls > 0


def _by_percentile(index: int) -> Order[Endpoint]:
    return Order(
        key=lambda one: one.usage.percentiles_ms[index],
        is_comparable=_has_calls,
        needs_histograms=True,
    )


COLUMNS: tuple[Column[Endpoint], ...] = (
    Column(
        name="path",
        header="Endpoint",
        title="Method and path template in the application's routes.",
        order=Order(key=lambda one: (one.path, one.method), descending_first=False),
        is_row_header=True,
    ),
    Column(
        name="status",
        header="Status",
        title="By the last call of all time, not of the period.",
        width=116,
        from_width=640,
        css="left lit",
        order=Order(key=lambda one: STATUS_ORDER.index(one.status), descending_first=False),
    ),
    Column(
        name="calls",
        header="Calls",
        title="Calls in the period.",
        width=92,
        order=Order(key=lambda one: one.usage.calls),
    ),
    Column(
        name="trend",
        header="Trend",
        title="Calls over the period; the last bar is still filling.",
        width=158,
        from_width=1040,
        css="left trend",
    ),
    Column(
        name="errors",
        header="Errors",
        title="Share of the calls that were answered with 4xx or 5xx.",
        width=146,
        from_width=800,
        header_css="left",
        order=Order(
            # Equal shares, such as that of endpoints that always fail, by their number of errors.
            key=lambda one: (one.usage.error_share, one.usage.errors_4xx + one.usage.errors_5xx),
            is_comparable=_has_calls,
        ),
        has_scale=True,
    ),
    Column(
        name="p50",
        header="p50",
        title="Half of the calls took at most this long.",
        unit="ms",
        width=72,
        from_width=1240,
        order=_by_percentile(0),
    ),
    Column(
        name="p95",
        header="p95",
        title="95 % of the calls took at most this long; above the limit it is slow.",
        unit="ms",
        width=72,
        order=_by_percentile(1),
    ),
    Column(
        name="p99",
        header="p99",
        title="99 % of the calls took at most this long.",
        unit="ms",
        width=72,
        from_width=1240,
        order=_by_percentile(2),
    ),
    Column(
        name="last",
        header="Last call",
        title="The last call of all time.",
        width=96,
        from_width=640,
        # A call that never happened is older than all others.
        order=Order(key=lambda one: one.last_called_at or float("-inf")),
    ),
    Column(
        name="handler",
        header="Handler",
        title="File and line of the function that answers.",
        width=186,
        from_width=1400,
        css="left handler",
    ),
)

ORDERS: Mapping[str, Order[Endpoint]] = MappingProxyType(
    {column.name: column.order for column in COLUMNS if column.order is not None}
)
"""The columns that rows can be sorted by."""
