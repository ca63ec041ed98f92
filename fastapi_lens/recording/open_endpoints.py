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
    groups: dict[tuple[str, str, int], list[tuple[int, OpenCall]]] = {}
    for number, call, match in recorder.open_calls.matched(lambda call: _match(lens, call)):
        kind = (match.method, match.template, call[2][0])
        if lens.is_recorded(match.method, match.template) and not lens.skips(*kind):
            groups.setdefault(kind, []).append((number, call))
    scopes = {number: call[0] for group in groups.values() for number, call in group}
    callers = recorder.callers.of_open_calls(scopes, recorder.open_calls)
    now_ns = recorder.open_calls.timer()
    found: dict[tuple[str, str], OpenEndpoint] = {}
    for (method, template, status), group in groups.items():
        key = recorder.series(method, template, status).key
        one = OpenEndpoint(
            key.method,
            key.path,
            connections=len(group),
            seconds=(now_ns - min(call[3] for _, call in group)) / 1e9,
            callers=frozenset(callers[number] for number, _ in group if number in callers),
        )
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
