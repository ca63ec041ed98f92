"""State of the search for pages, actions and endpoints in its address. No I/O, no HTML.

``parse(query.url()) == query`` for every value. Unknown parameters and invalid values fall back to
the defaults and are never an error.
"""

from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.urls.query_string import address, clean_text, fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GoQuery:
    """State of the search.

    Attributes:
        q: Words to search for, divided by single spaces.
        opens: True to open the first result in place of the list.
    """

    q: str = ""
    opens: bool = False

    def __post_init__(self) -> None:
        """Normalize the words, so that equal searches have equal addresses."""
        object.__setattr__(self, "q", clean_text(" ".join(self.q.split())))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = {name: values[-1] for name, values in fields_of(url).items()}
        return cls(q=fields.get("q", ""), opens=fields.get("open", "") == "1")

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [("q", self.q), ("open", "1" if self.opens else "")]
        return address(path, [(name, value) for name, value in pairs if value])

    def listed(self) -> Self:
        """The same as a list."""
        return replace(self, opens=False)
