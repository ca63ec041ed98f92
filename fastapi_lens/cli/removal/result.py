"""The result of a check, which the formats show. Pure data."""

from dataclasses import dataclass

from fastapi_lens.cli.removal.comparison import Comparison
from fastapi_lens.cli.removal.sources import Source


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check.

    Attributes:
        target: The application, or the file with its routes.
        checked_at: Epoch seconds.
        sources: The evidence.
        comparison: The findings.
        merge_base: As it was named; empty if it was not.
        url: The admin's address, for links; empty for none.
    """

    target: str
    checked_at: float
    sources: tuple[Source, ...]
    comparison: Comparison
    merge_base: str = ""
    url: str = ""
