"""Open calls: their responses have begun and have not ended. Knows no SQL.

Only a request whose first message is not its last costs anything: one dictionary entry, removed at
its end. Each of these operations is one C call, and so atomic under the interpreter lock. The
flusher looks up the endpoint of a call, and only for calls that are open at that time.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi_lens.recording.routes.route_match import Match
    from fastapi_lens.recording.series import CallerValue

logger = logging.getLogger("fastapi_lens")

CALLS_AT_ONCE = 1_000
PAUSE_SECONDS = 0.0001
"""Pause between groups of calls, so that the event loop gets the interpreter."""


OpenCall = tuple[Any, str, Sequence[Any], int]
"""One open call: its scope, which contains its route by now; ``root_path`` from before the call;
its status and the time of its last byte, 0 before that; and the timer's time at its start.

A plain tuple, because any other type takes five times as long to create.
"""


class OpenEndpoint(NamedTuple):
    """The open calls of one endpoint.

    Attributes:
        connections: Number of open calls; at least 1.
        seconds: Age of the oldest.
        callers: Their callers; empty while callers are not recorded.
    """

    method: str
    path: str
    connections: int
    seconds: float
    callers: frozenset[CallerValue] = frozenset()

    def plus(self, other: OpenEndpoint) -> OpenEndpoint:
        """The sum of both, which must be of the same endpoint."""
        return self._replace(
            connections=self.connections + other.connections,
            seconds=max(self.seconds, other.seconds),
            callers=self.callers | other.callers,
        )


class OpenCalls:
    """The open calls of one process; thread-safe, and no request waits for another.

    Args:
        timer: Nanoseconds of a monotonic clock.
    """

    def __init__(self, timer: Callable[[], int] = time.perf_counter_ns) -> None:
        """Start with none."""
        self.timer = timer
        self._numbers = itertools.count(1)
        self._calls: dict[int, OpenCall] = {}
        self._matches: dict[int, Match] = {}

    def begin(self, call: OpenCall) -> int:
        """Add a call whose first byte is sent, or whose WebSocket is accepted.

        Returns:
            Its number for `end`, at least 1.
        """
        number = next(self._numbers)
        self._calls[number] = call
        return number

    def end(self, number: int) -> None:
        """Remove a call."""
        self._calls.pop(number, None)

    def __contains__(self, number: int) -> bool:
        """True if a call is still open."""
        return number in self._calls

    def matched(
        self, match: Callable[[OpenCall], Match | None]
    ) -> list[tuple[int, OpenCall, Match]]:
        """The open calls of endpoints, each with its number and its endpoint.

        Only the flusher calls this.

        Args:
            match: Returns the endpoint of a call, None if it is unknown. A certain match is kept
                until the call ends; otherwise the next look matches again.
        """
        # Built anew each time, which forgets the calls that have ended.
        known, self._matches = self._matches, {}
        found: list[tuple[int, OpenCall, Match]] = []
        # The copy is atomic: calls begin and end meanwhile.
        for place, (number, call) in enumerate(self._calls.copy().items(), 1):
            if place % CALLS_AT_ONCE == 0:
                time.sleep(PAUSE_SECONDS)
            endpoint = known[number] if number in known else match(call)
            if endpoint is None:
                continue
            if endpoint.certain:
                self._matches[number] = endpoint
            # A background task after the last byte holds no connection open.
            if endpoint.method and not call[2][1]:
                found.append((number, call, endpoint))
        return found
