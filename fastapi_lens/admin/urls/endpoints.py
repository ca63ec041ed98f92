"""The state of a page as its address holds it: query string ↔ frozen value. No I/O, no HTML.

``parse(query.url()) == query`` for every value. What an address holds beyond that (unknown
parameters, values that make no sense) falls back to the defaults and is never an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qsl, urlencode

from fastapi_lens.reporting.model import Window
from fastapi_lens.settings.status import SECONDS_PER_DAY, Status
from fastapi_lens.text.methods import is_method_name

MAX_TEXT = 200
"""Characters of a search or a tag that are looked at."""

MAX_PAGE = 100_000
MAX_MOMENT = 4_102_444_800
"""The year 2100: times in addresses lie before it."""

_MAX_FIELDS = 100
_MAX_METHODS = 20
_MINUTE = 60
_MOMENT = "%Y-%m-%dT%H:%MZ"


class WindowChoice(StrEnum):
    """The windows that a page offers; the value is what the address says."""

    HOUR = "1h"
    DAY = "1"
    WEEK = "7"
    MONTH = "30"
    QUARTER = "90"
    ALL = "all"

    @classmethod
    def read(cls, text: str) -> "WindowChoice":
        """The choice that is meant: ``1h``, ``24h``, ``7``, ``7d``, ``all``; else the default."""
        text = text.strip().lower()
        text = "1" if text == "24h" else text
        if text not in list(cls):
            text = text.removesuffix("d")
        return cls(text) if text in list(cls) else DEFAULT_WINDOW

    @property
    def window(self) -> Window:
        """The window itself."""
        if self is WindowChoice.ALL:
            return Window()
        return Window(3_600 if self is WindowChoice.HOUR else int(self) * SECONDS_PER_DAY)

    @property
    def label(self) -> str:
        """As short as a button has it."""
        return {"1h": "1h", "1": "24h", "all": "All"}.get(self, f"{self}d")

    @property
    def words(self) -> str:
        """Completes a sentence: ``calls in …``."""
        named = {"1h": "the last hour", "1": "the last 24 hours", "all": "all time"}
        return named.get(self, f"the last {self} days")


DEFAULT_WINDOW = WindowChoice.WEEK


class SortKey(StrEnum):
    """The columns that rows can be sorted by."""

    PATH = "path"
    STATUS = "status"
    CALLS = "calls"
    ERRORS = "errors"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows, ``-p95`` in the address when it is descending."""

    key: SortKey
    descending: bool

    @classmethod
    def read(cls, text: str) -> "Sort":
        """The order that is meant, else the default."""
        name = text.removeprefix("-")
        return cls(SortKey(name), name != text) if name in list(SortKey) else DEFAULT_SORT

    @classmethod
    def first_of(cls, key: SortKey) -> "Sort":
        """How a column is sorted at the first click: texts upwards, numbers downwards."""
        return cls(key, key not in (SortKey.PATH, SortKey.STATUS))

    def reversed(self) -> "Sort":
        """The same column the other way round."""
        return Sort(self.key, not self.descending)

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.key}"


