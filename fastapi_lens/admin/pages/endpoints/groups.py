"""The list of endpoints as groups with totals: by tag, by path, by file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.display.paging import Paged, page_links, pages_of
from fastapi_lens.admin.tables.column import head_of
from fastapi_lens.admin.tables.endpoints import STATUS_ORDER
from fastapi_lens.admin.tables.groups import columns_of
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import PartKind
from fastapi_lens.reporting.totals.groups import Group, groups_of

NAMELESS: Mapping[PartKind, str] = {PartKind.TAG: "No tag", PartKind.FILE: "Unknown file"}
"""The names of the groups of endpoints that have none."""

NOTES: Mapping[PartKind, str] = {
    PartKind.TAG: "An endpoint with several tags counts in each.",
    PartKind.PREFIX: "An endpoint counts in each path above it.",
    PartKind.FILE: "",
}
"""Sentences about groups that share endpoints."""


@dataclass(frozen=True, slots=True)
class GroupList(Paged[Group]):
    """One page of the groups.

    Attributes:
        query: The query, with a page that exists.
        matching: All groups in order.
    """

    query: EndpointsQuery
    matching: Sequence[Group]

    @property
    def page(self) -> int:
        """The number of the page, from 1."""
        return self.query.page


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as a row of the table.

    Attributes:
        id: Of the row on the page; the same in each answer.
        name: May be that of endpoints without one.
        href: The list of its endpoints; empty for a name that no address can hold.
        statuses: CSS class, label and number of endpoints of each status.
        is_slow: True if its p95 is above the configured limit.
    """

    group: Group
    id: str
    name: str
    href: str
    statuses: Sequence[tuple[str, str, int]]
    is_slow: bool


def group_list(query: EndpointsQuery, kind: PartKind, endpoints: Sequence[Endpoint]) -> GroupList:
    """The groups of endpoints, sorted and cut into pages.

    Args:
        query: The state of the page.
        kind: Part that the groups have in common.
        endpoints: All that match, with their histograms.
    """
    groups = groups_of(endpoints, kind, tag=query.tag)
    order = query.orders[query.sort.key]
    # Sorting is stable in both directions, so ties keep the order of the names.
    comparable = [one for one in groups if order.is_comparable(one)]
    comparable.sort(key=order.key, reverse=query.sort.descending)
    matching = comparable + [one for one in groups if not order.is_comparable(one)]
    return GroupList(query.with_page(min(query.page, pages_of(matching))), matching)


def group_values(context: Context, groups: GroupList, kind: PartKind) -> Mapping[str, Any]:
    """The variables of the table of groups."""
    query, base = groups.query, context.url("/endpoints")

    def link(name: str) -> str:
        descending = query.orders[name].descending_first
        sort = query.sort.reversed() if query.sort.key == name else Sort(name, descending)
        return query.with_sort(sort).url(base)

    return {
        "groups": groups,
        "group_note": NOTES[kind],
        "rows": [_row(context, query, kind, one) for one in groups.rows],
        "heads": [head_of(column, query.sort, link) for column in columns_of(kind)],
        "pages": page_links(
            query.page, pages_of(groups.matching), lambda page: query.with_page(page).url(base)
        ),
    }


def _row(context: Context, query: EndpointsQuery, kind: PartKind, group: Group) -> GroupRow:
    part = query.of_part(kind, group.name)
    # Addresses hold neither very long names nor spaces at their ends.
    is_linked = getattr(part, kind) == group.name
    return GroupRow(
        group=group,
        id=hashlib.sha256(group.name.encode("utf-8", "replace")).hexdigest()[:16],
        name=group.name or NAMELESS[kind],
        href=part.url(context.url("/endpoints")) if is_linked else "",
        statuses=[
            (status.value, STATUS_LABELS[status], group.statuses[status]) for status in STATUS_ORDER
        ],
        is_slow=group.timed.percentiles_ms[1] > context.lens.settings.slow_threshold_ms,
    )
