"""What is open in a worker, as its row has it: a text of JSON. Pure.

By endpoint how many calls have begun to be answered and have not ended, and since when the oldest
is open: ``{"<endpoint id>": [connections, microseconds since the epoch]}``. One entry for each
endpoint, never for each connection.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from fastapi_lens.storage.batches import Use


class Open(NamedTuple):
    """What is open of one endpoint.

    Attributes:
        connections: How many; at least 1.
        since_us: When the oldest was opened, in microseconds since the epoch.
    """

    connections: int
    since_us: int


def as_text(uses: Iterable[Use]) -> str:
    """The text of a worker's row; empty where nothing is open."""
    told = {str(use.endpoint_id): (use.connections, use.since_us) for use in uses}
    return json.dumps(told, separators=(",", ":")) if told else ""


def parsed(text: str | None) -> Mapping[int, Open]:
    """What such a text says, by endpoint; nothing of what is not as `as_text` writes it."""
    try:
        told: Any = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    entries = cast("dict[str, Any]", told).items() if isinstance(told, dict) else ()
    return {int(key): Open(*value) for key, value in entries if _is_entry(key, value)}


def _is_entry(key: str, value: Any) -> bool:
    return (
        key.isascii()
        and key.isdecimal()
        and len(key) <= _LONGEST_ID
        and isinstance(value, list)
        and len(cast("list[object]", value)) == len(Open._fields)
        and all(type(one) is int and 0 < one < _END for one in cast("list[object]", value))
    )


_LONGEST_ID = 19
_END = 1 << 63
