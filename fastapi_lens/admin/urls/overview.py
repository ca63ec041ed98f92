"""State of the overview in its address: query string ↔ frozen value. No I/O, no HTML.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.urls.part import PartQuery, part_of
from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period
from fastapi_lens.admin.urls.query_string import address, fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewQuery(PartQuery):
    """State of the overview.

    Attributes:
        window: The period whose calls are counted.
    """

    window: Period = DEFAULT_PERIOD

    @classmethod
    def parse(cls, url: str) -> Self:
        """The state in an address."""
        fields = fields_of(url)
        return cls(window=Period.of(fields), **part_of(fields))

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        return address(path, [*self.window.pairs, *(pair for pair in self.part_pairs if pair[1])])

    def with_window(self, window: Period) -> Self:
        """The same in another period."""
        return replace(self, window=window)

    @property
    def is_filtered(self) -> bool:
        """True if not all endpoints are shown."""
        return bool(self.tag or self.prefix or self.file)
