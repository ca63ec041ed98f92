"""The columns of the table of exceptions; cells: `_exceptions_cells.html`."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi_lens.admin.tables.column import Column, Order
from fastapi_lens.reporting.log.exception_reader import ExceptionKind

COLUMNS: tuple[Column[ExceptionKind], ...] = (
    Column(
        name="exception",
        header="Exception",
        title="Type and location of the exception.",
        width="26p",
        order=Order(
            # By the name that is shown, without the modules.
            key=lambda one: (one.type.rpartition(".")[2].casefold(), one.place),
            descending_first=False,
        ),
        is_row_header=True,
    ),
    Column(name="message", header="Message", title="Its latest message.", css="left apart"),
    Column(
        name="endpoint",
        header="Endpoint",
        title="The endpoint whose handler it left.",
        width="22p",
        from_width=800,
        css="left",
        order=Order(key=lambda one: (one.path, one.method), descending_first=False),
    ),
    Column(
        name="count",
        header="Times",
        title="How often it was raised in the period.",
        width=72,
        order=Order(key=lambda one: one.in_period),
    ),
    Column(
        name="trend",
        header="Trend",
        title="How often it was raised over the period.",
        width=158,
        from_width=1040,
        css="left trend",
    ),
    Column(
        name="first",
        header="First seen",
        title="When it was first raised.",
        width=116,
        from_width=1040,
        css="dim",
        order=Order(key=lambda one: one.first_at),
    ),
    Column(
        name="last",
        header="Last seen",
        title="When it was last raised.",
        width=96,
        from_width=640,
        css="dim",
        order=Order(key=lambda one: one.last_at),
    ),
)

ORDERS: Mapping[str, Order[ExceptionKind]] = MappingProxyType(
    {column.name: column.order for column in COLUMNS if column.order is not None}
)
"""The columns that rows can be sorted by."""
