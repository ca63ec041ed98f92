"""Which endpoints a list shows, in which order, and how many there are. Pure; no I/O, no HTML."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from fastapi_lens.admin.display.paging import Paged, pages_of
from fastapi_lens.admin.tables.endpoints import STATUS_ORDER
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.reporting.totals.usages import counted_usage, timed_usage
from fastapi_lens.settings.status import Status

METHOD_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET")


@dataclass(frozen=True, slots=True)
class Listing(Paged[Endpoint]):
    """One page of a list, with its filters and counts.

    Attributes:
        query: The query, with a page that exists.
        matching: All endpoints that match, on whatever page, in order.
        counts: Endpoints per status that match the other filters; under ``None`` all of them.
        methods: Methods that can be chosen; those that are chosen among them.
        tags: Tags that can be chosen; the chosen one among them.
        deprecated: Number of deprecated endpoints that match the other filters.
        catalogue: Number of endpoints without any filter.
        called: True if any of them was ever called.
        pages: Number of pages, at least 1.
    """

    query: EndpointsQuery
    matching: Sequence[Endpoint]
    counts: dict[Status | None, int]
    methods: Sequence[str]
    tags: Sequence[str]
    deprecated: int
    catalogue: int
    called: bool
    pages: int

    def with_matching(self, matching: Sequence[Endpoint]) -> "Listing":
        """The same page with replaced endpoints."""
        return replace(self, matching=matching)

    @property
    def page(self) -> int:
        """The number of the page, from 1."""
        return self.query.page

    @property
    def total(self) -> Usage:
        """The usage of all matching endpoints together; without a histogram."""
        return counted_usage(self.matching)

    @property
    def timed(self) -> Usage:
        """The calls whose durations count."""
        return timed_usage(self.matching)


def filter_and_sort(
    endpoints: Sequence[Endpoint],
    query: EndpointsQuery,
    *,
    called: Collection[int] | None = None,
) -> Listing:
    """Filter, count, sort and cut into pages.

    Args:
        endpoints: All of them.
        query: The filters, the order and the page.
        called: Ids of the endpoints that the chosen caller uses; None without a choice.
    """
    is_filtered = bool(query.methods or query.is_of_part or query.q)
    others = [one for one in endpoints if _matches(one, query)] if is_filtered else endpoints
    if called is not None:
        others = [one for one in others if one.id in called]
    deprecated = [one for one in others if one.deprecated]
    if query.deprecated:
        others = deprecated
    # The status comes last, so that its counts show what each choice would leave.
    matching = ordered((e for e in others if query.status in (None, e.status)), query.sort)
    pages = pages_of(matching)
    # A link may be older than a removal of endpoints that made the list shorter.
    query = query.with_page(min(query.page, pages))
    return Listing(
        query=query,
        matching=matching,
        counts=_counts(others),
        methods=_methods(endpoints, query),
        tags=sorted({tag for e in endpoints for tag in e.tags} | ({query.tag} - {""})),
        deprecated=sum(query.status in (None, one.status) for one in deprecated),
        catalogue=len(endpoints),
        called=any(endpoint.last_called_at is not None for endpoint in endpoints),
        pages=pages,
    )


def ordered(endpoints: Iterable[Endpoint], sort: Sort) -> list[Endpoint]:
    """Sorted endpoints; ties are sorted by path and method.

    Those that have nothing to compare (no call in the window, so no percentile) come last in
    both directions.
    """
    # Sorting is stable in both directions, so ties keep this order.
    rows, order = sorted(endpoints, key=attrgetter("path", "method")), sort.order
    comparable = [row for row in rows if order.is_comparable(row)]
    comparable.sort(key=order.key, reverse=sort.descending)
    return comparable + [row for row in rows if not order.is_comparable(row)]


def _matches(endpoint: Endpoint, query: EndpointsQuery) -> bool:
    """True if an endpoint passes the filters by method, tag and text."""
    if query.methods and endpoint.method not in query.methods:
        return False
    if not query.holds(endpoint):
        return False
    if not query.q:
        return True
    texts = (endpoint.method, endpoint.path, endpoint.name, endpoint.source, *endpoint.tags)
    text = "\n".join(texts).casefold()
    return all(word in text for word in query.q.casefold().split())


def _counts(endpoints: Sequence[Endpoint]) -> dict[Status | None, int]:
    counts: dict[Status | None, int] = {None: len(endpoints), **dict.fromkeys(STATUS_ORDER, 0)}
    for endpoint in endpoints:
        counts[endpoint.status] += 1
    return counts


def _methods(endpoints: Sequence[Endpoint], query: EndpointsQuery) -> list[str]:
    present = {endpoint.method for endpoint in endpoints} | set(query.methods)
    known = [method for method in METHOD_ORDER if method in present]
    return known + sorted(present.difference(known))
