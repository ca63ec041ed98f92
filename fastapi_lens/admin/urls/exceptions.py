"""State of the list of exceptions in its address. No I/O, no HTML."""

from dataclasses import dataclass
from typing import Self

from fastapi_lens.admin.urls.query_string import address, clean_key, clean_text, fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionsQuery:
    """State of the list of exceptions.

    Attributes:
        q: Text in the type, the message or the location.
        endpoint: Key of the only endpoint; empty for all.
    """

    q: str = ""
    endpoint: str = ""

    def __post_init__(self) -> None:
        """Normalize the values, so that equal views have equal addresses."""
        object.__setattr__(self, "q", clean_text(" ".join(self.q.split())))
        object.__setattr__(self, "endpoint", clean_key(self.endpoint))

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = {name: values[-1] for name, values in fields_of(url).items()}
        return cls(q=fields.get("q", ""), endpoint=fields.get("endpoint", ""))

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [("q", self.q), ("endpoint", self.endpoint)]
        return address(path, [(name, value) for name, value in pairs if value])
