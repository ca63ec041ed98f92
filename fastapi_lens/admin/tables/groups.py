"""The columns of the table of groups of endpoints; cells: `endpoints/_group_cells.html`."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi_lens.admin.tables.column import Column, Order
from fastapi_lens.reporting.parts import PartKind
from fastapi_lens.reporting.totals.groups import Group

NAMES: Mapping[PartKind, str] = MappingProxyType(
    {PartKind.TAG: "Tag", PartKind.PREFIX: "Path", PartKind.FILE: "File"}
)
"""The header of the first column."""


def columns_of(kind: PartKind) -> tuple[Column[Group], ...]:
    """The columns, from left to right."""
    first = Column[Group](
        name="path",
        header=NAMES[kind],
        title="What the endpoints of a row have in common.",
        # The group without a name comes last in both directions.
        order=Order(
            key=lambda one: one.name,
            descending_first=False,
            is_comparable=lambda one: bool(one.name),
        ),
        is_row_header=True,
    )
    return (first, *_OTHERS)


def _has_calls(group: Group) -> bool:
    return group.usage.calls > 0


def _is_timed(group: Group) -> bool:
    return group.timed.calls > 0


_OTHERS: tuple[Column[Group], ...] = (
    Column(
        name="endpoints",
        header="Endpoints",
        title="Endpoints of the group, of all statuses.",
        width=116,
        order=Order(key=lambda one: len(one.endpoints)),
    ),
    Column(
        name="status",
        header="Status",
        title="Endpoints of the group by their last call of all time.",
        width=264,
        from_width=1040,
        css="left apart statuses",
        # The most to clean up first.
        order=Order(key=lambda one: one.unused),
    ),
    Column(
        name="calls",
        header="Calls",
        title="Calls of all of them in the period.",
        width=92,
        order=Order(key=lambda one: one.usage.calls),
    ),
    Column(
        name="errors_5xx",
        header="5xx",
        title="Server errors: calls that were answered with 5xx.",
        width=92,
        from_width=640,
        order=Order(key=lambda one: one.usage.errors_5xx, is_comparable=_has_calls),
    ),
    Column(
        name="errors_4xx",
        header="4xx",
        title="Client errors: calls that were answered with 4xx.",
        width=92,
        from_width=800,
        order=Order(key=lambda one: one.usage.errors_4xx, is_comparable=_has_calls),
    ),
    Column(
        name="p95",
        header="p95",
        title="95 % of the calls of all of them took at most this long.",
        unit="ms",
        width=92,
        order=Order(key=lambda one: one.timed.percentiles_ms[1], is_comparable=_is_timed),
    ),
    Column(
        name="last",
        header="Last call",
        title="The last call of any of them, of all time.",
        width=96,
        from_width=640,
        order=Order(key=lambda one: one.last_called_at or float("-inf")),
    ),
)

ORDERS: Mapping[str, Order[Group]] = MappingProxyType(
    {column.name: column.order for column in columns_of(PartKind.TAG) if column.order is not None}
)
"""The columns that groups can be sorted by; the same for each kind."""
