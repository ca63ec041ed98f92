"""Exceptions as a list: order and pages. Pure; no I/O, no HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi_lens.admin.display.paging import Paged, pages_of
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.reporting.log.exception_reader import ExceptionKind


@dataclass(frozen=True, slots=True)
class ExceptionList(Paged[ExceptionKind]):
    """One page of the list of exceptions.

    Attributes:
        query: The query, with a page that exists.
        matching: All kinds that match, on whatever page, in order.
        new: Number of those that are new in the period.
        pages: Number of pages, at least 1.
    """

    query: ExceptionsQuery
    matching: Sequence[ExceptionKind]
    new: int
    pages: int

    @property
    def page(self) -> int:
        """The number of the page, from 1."""
        return self.query.page


def listed(found: Sequence[ExceptionKind], query: ExceptionsQuery) -> ExceptionList:
    """Sort and cut into pages.

    Args:
        found: All kinds that match, the latest first, which stays the order of equal ones.
        query: The order and the page.
    """
    rows = sorted(found, key=query.order.key, reverse=query.sort.descending)
    pages = pages_of(rows)
    return ExceptionList(
        query=replace(query, page=min(query.page, pages)),
        matching=rows,
        new=sum(one.is_new for one in rows),
        pages=pages,
    )
