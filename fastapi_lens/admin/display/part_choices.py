"""Parts of the application that a page can be of: its tags, path prefixes and files. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from fastapi_lens.admin.display import formats
from fastapi_lens.admin.urls.part import PartQuery
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import file_of, shared_prefixes


class PartChoice(NamedTuple):
    """A field of the form.

    Attributes:
        name: In the address.
        everything: Text of the option that leaves nothing out.
        options: Value and text of each other option.
        current: The value that is chosen; empty for none.
    """

    name: str
    everything: str
    options: Sequence[tuple[str, str]]
    current: str


def part_choices(endpoints: Iterable[Endpoint], query: PartQuery) -> list[PartChoice]:
    """The fields of the form; one without a choice is left out.

    Args:
        endpoints: All of the application.
        query: The state of the page.
    """
    every = list(endpoints)
    found = [
        _choice("tag", "Any tag", _partial([one.tags for one in every]), query.tag),
        _choice("prefix", "Any path", shared_prefixes(every), query.prefix),
        _choice("file", "Any file", _partial([(file_of(one),) for one in every]), query.file),
    ]
    return [one for one in found if one.options]


def _partial(values: Collection[Iterable[str]]) -> list[str]:
    """The values of some endpoints, but not of all, which would leave nothing out."""
    counts = Counter(value for every in values for value in set(every))
    return [value for value, count in counts.items() if count < len(values)]


def _choice(name: str, everything: str, values: Iterable[str], current: str) -> PartChoice:
    # One that is chosen stays visible, even if no endpoint has it any longer.
    every: list[str] = sorted({*values, current} - {""})
    text = formats.last_parts if name == "file" else str
    return PartChoice(name, everything, [(value, text(value)) for value in every], current)
