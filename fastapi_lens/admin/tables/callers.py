"""The columns of the tables of callers, from left to right.

Cells: `callers/_cells.html` of the list, `callers/_uses_cells.html` of what one caller uses, and
`endpoint/_callers_cells.html` of the callers of one endpoint.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi_lens.admin.tables.column import Column, Order
from fastapi_lens.reporting.ledger.callers import CallerTotals, CallerUse

_NEVER = float("-inf")
"""Never used is longer ago than any use."""


def _refused_share(use: CallerUse) -> float:
    return use.refused / use.calls


def _failed_share(use: CallerUse) -> float:
    return use.errors_5xx / use.calls


def _has_calls(use: CallerUse) -> bool:
    return use.calls > 0


CALLER_COLUMNS: tuple[Column[CallerTotals], ...] = (
    Column(
        name="name",
        header="Caller",
        title="The application's name of it, an API key, or a User-Agent.",
        css="left",
        order=Order(key=lambda one: one.caller.name.casefold(), descending_first=False),
        is_row_header=True,
    ),
    Column(
        name="kind",
        header="Known by",
        title="Where the name comes from.",
        width=150,
        from_width=800,
        css="left dim",
    ),
    Column(
        name="last",
        header="Last use",
        title="Its last call of any endpoint.",
        width=96,
        order=Order(key=lambda one: one.caller.last_at or _NEVER),
    ),
    Column(
        name="endpoints",
        header="Endpoints",
        title="Endpoints that it has called.",
        width=116,
        order=Order(key=lambda one: one.endpoints),
    ),
    Column(
        name="calls",
        header="Calls",
        title="All of its calls since callers were first recorded.",
        width=116,
        from_width=640,
        order=Order(key=lambda one: one.calls),
    ),
    Column(
        name="first",
        header="First use",
        title="Its first call of any endpoint.",
        width=96,
        from_width=1040,
        css="dim",
        order=Order(key=lambda one: one.caller.first_at or _NEVER),
    ),
)
"""Of the list of all callers."""

_USE_FIGURES: tuple[Column[CallerUse], ...] = (
    Column(
        name="calls",
        header="Calls",
        title="Calls since callers were first recorded.",
        width=92,
        order=Order(key=lambda one: one.calls),
    ),
    Column(
        name="last",
        header="Last use",
        title="The last call of this endpoint by this caller.",
        width=96,
        order=Order(key=lambda one: one.last_at or _NEVER),
    ),
    Column(
        name="days",
        header="Days",
        title="Days with a call.",
        width=72,
        from_width=1040,
        order=Order(key=lambda one: one.days),
    ),
    Column(
        name="gap",
        header="Longest gap",
        title="The most days in a row without a call, between two calls.",
        width=116,
        from_width=1040,
        order=Order(key=lambda one: one.longest_gap_days),
    ),
    Column(
        name="refused",
        header="Refused",
        title="Share of the calls that were refused, as with 401, 404 or 422.",
        width=92,
        from_width=800,
        order=Order(key=_refused_share, is_comparable=_has_calls),
    ),
    Column(
        name="failed",
        header="Failed",
        title="Share of the calls that were answered with 5xx.",
        unit="5xx",
        width=92,
        from_width=800,
        order=Order(key=_failed_share, is_comparable=_has_calls),
    ),
)

USE_COLUMNS: tuple[Column[CallerUse], ...] = (
    Column(
        name="path",
        header="Endpoint",
        title="Method and path template in the application's routes.",
        css="left",
        order=Order(key=lambda one: (one.path, one.method), descending_first=False),
        is_row_header=True,
    ),
    Column(
        name="status",
        header="Status",
        title="By the last call of anybody.",
        width=116,
        from_width=640,
        css="left lit",
    ),
    Column(
        name="verdict",
        header="Verdict",
        title="May it be deleted? Made of its uses and of the time that was observed.",
        width=186,
        from_width=1240,
        css="left",
    ),
    *_USE_FIGURES,
)
"""Of the endpoints that one caller uses."""

ENDPOINT_COLUMNS: tuple[Column[CallerUse], ...] = (
    Column(
        name="name",
        header="Caller",
        title="The application's name of it, an API key, or a User-Agent.",
        css="left",
        is_row_header=True,
    ),
    *_USE_FIGURES,
    Column(
        name="weeks",
        header="57 weeks",
        title="A bar for each week with calls.",
        width=264,
        from_width=1240,
        css="left trend",
    ),
)
"""Of the callers of one endpoint, the latest first; they cannot be sorted."""

CALLER_ORDERS: Mapping[str, Order[CallerTotals]] = MappingProxyType(
    {column.name: column.order for column in CALLER_COLUMNS if column.order is not None}
)
"""The columns that the list of callers can be sorted by."""

USE_ORDERS: Mapping[str, Order[CallerUse]] = MappingProxyType(
    {column.name: column.order for column in USE_COLUMNS if column.order is not None}
)
"""The columns that the endpoints of one caller can be sorted by."""
