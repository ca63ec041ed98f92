"""State of the overview in its address: query string ↔ frozen value. No I/O, no HTML.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period
from fastapi_lens.admin.urls.query_string import address, clean_prefix, clean_text, fields_of
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import is_in_part

FILTERS = ("tag", "prefix", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewQuery:
    """State of the overview.

    Attributes:
        window: The period whose calls are counted.
        tag: Only endpoints with this tag; empty for all.
        prefix: Only endpoints whose path is this or below it; empty for all.
        file: Only endpoints whose handler is in this file; empty for all.
    """

    window: Period = DEFAULT_PERIOD
    tag: str = ""
    prefix: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        """Clean the texts."""
        for name in FILTERS:
            clean = clean_prefix if name == "prefix" else clean_text
            object.__setattr__(self, name, clean(getattr(self, name)))

    @classmethod
    def parse(cls, url: str) -> Self:
        """The state in an address."""
        fields = fields_of(url)

        def last(name: str) -> str:
            return fields.get(name, [""])[-1]

        return cls(
            window=Period.of(fields),
            tag=last("tag"),
            prefix=last("prefix"),
            file=last("file"),
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        filters = ((name, getattr(self, name)) for name in FILTERS)
        return address(path, [*self.window.pairs, *(pair for pair in filters if pair[1])])

    def with_window(self, window: Period) -> Self:
        """The same in another period."""
        return replace(self, window=window)

    @property
    def is_filtered(self) -> bool:
        """True if not all endpoints are shown."""
        return bool(self.tag or self.prefix or self.file)

    def holds(self, endpoint: Endpoint) -> bool:
        """True if an endpoint is shown."""
        return is_in_part(endpoint, tag=self.tag, prefix=self.prefix, file=self.file)
