"""The part of the application that the list shows: how to leave it, and its overview."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.printed_filters import (
    Filters,
    part_filters,
    printed_filters,
    searched,
)
from fastapi_lens.admin.pages.endpoints.groups import NAMELESS
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.reporting.parts import PartKind

GROUPINGS: Mapping[PartKind | None, str] = {
    None: "No groups",
    PartKind.TAG: "By tag",
    PartKind.PREFIX: "By path",
    PartKind.FILE: "By file",
}


def part_values(context: Context, query: EndpointsQuery) -> Mapping[str, Any]:
    """The variables of the filters by path and file, and of the choice of groups."""
    base = context.url("/endpoints")
    parts = [
        Link(query.prefix, _less(query, prefix="").url(base), current=True, name="prefix"),
        Link(
            formats.last_parts(query.file),
            _less(query, file="").url(base),
            current=True,
            name="file",
            title=query.file,
        ),
    ]
    if query.without:
        label, href = NAMELESS[query.without], _less(query, without=None).url(base)
        parts.append(Link(label, href, current=True, name="without"))
    seen = OverviewQuery(window=query.window, **query.part)
    return {
        "parts": [one for one in parts if one.label],
        "overview_href": seen.url(context.url("/")) if seen.is_filtered else "",
        "groupings": [(kind or "", label) for kind, label in GROUPINGS.items()],
    }


def filters_on_paper(query: EndpointsQuery, called_by: Link | None) -> Filters:
    """The variable that prints search and filters.

    Args:
        query: The state of the page.
        called_by: The caller whose endpoints alone are shown.
    """
    only = [NAMELESS[query.without]] if query.without else []
    only += ["deprecated"] if query.deprecated else []
    return printed_filters(
        [
            searched(query.q),
            ("Status", STATUS_LABELS[query.status] if query.status else ""),
            ("Methods", ", ".join(query.methods)),
            *part_filters(query),
            ("Called by", called_by.label if called_by else ""),
            ("Only", ", ".join(only)),
            ("With", "ignored" if query.ignored else ""),
        ]
    )


def _less(query: EndpointsQuery, **changes: Any) -> EndpointsQuery:
    return replace(query, page=1, **changes)