DEFAULT_SORT = Sort(SortKey.CALLS, descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsQuery:
    """What the endpoints page shows. Its values are brought to one form when it is made.

    Attributes:
        q: Words to search for, divided by single spaces.
        status: Only endpoints of this status; ``None`` for all.
        methods: Only these methods, in capitals, sorted; empty for all.
        tag: Only endpoints with this tag; empty for all.
        window: Which calls are counted.
        sort: The order of the rows.
        page: From 1.
        ignored: Whether endpoints that a rule ignores are among them.
    """

    q: str = ""
    status: Status | None = None
    methods: tuple[str, ...] = ()
    tag: str = ""
    window: WindowChoice = DEFAULT_WINDOW
    sort: Sort = DEFAULT_SORT
    page: int = 1
    ignored: bool = False

    def __post_init__(self) -> None:
        """One form for each meaning, so that equal views have equal addresses."""
        methods = {method.upper() for method in self.methods}
        known = sorted(method for method in methods if is_method_name(method))
        object.__setattr__(self, "q", clean_text(" ".join(self.q.split())))
        object.__setattr__(self, "tag", clean_text(self.tag))
        object.__setattr__(self, "methods", tuple(known[:_MAX_METHODS]))
        object.__setattr__(self, "page", min(max(1, self.page), MAX_PAGE))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = fields_of(url)
        status = fields.get("status", [""])[-1]
        page = fields.get("page", [""])[-1]
        return cls(
            q=fields.get("q", [""])[-1],
            status=Status(status) if status in list(Status) else None,
            methods=tuple(fields.get("method", [])),
            tag=fields.get("tag", [""])[-1],
            window=WindowChoice.read(fields.get("days", [""])[-1]),
            sort=Sort.read(fields.get("sort", [""])[-1]),
            page=int(page) if re.fullmatch("[0-9]{1,9}", page) else 1,
            ignored=fields.get("ignored", [""])[-1] == "1",
        )

    def url(self, path: str = "") -> str:
        """The canonical address: defaults are left out, the order is always the same.

        Args:
            path: What comes before the question mark; it must not be empty in a link, or the
                link of the default view would lead nowhere.
        """
        pairs = [("q", self.q), ("status", self.status or "")]
        pairs += [("method", method) for method in self.methods]
        pairs += [
            ("tag", self.tag),
            ("days", "" if self.window is DEFAULT_WINDOW else self.window),
            ("sort", "" if self.sort == DEFAULT_SORT else str(self.sort)),
            ("page", "" if self.page == 1 else str(self.page)),
            ("ignored", "1" if self.ignored else ""),
        ]
        return address(path, [(name, value) for name, value in pairs if value])

    def with_status(self, status: Status | None) -> Self:
        """The first page of the same, with another status."""
        return replace(self, status=status, page=1)

    def with_window(self, window: WindowChoice) -> Self:
        """The first page of the same, with another window."""
        return replace(self, window=window, page=1)

    def with_sort(self, sort: Sort) -> Self:
        """The first page of the same, in another order."""
        return replace(self, sort=sort, page=1)

    def with_page(self, page: int) -> Self:
        """Another page of the same."""
        return replace(self, page=page)

    def without_filters(self) -> Self:
        """The first page of all endpoints, in the same window and order."""
        return replace(self, q="", status=None, methods=(), tag="", page=1)

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the window narrows the list."""
        return bool(self.q or self.status or self.methods or self.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointQuery:
    """What the page of one endpoint shows.

    Attributes:
        window: The window that was chosen; the way back from a part of time leads to it.
        part: A part of time that is shown instead: epoch seconds at which it begins and ends,
            both whole minutes. What makes no sense becomes ``None``.
    """

    window: WindowChoice = DEFAULT_WINDOW
    part: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Whole minutes, and only a time that has been or will be."""
        if self.part is not None:
            start, end = self.part
            start, end = start // _MINUTE * _MINUTE, -(-end // _MINUTE) * _MINUTE
            sensible = start >= 0 and end <= MAX_MOMENT and self.part[0] < self.part[1]
            object.__setattr__(self, "part", (start, end) if sensible else None)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = fields_of(url)
        start, end = (_moment(fields.get(name, [""])[-1]) for name in ("from", "to"))
        return cls(
            window=WindowChoice.read(fields.get("days", [""])[-1]),
            part=None if start is None or end is None else (start, end),
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [] if self.window is DEFAULT_WINDOW else [("days", str(self.window))]
        if self.part is not None:
            pairs += zip(("from", "to"), map(_moment_text, self.part), strict=True)
        return address(path, pairs)

    def with_part(self, start: int, end: int) -> Self:
        """The same with a part of time, in epoch seconds."""
        return replace(self, part=(start, end))

    @property
    def shown(self) -> Window:
        """Which calls are counted."""
        return self.window.window if self.part is None else Window.between(*self.part)


def _moment(text: str) -> int | None:
    """Epoch seconds of ``2026-04-03T14:00Z`` or of minutes since the epoch; else None."""
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text) * _MINUTE
    try:
        return int(datetime.strptime(text, _MOMENT).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _moment_text(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime(_MOMENT)


def fields_of(url: str) -> Mapping[str, list[str]]:
    """The values of each parameter, in order; nothing where there are absurdly many."""
    text = url.partition("#")[0].partition("?")[2]
    try:
        pairs = parse_qsl(text, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def clean_text(value: str) -> str:
    """Text that an address and a database can hold: no halves of characters, no NUL, not too long.

    What a database does not take in text was written with the same mark in its place.
    """
    text = value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return text[:MAX_TEXT].strip()


def address(path: str, pairs: list[tuple[str, str]]) -> str:
    """A path with these parameters; without any, the path alone."""
    # A colon may stand for itself in a query, and times are read by people.
    return f"{path}?{urlencode(pairs, safe=':')}" if pairs else path
