"""Callers, and the endpoints of one, as lists: filters, counts, order, pages. Pure; no HTML."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fastapi_lens.admin.display.callers import KIND_WORDS
from fastapi_lens.admin.display.paging import Paged, pages_of
from fastapi_lens.admin.tables.callers import CALLER_ORDERS, USE_ORDERS
from fastapi_lens.admin.tables.column import Order
from fastapi_lens.admin.urls.callers import CallerQuery, CallersQuery
from fastapi_lens.admin.urls.endpoints import Sort
from fastapi_lens.reporting.ledger.callers import CallerTotals, CallerUse

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class CallerList(Paged[CallerTotals]):
    """One page of the list of callers.

    Attributes:
        query: The query, with a page that exists.
        matching: All callers that match, on whatever page, in order.
        total: Number of callers without any filter, noise included.
        others: Callers that match the search and are no noise.
        noisy: Callers that match the search and are noise.
        pages: Number of pages, at least 1.
    """

    query: CallersQuery
    matching: Sequence[CallerTotals]
    total: int
    others: int
    noisy: int
    pages: int

    @property
    def page(self) -> int:
        """The number of the page, from 1."""
        return self.query.page


@dataclass(frozen=True, slots=True)
class UseList(Paged[CallerUse]):
    """One page of the endpoints that a caller uses.

    Attributes:
        query: The query, with a page that exists.
        matching: All of them, in order.
        pages: Number of pages, at least 1.
    """

    query: CallerQuery
    matching: Sequence[CallerUse]
    pages: int

    @property
    def page(self) -> int:
        """The number of the page, from 1."""
        return self.query.page


def callers_of(found: Sequence[CallerTotals], query: CallersQuery) -> CallerList:
    """Filter, count, sort and cut into pages."""
    matching = [one for one in found if _matches(one, query)]
    noisy = sum(one.caller.is_noise for one in matching)
    shown = [one for one in matching if one.caller.is_noise == query.noise]
    pages = pages_of(shown)
    return CallerList(
        query=query.with_page(min(query.page, pages)),
        matching=_ordered(
            sorted(shown, key=lambda one: one.caller.name), query.sort, CALLER_ORDERS
        ),
        total=len(found),
        others=len(matching) - noisy,
        noisy=noisy,
        pages=pages,
    )


def uses_of(uses: Iterable[CallerUse], query: CallerQuery) -> UseList:
    """Sort and cut into pages."""
    rows = _ordered(sorted(uses, key=lambda one: (one.path, one.method)), query.sort, USE_ORDERS)
    pages = pages_of(rows)
    return UseList(query.with_page(min(query.page, pages)), rows, pages)


def _ordered(rows: list[RowT], sort: Sort, orders: Mapping[str, Order[RowT]]) -> list[RowT]:
    """Rows in an order; ties stay as they are, and rows without anything to compare come last."""
    order = orders[sort.key]
    # Sorting is stable in both directions.
    comparable = [row for row in rows if order.is_comparable(row)]
    comparable.sort(key=order.key, reverse=sort.descending)
    return comparable + [row for row in rows if not order.is_comparable(row)]


def _matches(one: CallerTotals, query: CallersQuery) -> bool:
    """True if a caller passes the search."""
    if not query.q:
        return True
    caller = one.caller
    text = "\n".join((caller.name, caller.own_name, KIND_WORDS[caller.kind])).casefold()
    return all(word in text for word in query.q.casefold().split())
