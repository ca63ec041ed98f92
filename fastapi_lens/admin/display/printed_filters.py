"""Search and filters of a list in words, for paper, where its fields and chips are left out. Pure.

A filter is a pair of its name and its value; one with an empty value restricts nothing.
"""

from collections.abc import Iterable, Mapping

from fastapi_lens.admin.urls.part import PartQuery

Filters = Mapping[str, list[tuple[str, str]]]


def printed_filters(filters: Iterable[tuple[str, str]]) -> Filters:
    """The variable of the template that prints the filters of a page."""
    return {"printed_filters": [(name, value) for name, value in filters if value]}


def searched(q: str) -> tuple[str, str]:
    """The words of the search box."""
    return "Search", f"“{q}”" if q else ""


def part_filters(query: PartQuery) -> list[tuple[str, str]]:
    """The filters by tag, path and file."""
    return [("Tag", query.tag), ("Path", query.prefix), ("File", query.file)]
