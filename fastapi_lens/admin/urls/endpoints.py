"""State of the endpoints page in its address: query string ↔ frozen value. No I/O, no HTML.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from fastapi_lens.admin.tables.column import Column, Order
from fastapi_lens.admin.tables.endpoints import ORDERS, chosen_columns, view_columns
from fastapi_lens.admin.tables.groups import ORDERS as GROUP_ORDERS
from fastapi_lens.admin.urls.part import PartQuery, part_of
from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period
from fastapi_lens.admin.urls.query_string import (
    address,
    clean_caller,
    clean_text,
    fields_of,
)
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import PartKind, has_part
from fastapi_lens.settings.status import Status
from fastapi_lens.text.methods import is_method_name

MAX_PAGE = 100_000

_OF_LIST = frozenset({"q", "status", "method", "caller", "sort", "page", "ignored"})
"""Parameters that no other page at the admin's start has ever had."""

_MAX_METHODS = 20

_OLD_SORTS = {"errors": "errors_5xx"}
"""Columns of earlier releases, and those that took their place."""


def is_of_list(url: str) -> bool:
    """True if an address of the admin's start means the list, as in earlier releases."""
    return not _OF_LIST.isdisjoint(fields_of(url))


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows, ``-p95`` in the address when it is descending.

    Attributes:
        key: The name of a column that rows can be sorted by.
    """

    key: str
    descending: bool

    @classmethod
    def read(cls, text: str, orders: Mapping[str, Order[Any]] = ORDERS) -> "Sort":
        """The order in an address, otherwise the default; see `ORDERS`."""
        named = text.removeprefix("-")
        name = _OLD_SORTS.get(named, named)
        return cls(name, named != text) if name in orders else DEFAULT_SORT

    @classmethod
    def first_of(cls, key: str) -> "Sort":
        """The order after the first click on a column's header."""
        return cls(key, ORDERS[key].descending_first)

    @property
    def order(self) -> Order[Endpoint]:
        """The comparison of rows."""
        return ORDERS[self.key]

    def reversed(self) -> "Sort":
        """The same column in the reverse order."""
        return Sort(self.key, not self.descending)

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.key}"


