"""Parts of the application that the overview can be of: its tags, path prefixes and files. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastapi_lens.admin.display import formats
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import file_of, shared_prefixes


class Choice(NamedTuple):
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


def choices(endpoints: Iterable[Endpoint], query: OverviewQuery) -> list[Choice]:
    """The fields of the form; one without a choice is left out.

    Args:
        endpoints: All of the application.
        query: The state of the page.
    """
    every = list(endpoints)
    tags = {tag for one in every for tag in one.tags}
    files = {file_of(one) for one in every} - {""}
    found = [
        _choice("tag", "Any tag", tags, query.tag),
        _choice("prefix", "Any path", shared_prefixes(every), query.prefix),
        _choice("file", "Any file", files, query.file),
    ]
    # The only tag or file may be that of all endpoints; a prefix never is.
    return [one for one in found if len(one.options) > (one.name != "prefix") or one.current]


def _choice(name: str, everything: str, values: Iterable[str], current: str) -> Choice:
    # One that is chosen stays visible, even if no endpoint has it any longer.
    every: list[str] = sorted({*values, current} - {""})
    text = formats.last_parts if name == "file" else str
    return Choice(name, everything, [(value, text(value)) for value in every], current)
