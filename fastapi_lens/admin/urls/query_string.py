"""Query strings: reading them tolerantly, and writing the canonical address. Pure."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from fastapi_lens.reporting.model import id_from_key


def fields_of(url: str) -> Mapping[str, list[str]]:
    """The values of each parameter, in order; nothing where there are absurdly many."""
    text = url.partition("#")[0].partition("?")[2]
    try:
        pairs = parse_qsl(text, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def clean_text(value: str) -> str:
    """Text that an address and a database can hold: no halves of characters, no NUL, not too long.

    What a database does not take in text was written with the same mark in its place.
    """
    text = value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return text[:MAX_TEXT].strip()


def address(path: str, pairs: list[tuple[str, str]]) -> str:
    """A path with these parameters; without any, the path alone."""
    # A colon may stand for itself in a query, and times are read by people.
    return f"{path}?{urlencode(pairs, safe=':')}" if pairs else path


MAX_TEXT = 200
"""Characters of a search or a tag that are looked at."""


_MAX_FIELDS = 100


def clean_key(text: str) -> str:
    """A key of a row; empty for a text that is none."""
    return text if id_from_key(text) >= 0 else ""