DEFAULT_SORT = Sort("calls", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsQuery(PartQuery):
    """State of the endpoints page. Equivalent values are normalized when it is created.

    Attributes:
        q: Words to search for, divided by single spaces.
        status: Only endpoints of this status; ``None`` for all.
        methods: Only these methods, in capitals, sorted; empty for all.
        without: Only endpoints without a tag, or of an unknown file; ``None`` for all.
        caller: Key of a caller, whose endpoints alone are shown; empty for all.
        group: Part that the rows are groups by; ``None`` for a row per endpoint.
        window: The period whose calls are counted.
        sort: The order of the rows.
        page: Number of the page, from 1.
        ignored: True to include endpoints that a rule ignores.
        deprecated: True for deprecated endpoints alone.
        columns: Names of the chosen columns, from left to right; empty for those of the tab.
        chart: True to open the chart.
    """

    q: str = ""
    status: Status | None = None
    methods: tuple[str, ...] = ()
    without: PartKind | None = None
    caller: str = ""
    group: PartKind | None = None
    window: Period = DEFAULT_PERIOD
    sort: Sort = DEFAULT_SORT
    page: int = 1
    ignored: bool = False
    deprecated: bool = False
    columns: tuple[str, ...] = ()
    chart: bool = False

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        PartQuery.__post_init__(self)
        methods = {method.upper() for method in self.methods}
        known = sorted(method for method in methods if is_method_name(method))
        object.__setattr__(self, "q", clean_text(" ".join(self.q.split())))
        # Each endpoint has a path.
        without = None if self.without is PartKind.PREFIX else self.without
        object.__setattr__(self, "without", without)
        object.__setattr__(self, "sort", Sort.read(str(self.sort), self.orders))
        object.__setattr__(self, "caller", clean_caller(self.caller))
        object.__setattr__(self, "methods", tuple(known[:_MAX_METHODS]))
        object.__setattr__(self, "page", min(max(1, self.page), MAX_PAGE))
        object.__setattr__(self, "columns", chosen_columns(self.columns, self.status))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = fields_of(url)

        def last(name: str) -> str:
            return fields.get(name, [""])[-1]

        status, page, group, without = map(last, ("status", "page", "group", "without"))
        return cls(
            q=last("q"),
            status=Status(status) if status in list(Status) else None,
            methods=tuple(fields.get("method", [])),
            **part_of(fields),
            without=PartKind(without) if without in list(PartKind) else None,
            caller=last("caller"),
            group=PartKind(group) if group in list(PartKind) else None,
            window=Period.of(fields),
            sort=Sort.read(last("sort"), GROUP_ORDERS if group in list(PartKind) else ORDERS),
            # Nine digits are more than enough, and int raises an error for thousands of them.
            page=int(page) if re.fullmatch("[0-9]{1,9}", page) else 1,
            ignored=last("ignored") == "1",
            deprecated=last("deprecated") == "1",
            columns=chosen_names(url),
            chart=last("chart") == "1",
        )

    def url(self, path: str = "") -> str:
        """The canonical address: defaults are left out but for the period, in one order.

        Args:
            path: The part before the question mark; it must not be empty in a link, or the
                link of the default view would lead nowhere.
        """
        return address(path, self.fields())

    def fields(self) -> list[tuple[str, str]]:
        """The parameters of the canonical address, in their order."""
        pairs = [("q", self.q), ("status", self.status or "")]
        pairs += [("method", method) for method in self.methods]
        pairs += [
            *self.part_pairs,
            ("without", self.without or ""),
            ("caller", self.caller),
            ("group", self.group or ""),
            *self.window.pairs,
            ("sort", "" if self.sort == DEFAULT_SORT else str(self.sort)),
            ("page", "" if self.page == 1 else str(self.page)),
            ("ignored", "1" if self.ignored else ""),
            ("deprecated", "1" if self.deprecated else ""),
            ("cols", ".".join(self.columns)),
            ("chart", "1" if self.chart else ""),
        ]
        return [(name, value) for name, value in pairs if value]

    def with_status(self, status: Status | None) -> Self:
        """The first page of the same, with another status."""
        return replace(self, status=status, page=1)

    def with_window(self, window: Period) -> Self:
        """The first page of the same, in another period."""
        return replace(self, window=window, page=1)

    def with_sort(self, sort: Sort) -> Self:
        """The first page of the same, in another order."""
        return replace(self, sort=sort, page=1)

    def with_page(self, page: int) -> Self:
        """Another page of the same."""
        return replace(self, page=page)

    def with_caller(self, caller: str) -> Self:
        """The first page of the same, of another caller."""
        return replace(self, caller=caller, page=1)

    def with_chart(self) -> Self:
        """The same with an open chart."""
        return replace(self, chart=True)

    def with_columns(self, columns: tuple[str, ...]) -> Self:
        """The same page with other columns; empty for those of the tab."""
        return replace(self, columns=columns)

    def ungrouped(self) -> Self:
        """The first page of the same endpoints, one by one."""
        return replace(self, group=None, page=1)

    def of_part(self, kind: PartKind, value: str) -> Self:
        """The endpoints of a part, one by one; without such a part for an empty value."""
        without = None if value or kind is PartKind.PREFIX else kind
        return replace(
            self,
            tag=value if kind is PartKind.TAG else self.tag,
            prefix=value if kind is PartKind.PREFIX else self.prefix,
            file=value if kind is PartKind.FILE else self.file,
            without=without,
            group=None,
            page=1,
        )

    def without_filters(self) -> Self:
        """The first page of all endpoints, in the same period, order and columns."""
        cleared = replace(self, q="", status=None, methods=(), tag="", caller="", page=1)
        return replace(cleared, prefix="", file="", without=None, deprecated=False)

    def view_columns(self) -> tuple[Column[Endpoint], ...]:
        """The columns of the view, see `tables.endpoints.view_columns`."""
        return view_columns(self.columns, self.status, self.sort.key)

    @property
    def orders(self) -> Mapping[str, Order[Any]]:
        """The columns that the rows can be sorted by."""
        return ORDERS if self.group is None else GROUP_ORDERS

    @property
    def is_filtered(self) -> bool:
        """True if anything but the period restricts the list."""
        text = self.q or self.caller or self.is_of_part
        return bool(text or self.status or self.methods or self.deprecated)

    @property
    def is_of_part(self) -> bool:
        """True if only a part of the application is shown."""
        return bool(self.tag or self.prefix or self.file or self.without)

    def holds(self, endpoint: Endpoint) -> bool:
        """True if an endpoint is in the part of the application that is shown."""
        lacks = self.without is None or not has_part(endpoint, self.without)
        return lacks and PartQuery.holds(self, endpoint)


def chosen_names(url: str) -> tuple[str, ...]:
    """The names of columns in an address, which may be unknown; empty without any."""
    return names_of(".".join(fields_of(url).get("cols", [])))


def names_of(text: str) -> tuple[str, ...]:
    """The names in a text: ``calls.p95``, or with commas, as people may write them."""
    return tuple(filter(None, re.split("[.,]", text)))
