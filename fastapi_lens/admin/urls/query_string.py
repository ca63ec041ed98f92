"""Query strings: tolerant parsing, and canonical addresses. Pure."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from fastapi_lens.reporting.model import id_from_key
from fastapi_lens.storage.schema.models import OTHERS_ID


def fields_of(url: str) -> Mapping[str, list[str]]:
    """The values of each parameter, in order; empty if there are too many."""
    # The fragment first, because it may contain a question mark itself.
    text = url.partition("#")[0].partition("?")[2]
    try:
        # The parser has no limit of its own, and a page knows few parameters.
        pairs = parse_qsl(text, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def clean_text(value: str) -> str:
    """Text that an address and a database can hold: no lone surrogates, no NUL, not too long.

    The database stores the same replacement character, so a search finds such text.
    """
    text = value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    # Stripped after the cut, so that the value stays the same when it is read again.
    return text[:MAX_TEXT].strip()


def clean_prefix(value: str) -> str:
    """The beginning of paths, without the slash that ends it; ``/`` is the root alone."""
    text = clean_text(value)
    if not text.strip("/"):
        return text[:1]
    while (shorter := text.rstrip("/").rstrip()) != text:
        text = shorter
    return text


def address(path: str, pairs: list[tuple[str, str]]) -> str:
    """A path with these parameters, if any."""
    # Colons need no escape in a query, and unescaped times are readable.
    return f"{path}?{urlencode(pairs, safe=':')}" if pairs else path


MAX_TEXT = 200
"""Longest search text or tag, in characters."""


_MAX_FIELDS = 100


def clean_key(text: str) -> str:
    """A key of a row; empty for a text that is none."""
    return text if id_from_key(text) >= 0 else ""


def clean_caller(text: str) -> str:
    """A key of a caller; empty for a text that is none, and for others."""
    return text if id_from_key(text) > OTHERS_ID else ""
