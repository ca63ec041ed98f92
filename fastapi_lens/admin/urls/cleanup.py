"""State of the cleanup page in its address: query string ↔ frozen value. No I/O, no HTML.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.tables.cleanup import LEVEL_ORDER, ORDERS
from fastapi_lens.admin.urls.endpoints import MAX_PAGE, Sort
from fastapi_lens.admin.urls.part import PartQuery, part_of
from fastapi_lens.admin.urls.query_string import address, clean_key, clean_text, fields_of

REMOVED = "removed"
"""The tab of endpoints that are no longer in the routes, and still called."""

TABS = (*map(str, LEVEL_ORDER), REMOVED)
CHOSEN = "e"
"""The parameter with the key of a chosen row."""

MAX_CHOSEN = 50
"""Rows of one page."""

DEFAULT_SORT = Sort("verdict", descending=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupQuery(PartQuery):
    """State of the cleanup page. Equivalent values are normalized when it is created.

    Attributes:
        q: Words to search for, divided by single spaces.
        tab: A level of verdicts, or `REMOVED`; empty for all endpoints of the routes.
        sort: The order of the rows.
        page: Number of the page, from 1.
        chosen: Keys of the chosen rows, in order, each once.
    """

    q: str = ""
    tab: str = ""
    sort: Sort = DEFAULT_SORT
    page: int = 1
    chosen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        PartQuery.__post_init__(self)
        keys = {key for key in map(clean_key, self.chosen) if key}
        values = {
            "q": clean_text(" ".join(self.q.split())),
            "tab": self.tab if self.tab in TABS else "",
            "sort": self.sort if self.sort.key in ORDERS else DEFAULT_SORT,
            "page": min(max(1, self.page), MAX_PAGE),
            "chosen": tuple(sorted(keys)[:MAX_CHOSEN]),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        found = fields_of(url)
        fields = {name: values[-1] for name, values in found.items()}
        page, sort = fields.get("page", ""), fields.get("sort", "")
        return cls(
            q=fields.get("q", ""),
            tab=fields.get("verdict", ""),
            **part_of(found),
            sort=Sort(sort.removeprefix("-"), sort.startswith("-")) if sort else DEFAULT_SORT,
            page=int(page) if re.fullmatch("[0-9]{1,9}", page) else 1,
            chosen=tuple(found.get(CHOSEN, ())),
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [
            ("q", self.q),
            ("verdict", self.tab),
            *self.part_pairs,
            ("sort", "" if self.sort == DEFAULT_SORT else str(self.sort)),
            ("page", "" if self.page == 1 else str(self.page)),
            *((CHOSEN, key) for key in self.chosen),
        ]
        return address(path, [(name, value) for name, value in pairs if value])

    def with_tab(self, tab: str) -> Self:
        """The first page of the same, with another tab."""
        return replace(self, tab=tab, page=1, chosen=())

    def with_sort(self, key: str) -> Self:
        """The first page of the same, in the order after a click on a column's header."""
        if self.sort.key == key:
            return replace(self, sort=self.sort.reversed(), page=1)
        return replace(self, sort=Sort(key, ORDERS[key].descending_first), page=1)

    def with_page(self, page: int) -> Self:
        """Another page of the same; nothing is chosen there."""
        return replace(self, page=page, chosen=())

    def with_existing_page(self, pages: int) -> Self:
        """The same, or the last page that exists."""
        return replace(self, page=min(self.page, pages))

    def with_chosen(self, keys: Iterable[str]) -> Self:
        """The same with other chosen rows."""
        return replace(self, chosen=tuple(keys))

    def without_filters(self) -> Self:
        """The first page of all endpoints, in the same order."""
        return type(self)(sort=self.sort)

    @property
    def is_filtered(self) -> bool:
        """True if anything restricts the list."""
        return bool(self.tab or self.is_narrowed)

    @property
    def is_narrowed(self) -> bool:
        """True if anything but the tab restricts the list."""
        return bool(self.q or self.tag or self.prefix or self.file)
