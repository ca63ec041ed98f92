"""The columns of the table of all endpoints, from left to right; cells: `endpoints/_cells.html`."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from fastapi_lens.admin.tables.column import Column, Order, fitted
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import Status

STATUS_ORDER = tuple(Status)
"""From alive to never called."""


def _has_calls(endpoint: Endpoint) -> bool:
    """False for an endpoint without errors and percentiles in the window."""
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
        css="left lit",
        order=Order(key=lambda one: STATUS_ORDER.index(one.status), descending_first=False),
    ),
    Column(
        name="verdict",
        header="Verdict",
        title="May it be deleted?",
        width=186,
        css="left",
    ),
    Column(
        name="calls",
        header="Calls",
        title="Calls in the period.",
        width=92,
        order=Order(key=lambda one: one.usage.calls),
    ),
    Column(
        name="calls_change",
        header="Δ calls",
        title="Calls compared with the period before.",
        width=72,
        order=Order(
            key=lambda one: one.calls_ratio,
            is_comparable=lambda one: one.is_comparable,
            needs_before=True,
        ),
    ),
    Column(
        name="trend",
        header="Trend",
        title="Calls over the period; the last bar is still filling.",
        width=150,
        css="left trend",
    ),
    Column(
        name="errors_5xx",
        header="5xx",
        title="Calls with a server error, and their share.",
        width=116,
        order=Order(
            key=lambda one: (one.usage.errors_5xx, one.usage.errors_4xx), is_comparable=_has_calls
        ),
        has_scale=True,
    ),
    Column(
        name="errors_4xx",
        header="4xx",
        title="Calls with a client error, and their share.",
        width=116,
        order=Order(
            key=lambda one: (one.usage.errors_4xx, one.usage.errors_5xx), is_comparable=_has_calls
        ),
        has_scale=True,
    ),
    Column(
        name="p50",
        header="p50",
        title="Half of the calls took at most this long.",
        unit="ms",
        width=72,
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
        name="p95_change",
        header="Δ p95",
        title="p95 compared with the period before.",
        width=64,
        order=Order(
            key=lambda one: one.p95_ratio,
            is_comparable=lambda one: one.is_timed_comparable,
            needs_histograms=True,
            needs_before=True,
        ),
    ),
    Column(
        name="p99",
        header="p99",
        title="99 % of the calls took at most this long.",
        unit="ms",
        width=72,
        order=_by_percentile(2),
    ),
    Column(
        name="total",
        header="All calls",
        title="Calls since recording began.",
        width=92,
        order=Order(key=lambda one: one.total_calls),
    ),
    Column(
        name="first",
        header="First seen",
        title="Day on which the endpoint was first in the routes.",
        width=96,
        css="dim",
        order=Order(key=lambda one: one.first_seen_at),
    ),
    Column(
        name="last",
        header="Last call",
        title="The last call of all time.",
        width=96,
        # A call that never happened is older than all others.
        order=Order(key=lambda one: one.last_called_at or float("-inf")),
    ),
    Column(
        name="handler",
        header="Handler",
        title="File and line of the function that answers.",
        width=186,
        css="left handler",
    ),
)

CHOICES = tuple(column.name for column in COLUMNS if not column.is_row_header)
"""The columns that a reader can choose; the row header is always shown."""

CHANGES = frozenset({"calls_change", "p95_change"})
"""The columns that need the period before."""

_LIVELY = (
    *("calls", "calls_change", "trend", "errors_5xx", "errors_4xx"),
    *("p50", "p95", "p95_change", "p99", "last", "handler"),
)
_SILENT = ("verdict", "calls", "trend", "total", "first", "last", "handler")
_DEFAULTS: Mapping[Status | None, Sequence[str]] = MappingProxyType(
    {
        None: ("status", *_LIVELY),
        Status.ACTIVE: _LIVELY,
        Status.COLD: _SILENT,
        Status.DEAD: _SILENT,
        Status.NEVER_CALLED: ("verdict", "total", "last", "handler"),
    }
)

_NEEDED = (
    *("calls", "p95", "last", "status", "errors_5xx", "calls_change", "p95_change"),
    *("errors_4xx", "trend", "handler"),
)
_NEEDED_OF_SILENT = ("last", "total", "verdict", "handler", "first")
"""Columns that a narrow window shows first."""

_EVERYWHERE = frozenset({"path", "calls"})
"""Sorting by these adds no column."""

ORDERS: Mapping[str, Order[Endpoint]] = MappingProxyType(
    {column.name: column.order for column in COLUMNS if column.order is not None}
)
"""The columns that rows can be sorted by."""


def chosen_columns(names: Iterable[str], status: Status | None) -> tuple[str, ...]:
    """A choice of columns from left to right, without unknown ones; empty for the default.

    Args:
        names: Of the chosen columns.
        status: The tab, which has its own default.
    """
    wanted = set(names).intersection(CHOICES)
    is_default = wanted == set(_DEFAULTS[status])
    return () if is_default else tuple(name for name in CHOICES if name in wanted)


def view_columns(
    chosen: Sequence[str], status: Status | None, sort: str
) -> tuple[Column[Endpoint], ...]:
    """The columns of a view, each with the width of the window from which it is shown.

    Args:
        chosen: Names of columns; empty for those of the tab, and the one that rows are sorted by.
        status: The tab.
        sort: The column that rows are sorted by, which a narrow window shows first.
    """
    silent = status is not None and status is not Status.ACTIVE
    needed = (*_NEEDED_OF_SILENT, *_NEEDED) if silent else _NEEDED
    names = set(chosen) or {*_DEFAULTS[status], *({sort} - _EVERYWHERE)}
    first = () if sort in _EVERYWHERE else (sort,)
    shown = [one for one in COLUMNS if one.is_row_header or one.name in names]
    return fitted(shown, tuple(dict.fromkeys((*first, *needed))))
