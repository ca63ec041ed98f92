"""The open calls of each endpoint, as the flusher reports them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi_lens.recording.calls.open_calls import OpenCall, OpenEndpoint

if TYPE_CHECKING:
    from fastapi_lens.recording.middleware import Recording
    from fastapi_lens.recording.routes.route_match import Match

logger = logging.getLogger("fastapi_lens")


def open_endpoints(lens: Recording) -> list[OpenEndpoint]:
    """The open calls of each endpoint whose calls are counted."""
    recorder = lens.recorder
    groups: dict[tuple[str, str, int], list[int]] = {}
    for (*_, seen, since_ns), match in recorder.open_calls.matched(lambda call: _match(lens, call)):
        group = groups.setdefault((match.method, match.template, seen[0]), [0, since_ns])
        group[0] += 1
        group[1] = min(group[1], since_ns)
    now_ns = recorder.open_calls.timer()
    found: dict[tuple[str, str], OpenEndpoint] = {}
    for (method, template, status), (connections, since_ns) in groups.items():
        if not lens.is_recorded(method, template) or lens.skips(method, template, status):
            continue
        key = recorder.series(method, template, status).key
        one = OpenEndpoint(key.method, key.path, connections, (now_ns - since_ns) / 1e9)
        before = found.get((key.method, key.path))
        found[key.method, key.path] = one if before is None else before.plus(one)
    return list(found.values())


def _match(lens: Recording, call: OpenCall) -> Match | None:
    """The endpoint of a call; None if it is unknown, at least for now."""
    try:
        return lens.routes.match(call[0], call[1])
    except Exception:
        # When it ends, it is counted and logged as dropped.
        logger.debug("fastapi_lens does not know whose call is open", exc_info=True)
        return None
