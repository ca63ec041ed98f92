"""The open calls of a worker as JSON text, as its row stores them. Pure.

For each endpoint, the number of calls whose responses have begun and not ended, and the time at
which the oldest was opened: ``{"<endpoint id>": [connections, microseconds since the epoch]}``. One
entry per endpoint, never per connection.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from fastapi_lens.storage.writing.batches import Use


class Open(NamedTuple):
    """The open calls of one endpoint.

    Attributes:
        connections: Number of open calls; at least 1.
        since_us: Time at which the oldest was opened, in microseconds since the epoch.
    """

    connections: int
    since_us: int


def as_text(uses: Iterable[Use]) -> str:
    """The text for a worker's row; empty if nothing is open."""
    found = {str(use.endpoint_id): (use.connections, use.since_us) for use in uses}
    return json.dumps(found, separators=(",", ":")) if found else ""


def parsed(text: str | None) -> Mapping[int, Open]:
    """Parse such a text into open calls by endpoint; skip entries that `as_text` cannot write."""
    try:
        found: Any = json.loads(text or "{}")
    # Another program may have written it; deep nesting ends in a RecursionError.
    except (ValueError, RecursionError):
        return {}
    entries = cast("dict[str, Any]", found).items() if isinstance(found, dict) else ()
    return {int(key): Open(*value) for key, value in entries if _is_entry(key, value)}


def _is_entry(key: str, value: Any) -> bool:
    return (
        # Digits of other scripts pass `isdecimal`, and `int` reads them.
        key.isascii()
        and key.isdecimal()
        and len(key) <= _LONGEST_ID
        and isinstance(value, list)
        and len(cast("list[object]", value)) == len(Open._fields)
        # By the exact type, because `true` of JSON is an instance of int.
        and all(type(one) is int and 0 < one < _END for one in cast("list[object]", value))
    )


_LONGEST_ID = 19
_END = 1 << 63
