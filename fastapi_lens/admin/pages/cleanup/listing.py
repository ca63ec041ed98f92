"""Judged endpoints as the cleanup page lists them: filters, counts, order. Pure; no HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from fastapi_lens.admin.display.paging import Paged, pages_of
from fastapi_lens.admin.tables.cleanup import ORDERS
from fastapi_lens.admin.urls.cleanup import REMOVED, TABS, CleanupQuery
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged


@dataclass(frozen=True, slots=True)
class CleanupList(Paged[Judged]):
    """One page of the list, with its filters and counts.

    Attributes:
        query: The query, with a page that exists.
        matching: All endpoints that match, on whatever page, in order.
        counts: Endpoints per tab that match the other filters; under ``""`` all of the routes.
        total: Number of endpoints of the routes without any filter.
        pages: Number of pages, at least 1.
    """

    query: CleanupQuery
    matching: Sequence[Judged]
    counts: dict[str, int]
    total: int
    pages: int

    @property
    def page(self) -> int:
        """The number of the page, from 1."""
        return self.query.page


def list_of(evidence: AppEvidence, query: CleanupQuery) -> CleanupList:
    """Filter, count, sort and cut into pages."""
    present = [one for one in evidence.endpoints if _matches(one, query)]
    removed = [one for one in evidence.removed if _matches(one, query)]
    counts = {"": len(present), **dict.fromkeys(TABS, 0), REMOVED: len(removed)}
    for one in present:
        counts[one.verdict.level.value] += 1
    if query.tab == REMOVED:
        shown = removed
    else:
        shown = [one for one in present if query.tab in ("", one.verdict.level.value)]
    pages = pages_of(shown)
    return CleanupList(
        query=query.with_existing_page(pages),
        matching=_ordered(shown, query),
        counts=counts,
        total=len(evidence.endpoints),
        pages=pages,
    )


def chosen_of(evidence: AppEvidence, keys: Iterable[str]) -> list[Judged]:
    """The endpoints with these keys that are in the routes, by path and method."""
    wanted = frozenset(keys)
    return [one for one in evidence.endpoints if one.endpoint.key in wanted]


def _ordered(judged: Iterable[Judged], query: CleanupQuery) -> list[Judged]:
    """Sorted endpoints; ties are sorted by path and method."""
    # Sorting is stable in both directions, so ties keep this order.
    rows = sorted(judged, key=attrgetter("endpoint.path", "endpoint.method"))
    rows.sort(key=ORDERS[query.sort.key].key, reverse=query.sort.descending)
    return rows


def _matches(judged: Judged, query: CleanupQuery) -> bool:
    """True if an endpoint passes all filters except the tab."""
    endpoint = judged.endpoint
    if not query.holds(endpoint):
        return False
    if not query.q:
        return True
    texts = (endpoint.method, endpoint.path, endpoint.name, endpoint.source, *endpoint.tags)
    text = "\n".join(texts).casefold()
    return all(word in text for word in query.q.casefold().split())
