"""Which endpoints a list shows, in which order, and how many there are. Pure; no I/O, no HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from fastapi_lens.admin.tables.endpoints import STATUS_ORDER
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.settings.status import Status

PAGE_SIZE = 50

METHOD_ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET")


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list, with its filters and counts.

    Attributes:
        query: The query, with a page that exists.
        matching: All endpoints that match, on whatever page, in order.
        counts: Endpoints per status that match the other filters; under ``None`` all of them.
        methods: Methods that can be chosen; those that are chosen among them.
        tags: Tags that can be chosen; the chosen one among them.
        catalogue: Number of endpoints without any filter.
        called: True if any of them was ever called.
        pages: Number of pages, at least 1.
    """

    query: EndpointsQuery
    matching: Sequence[Endpoint]
    counts: dict[Status | None, int]
    methods: Sequence[str]
    tags: Sequence[str]
    catalogue: int
    called: bool
    pages: int

    def with_matching(self, matching: Sequence[Endpoint]) -> "Listing":
        """The same page with replaced endpoints."""
        return replace(self, matching=matching)

    @property
    def rows(self) -> Sequence[Endpoint]:
        """The endpoints of this page, in order."""
        start = (self.query.page - 1) * PAGE_SIZE
        return self.matching[start : start + PAGE_SIZE]

    @property
    def total(self) -> Usage:
        """The usage of all matching endpoints together."""
        return Usage.total([endpoint.usage for endpoint in self.matching])

    @property
    def first(self) -> int:
        """The number of this page's first row, from 1; 0 if there is none."""
        return (self.query.page - 1) * PAGE_SIZE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of this page's last row; 0 if there is none."""
        return self.first + len(self.rows) - 1 if self.rows else 0


def filter_and_sort(endpoints: Sequence[Endpoint], query: EndpointsQuery) -> Listing:
    """Filter, count, sort and cut into pages."""
    is_filtered = bool(query.methods or query.tag or query.q)
    others = [one for one in endpoints if _matches(one, query)] if is_filtered else endpoints
    # The status comes last, so that its counts show what each choice would leave.
    matching = ordered((e for e in others if query.status in (None, e.status)), query.sort)
    pages = max(1, -(-len(matching) // PAGE_SIZE))
    # A link may be older than a removal of endpoints that made the list shorter.
    query = query.with_page(min(query.page, pages))
    return Listing(
        query=query,
        matching=matching,
        counts=_counts(others),
        methods=_methods(endpoints, query),
        tags=sorted({tag for e in endpoints for tag in e.tags} | ({query.tag} - {""})),
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


def page_numbers(current: int, pages: int) -> list[int | None]:
    """The pages to link: first, last and those around the present one; ``None`` is a gap."""
    near = {1, pages, *range(max(1, current - 2), min(pages, current + 2) + 1)}
    numbers: list[int | None] = []
    for page in sorted(near):
        previous = numbers[-1] if numbers else 0
        if previous is not None and page - previous > 1:
            # A gap of one page is as wide as the page itself.
            numbers.append(page - 1 if page - previous == 2 else None)  # noqa: PLR2004
        numbers.append(page)
    return numbers


def _matches(endpoint: Endpoint, query: EndpointsQuery) -> bool:
    """True if an endpoint passes all filters except that of the status."""
    if query.methods and endpoint.method not in query.methods:
        return False
    if query.tag and query.tag not in endpoint.tags:
        return False
    if not query.q:
        return True
    text = "\n".join((endpoint.method, endpoint.path, endpoint.name, *endpoint.tags)).casefold()
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
