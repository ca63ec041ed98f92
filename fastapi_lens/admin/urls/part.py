"""The part of the application that a page shows, in its address. No I/O, no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from fastapi_lens.admin.urls.query_string import clean_prefix, clean_text
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import is_in_part


class Part(TypedDict):
    """The filters by part, as arguments of a query; empty ones leave nothing out."""

    tag: str
    prefix: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartQuery:
    """State of a page that can be restricted to a part of the application.

    Attributes:
        tag: Only endpoints with this tag; empty for all.
        prefix: Only endpoints whose path is this or below it; empty for all.
        file: Only endpoints whose handler is in this file; empty for all.
    """

    tag: str = ""
    prefix: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        """Clean the texts. A subclass calls it by its class: slots break ``super()``."""
        object.__setattr__(self, "tag", clean_text(self.tag))
        object.__setattr__(self, "prefix", clean_prefix(self.prefix))
        object.__setattr__(self, "file", clean_text(self.file))

    @property
    def part(self) -> Part:
        """The filters, which a query of another page takes."""
        return Part(tag=self.tag, prefix=self.prefix, file=self.file)

    @property
    def part_pairs(self) -> list[tuple[str, str]]:
        """The parameters of the filters in their order; the values may be empty."""
        return [("tag", self.tag), ("prefix", self.prefix), ("file", self.file)]

    def holds(self, endpoint: Endpoint) -> bool:
        """True if an endpoint is in the part."""
        return is_in_part(endpoint, tag=self.tag, prefix=self.prefix, file=self.file)


def part_of(fields: Mapping[str, Sequence[str]]) -> Part:
    """The filters in an address."""

    def last(name: str) -> str:
        return fields.get(name, [""])[-1]

    return Part(tag=last("tag"), prefix=last("prefix"), file=last("file"))
