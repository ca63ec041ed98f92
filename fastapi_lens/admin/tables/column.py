"""Column: one column of a table, from its header to the screen width that it needs. No HTML."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, TypeVar

RowT = TypeVar("RowT")

WindowWidth = Literal[640, 800, 1040, 1240, 1400, 1600, 1800]

_WIDEST: WindowWidth = 1800
_PHONE_ROOM = 190
_ROOM: Mapping[WindowWidth, int] = MappingProxyType(
    {640: 380, 800: 500, 1040: 690, 1240: 915, 1400: 1100, 1600: 1250, 1800: 1450}
)
"""Pixels for all columns but the row header, by the width of the window; a phone has the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[RowT]):
    """The order of a table's rows by one column.

    Attributes:
        key: Sort key of a row.
        descending_first: True if the first click sorts the greatest first.
        is_comparable: Rows without anything to compare come last in both directions.
        needs_histograms: True if the comparison needs the latency histograms of all rows.
        needs_before: True if it needs the calls of the period before.
    """

    key: Callable[[RowT], Any]
    descending_first: bool = True
    is_comparable: Callable[[RowT], bool] = lambda _: True
    needs_histograms: bool = False
    needs_before: bool = False


# Without slots, because `cached_property` needs a `__dict__`.
@dataclass(frozen=True, kw_only=True)
class Column(Generic[RowT]):
    """One column of a table.

    The macro `name` in the table's template of cells writes the content of a cell.

    Attributes:
        name: In addresses (``sort=-p95``), of the macro, and in the ``id`` of its header.
        header: Its text.
        unit: After the header; may be empty.
        title: Explains the header in a sentence: its tooltip, and its entry in the help.
        width: Pixels, or a share such as ``"26p"`` (26 %): the class ``w-…`` of lens.css. None for
            the column that takes what the others leave.
        from_width: The column is hidden on windows narrower than these pixels: the class
            ``from-…`` of lens.css. None for a column that is always shown.
        css: More classes of its cells and its header, such as ``left``.
        header_css: More classes of its header alone.
        order: None where rows cannot be sorted by it.
        is_row_header: True if its cells are the headers of their rows.
        has_scale: True if its header shows the meaning of a full bar.
    """

    name: str
    header: str
    unit: str = ""
    title: str = ""
    width: int | str | None = None
    from_width: WindowWidth | None = None
    css: str = ""
    header_css: str = ""
    order: Order[RowT] | None = None
    is_row_header: bool = False
    has_scale: bool = False

    @cached_property
    def cell_classes(self) -> str:
        """The classes of its cells."""
        return _joined(self.css, self._hidden)

    @cached_property
    def header_classes(self) -> str:
        """The classes of its header."""
        return _joined(self.css, self.header_css, self._hidden)

    @cached_property
    def width_classes(self) -> str:
        """The classes of its ``col`` element."""
        # A class: the content security policy allows no style attribute.
        return _joined("" if self.width is None else f"w-{self.width}", self._hidden)

    @property
    def _hidden(self) -> str:
        return "" if self.from_width is None else f"from-{self.from_width}"


@dataclass(frozen=True, slots=True)
class Head:
    """The header of a column in one view of a table.

    Attributes:
        href: Sorts by it; empty where that is not possible.
        direction: ``ascending`` or ``descending`` when rows are sorted by it now.
    """

    column: Column[Any]
    href: str = ""
    direction: str = ""


class SortedBy(Protocol):
    """An order of rows by one column."""

    @property
    def key(self) -> str:
        """The name of the column."""
        ...

    @property
    def descending(self) -> bool:
        """True if the greatest comes first."""
        ...


def head_of(column: Column[Any], sort: SortedBy, link: Callable[[str], str]) -> Head:
    """The header of a column in a table that can be sorted.

    Args:
        column: With or without an order.
        sort: The present order.
        link: Returns the address of the view that a click on the column of this name leads to.
    """
    if column.order is None:
        return Head(column)
    if sort.key != column.name:
        return Head(column, link(column.name))
    return Head(column, link(column.name), "descending" if sort.descending else "ascending")


def fitted(columns: Iterable[Column[RowT]], needed: Sequence[str]) -> tuple[Column[RowT], ...]:
    """Columns that are hidden where a window has no room for them.

    Args:
        columns: From left to right; the row header is always shown.
        needed: Their names, the most important first; others follow from left to right.
    """
    ranks = {name: rank for rank, name in enumerate(needed)}
    others = [one for one in columns if not one.is_row_header]
    taken, widths = 0, dict[str, WindowWidth | None]()
    for one in sorted(others, key=lambda one: ranks.get(one.name, len(ranks))):
        taken += one.width if isinstance(one.width, int) else 0
        widths[one.name] = _least_window(taken)
    return tuple(replace(one, from_width=widths.get(one.name)) for one in columns)


def _least_window(pixels: int) -> WindowWidth | None:
    """The narrowest window with room for these pixels; None if a phone has it."""
    if pixels <= _PHONE_ROOM:
        return None
    wide_enough: list[WindowWidth] = [width for width, room in _ROOM.items() if pixels <= room]
    return wide_enough[0] if wide_enough else _WIDEST


def heads(columns: Iterable[Column[Any]]) -> list[Head]:
    """The headers of a table that cannot be sorted."""
    return [Head(column) for column in columns]


def cells_of(
    heads: Iterable[Head], macros: object
) -> list[tuple[Column[Any], Callable[[Any], object]]]:
    """Each column with the macro of its cells; looked up once per table, not per cell.

    Args:
        heads: The columns of the table.
        macros: An imported template with a macro of each column's name.

    Raises:
        AttributeError: A macro is missing.
    """
    return [(one.column, getattr(macros, one.column.name)) for one in heads]


def _joined(*classes: str) -> str:
    return " ".join(filter(None, classes))
