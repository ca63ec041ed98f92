"""Calls that no route matched, in memory until the next flush. Knows no endpoints and no SQL.

A removed endpoint answers like a path that never existed: 404, or 405 if another method of its path
is left; a WebSocket is refused with 403. Such a call costs its request one `list.append`, and
nothing while the application has no removed endpoint or enough calls wait.
"""

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import Scope

from fastapi_lens.recording.log.request_log import LONGEST_METHOD, LONGEST_PATH, WEBSOCKET
from fastapi_lens.text.user_agents import user_agent

MOST_CALLS = 200
"""Most calls in memory; further ones are not kept until these are taken."""

# Starlette closes an unaccepted WebSocket, and servers answer that with 403.
_STATUSES = {"http": (404, 405), "websocket": (403,)}
"""Responses to calls that no route matched; others come from a middleware."""


class UnroutedCall(NamedTuple):
    """One call that no route matched.

    Attributes:
        at: Epoch seconds of its end.
        method: The requested method, or ``WEBSOCKET``.
        path: The requested path below the application's root path.
        agent: Its User-Agent, cut; empty without one.
    """

    at: float
    method: str
    path: str
    agent: bytes


def is_unrouted(scope: Scope, status: int) -> bool:
    """True if a router responds so to a call that no route matches."""
    return status in _STATUSES[scope["type"]]


class UnroutedCalls:
    """Calls of one worker; safe to use from several threads.

    Args:
        clock: Epoch seconds.

    Attributes:
        is_wanted: True if calls are to be kept, because there are removed endpoints.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Keep nothing until it is wanted."""
        self._clock = clock
        self._calls: list[UnroutedCall] = []
        self.is_wanted = False

    def __bool__(self) -> bool:
        """True if calls wait to be taken."""
        return bool(self._calls)

    @property
    def has_room(self) -> bool:
        """True if a call would be kept."""
        return self.is_wanted and len(self._calls) < MOST_CALLS

    def note(self, scope: Scope, path: str) -> None:
        """Keep a call, unless its method or path is longer than those of endpoints.

        Args:
            scope: Of the request or WebSocket.
            path: The path below the application's root path.
        """
        method = scope.get("method", WEBSOCKET)
        if len(path) <= LONGEST_PATH and len(method) <= LONGEST_METHOD:
            agent = user_agent(scope.get("headers", ()))
            # Matched with templates later: this is still in the request.
            self._calls.append(UnroutedCall(self._clock(), method, path, agent))

    def take(self) -> list[UnroutedCall]:
        """Take out all calls; one thread at a time."""
        # Requests append meanwhile, so only as many are taken as are there now.
        waiting = len(self._calls)
        calls = self._calls[:waiting]
        del self._calls[:waiting]
        return calls
