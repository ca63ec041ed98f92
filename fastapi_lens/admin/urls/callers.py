"""State of the pages of callers in their addresses: query string ↔ frozen value. No I/O, no HTML.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from fastapi_lens.admin.tables.callers import CALLER_ORDERS, USE_ORDERS
from fastapi_lens.admin.tables.column import Order
from fastapi_lens.admin.urls.endpoints import MAX_PAGE, Sort
from fastapi_lens.admin.urls.query_string import address, clean_text, fields_of

LATEST_FIRST = Sort("last", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersQuery:
    """State of the list of callers. Equivalent values are normalized when it is created.

    Attributes:
        q: Words to search for, divided by single spaces.
        noise: True for health checks and bots alone; false for all others.
        sort: The order of the rows.
        page: Number of the page, from 1.
    """

    q: str = ""
    noise: bool = False
    sort: Sort = LATEST_FIRST
    page: int = 1

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        object.__setattr__(self, "q", clean_text(" ".join(self.q.split())))
        object.__setattr__(self, "sort", _known(self.sort, CALLER_ORDERS))
        object.__setattr__(self, "page", min(max(1, self.page), MAX_PAGE))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = {name: values[-1] for name, values in fields_of(url).items()}
        return cls(
            q=fields.get("q", ""),
            noise=fields.get("noise", "") == "1",
            sort=_sort_of(fields),
            page=_page_of(fields),
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [("q", self.q), ("noise", "1" if self.noise else ""), *_pairs(self)]
        return address(path, [(name, value) for name, value in pairs if value])

    def with_noise(self, *, noise: bool) -> Self:
        """The first page of the others."""
        return replace(self, noise=noise, page=1)

    def with_sort(self, key: str) -> Self:
        """The first page of the same, in the order after a click on a column's header."""
        return replace(self, sort=_clicked(self.sort, key, CALLER_ORDERS), page=1)

    def with_page(self, page: int) -> Self:
        """Another page of the same."""
        return replace(self, page=page)

    def without_filters(self) -> Self:
        """The first page without a search, in the same order."""
        return replace(self, q="", page=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerQuery:
    """State of the page of one caller: the order and the page of the endpoints that it uses."""

    sort: Sort = LATEST_FIRST
    page: int = 1

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        object.__setattr__(self, "sort", _known(self.sort, USE_ORDERS))
        object.__setattr__(self, "page", min(max(1, self.page), MAX_PAGE))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = {name: values[-1] for name, values in fields_of(url).items()}
        return cls(sort=_sort_of(fields), page=_page_of(fields))

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        return address(path, [(name, value) for name, value in _pairs(self) if value])

    def with_sort(self, key: str) -> Self:
        """The first page of the same, in the order after a click on a column's header."""
        return replace(self, sort=_clicked(self.sort, key, USE_ORDERS), page=1)

    def with_page(self, page: int) -> Self:
        """Another page of the same."""
        return replace(self, page=page)


def _known(sort: Sort, orders: Mapping[str, Order[Any]]) -> Sort:
    return sort if sort.key in orders else LATEST_FIRST


def _clicked(sort: Sort, key: str, orders: Mapping[str, Order[Any]]) -> Sort:
    return sort.reversed() if sort.key == key else Sort(key, orders[key].descending_first)


def _sort_of(fields: Mapping[str, str]) -> Sort:
    text = fields.get("sort", "")
    return Sort(text.removeprefix("-"), text.startswith("-")) if text else LATEST_FIRST


def _page_of(fields: Mapping[str, str]) -> int:
    text = fields.get("page", "")
    # Nine digits are more than enough, and int raises an error for thousands of them.
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 1


def _pairs(query: CallersQuery | CallerQuery) -> list[tuple[str, str]]:
    return [
        ("sort", "" if query.sort == LATEST_FIRST else str(query.sort)),
        ("page", "" if query.page == 1 else str(query.page)),
    ]
