"""State of the page of one endpoint in its address. No I/O, no HTML."""

from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period
from fastapi_lens.admin.urls.query_string import address, fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointQuery:
    """State of the page of one endpoint.

    Attributes:
        window: The period whose calls are counted.
    """

    window: Period = DEFAULT_PERIOD

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        return cls(window=Period.of(fields_of(url)))

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        return address(path, self.window.pairs)

    def with_window(self, window: Period) -> Self:
        """The same in another period."""
        return replace(self, window=window)
