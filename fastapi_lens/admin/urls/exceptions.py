"""State of the pages of exceptions in their addresses: query string ↔ frozen value. No I/O.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.tables.column import Order
from fastapi_lens.admin.tables.exceptions import ORDERS
from fastapi_lens.admin.urls.endpoints import MAX_PAGE, Sort
from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period
from fastapi_lens.admin.urls.query_string import address, clean_key, clean_text, fields_of
from fastapi_lens.reporting.log.exception_reader import ExceptionKind

LATEST_FIRST = Sort("last", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionsQuery:
    """State of the list of exceptions. Equivalent values are normalized when it is created.

    Attributes:
        q: Text in the type, the message or the location.
        endpoint: Key of the only endpoint; empty for all.
        window: The period whose exceptions are counted.
        sort: The order of the rows.
        page: Number of the page, from 1.
    """

    q: str = ""
    endpoint: str = ""
    window: Period = DEFAULT_PERIOD
    sort: Sort = LATEST_FIRST
    page: int = 1

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        object.__setattr__(self, "q", clean_text(" ".join(self.q.split())))
        object.__setattr__(self, "endpoint", clean_key(self.endpoint))
        object.__setattr__(self, "sort", self.sort if self.sort.key in ORDERS else LATEST_FIRST)
        object.__setattr__(self, "page", min(max(1, self.page), MAX_PAGE))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        found = fields_of(url)
        fields = {name: values[-1] for name, values in found.items()}
        sort, page = fields.get("sort", ""), fields.get("page", "")
        return cls(
            q=fields.get("q", ""),
            endpoint=fields.get("endpoint", ""),
            window=Period.of(found),
            sort=Sort(sort.removeprefix("-"), sort.startswith("-")) if sort else LATEST_FIRST,
            # Nine digits are more than enough, and int raises an error for thousands of them.
            page=int(page) if re.fullmatch("[0-9]{1,9}", page) else 1,
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [
            ("q", self.q),
            ("endpoint", self.endpoint),
            *self.window.pairs,
            ("sort", "" if self.sort == LATEST_FIRST else str(self.sort)),
            ("page", "" if self.page == 1 else str(self.page)),
        ]
        return address(path, [(name, value) for name, value in pairs if value])

    @property
    def order(self) -> Order[ExceptionKind]:
        """The comparison of rows."""
        return ORDERS[self.sort.key]

    @property
    def is_filtered(self) -> bool:
        """True if anything but the window restricts the list."""
        return bool(self.q or self.endpoint)

    def with_sort(self, key: str) -> Self:
        """The first page of the same, in the order after a click on a column's header."""
        is_same = self.sort.key == key
        sort = self.sort.reversed() if is_same else Sort(key, ORDERS[key].descending_first)
        return replace(self, sort=sort, page=1)

    def without_filters(self) -> Self:
        """The first page of all exceptions, in the same window and order."""
        return replace(self, q="", endpoint="", page=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionQuery:
    """State of the page of one kind of exceptions.

    Attributes:
        window: The period whose exceptions are counted.
    """

    window: Period = DEFAULT_PERIOD

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        return cls(window=Period.of(fields_of(url)))

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        return ExceptionsQuery(window=self.window).url(path)
