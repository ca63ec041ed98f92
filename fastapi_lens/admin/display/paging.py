"""Lists in pages: the rows of a page, and the links to the others. Pure; no HTML."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from fastapi_lens.admin.display.links import Link

PAGE_SIZE = 50

Row = TypeVar("Row")


class Paged(Generic[Row]):
    """One page of a list.

    Attributes:
        matching: All rows of the list, on whatever page, in order.
    """

    __slots__ = ()
    matching: Sequence[Row]

    @property
    @abstractmethod
    def page(self) -> int:
        """The number of the page, from 1."""

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of this page, in order."""
        start = (self.page - 1) * PAGE_SIZE
        return self.matching[start : start + PAGE_SIZE]

    @property
    def first(self) -> int:
        """The number of this page's first row, from 1; 0 if there is none."""
        return (self.page - 1) * PAGE_SIZE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of this page's last row; 0 if there is none."""
        return self.first + len(self.rows) - 1 if self.rows else 0


def pages_of(rows: Sequence[object]) -> int:
    """The number of pages of a list, at least 1."""
    return max(1, -(-len(rows) // PAGE_SIZE))


def page_links(current: int, pages: int, href: Callable[[int], str]) -> list[Link]:
    """Links to the pages; a link without an address is a gap; none for a single page.

    Args:
        current: The page that is shown.
        pages: Number of pages.
        href: Returns the address of a page.
    """
    if pages == 1:
        return []
    return [
        Link("…", "", current=False)
        if page is None
        else Link(str(page), href(page), page == current)
        for page in page_numbers(current, pages)
    ]


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
