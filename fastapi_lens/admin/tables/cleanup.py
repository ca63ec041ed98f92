"""The columns of the tables of the cleanup page, from the left; cells: `cleanup/_cells.html`."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi_lens.admin.tables.column import Column, Order
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.verdict.level import Level

LEVEL_ORDER = (
    Level.SAFE_TO_REMOVE,
    Level.PROBABLY_UNUSED,
    Level.WAIT,
    Level.NOT_ENOUGH_OBSERVATION,
    Level.IN_USE,
    Level.KEPT,
)
"""From what can be removed to what stays."""


def _by_verdict(one: Judged) -> tuple[int, int]:
    """The level; in it the day on which it began or ends, or else the longest silence first."""
    verdict = one.verdict
    level = LEVEL_ORDER.index(verdict.level)
    if verdict.level is Level.SAFE_TO_REMOVE and verdict.safe_from is not None:
        return level, verdict.safe_from
    if verdict.level in (Level.PROBABLY_UNUSED, Level.WAIT):
        return level, verdict.probably_from
    return level, -verdict.silence_days


CHOOSE: Column[Judged] = Column(
    name="choose",
    header="Choose",
    title="The rows that are copied or kept on purpose.",
    width=40,
    css="left choose",
)

ENDPOINT: Column[Judged] = Column(
    name="path",
    header="Endpoint",
    title="Method and path template in the application's routes.",
    css="left",
    order=Order(key=lambda one: (one.endpoint.path, one.endpoint.method), descending_first=False),
    is_row_header=True,
)

LAST_USE: Column[Judged] = Column(
    name="last",
    header="Last use",
    title="The last call that counts as use: not of a health check, monitor or bot.",
    width=96,
    css="say-use",
    # Never used is longer ago than any use.
    order=Order(key=lambda one: one.last_used_at or float("-inf"), descending_first=False),
)

HANDLER: Column[Judged] = Column(
    name="handler",
    header="Handler",
    title="File and line of the function that answers.",
    width=186,
    from_width=1400,
    css="left handler dim",
    order=Order(key=lambda one: one.endpoint.source, descending_first=False),
)

COLUMNS: tuple[Column[Judged], ...] = (
    CHOOSE,
    ENDPOINT,
    Column(
        name="verdict",
        header="Verdict",
        title="May it be deleted? Made of its uses and of the time that was observed.",
        width=186,
        css="left",
        order=Order(key=_by_verdict, descending_first=False),
    ),
    LAST_USE,
    Column(
        name="weeks",
        header="57 weeks",
        title="A bar for each week with uses; grey: not observed.",
        width=264,
        from_width=1240,
        css="left trend",
    ),
    Column(
        name="excluded",
        header="Excluded",
        title="Excluded frequencies of use: daily, weekly, monthly, quarterly, yearly.",
        width=146,
        css="left",
    ),
    Column(
        name="callers",
        header="Callers",
        title="The latest callers of its last year.",
        width=150,
        from_width=1040,
        css="left say-callers",
    ),
    HANDLER,
)

REMOVED_COLUMNS: tuple[Column[Judged], ...] = (
    ENDPOINT,
    Column(
        name="removed",
        header="Removed",
        title="When it was first missing from the routes.",
        width=96,
        css="say-removed",
    ),
    Column(
        name="refused",
        header="Calls since",
        title="Calls after the removal, which were answered with 404 or 405.",
        width=116,
        css="say-calls",
    ),
    Column(
        name="since",
        header="Last call",
        title="The last call after the removal.",
        width=96,
        css="say-last",
    ),
    LAST_USE,
    HANDLER,
)
"""Of endpoints that are no longer in the routes, and still called."""

ORDERS: Mapping[str, Order[Judged]] = MappingProxyType(
    {column.name: column.order for column in COLUMNS if column.order is not None}
)
"""The columns that rows can be sorted by."""
