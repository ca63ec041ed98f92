"""Rate limit for rereading the route tree after an unknown route. Reads no routes.

Routes may be added while an application runs, so an unknown route may be new. But a host may also
create an endpoint for each request, and reading a large tree takes milliseconds.
"""

from collections.abc import Callable, Sequence

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class Rereads:
    """A growing pause between rereads that find nothing new.

    Args:
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with a reread due."""
        self._clock = clock
        self._routes: list[object] | None = None
        self._due_at = float("-inf")
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def are_due(self, routes: Sequence[object]) -> bool:
        """True if a reread is due; the caller must then read.

        Args:
            routes: The top-level routes, which take nanoseconds to compare.
        """
        now = self._clock()
        if now < self._due_at and self._routes == routes:
            return False
        self._routes, self._due_at = list(routes), now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        return True

    def found_more(self) -> None:
        """Note that the latest reread found new routes."""
        self._pause_seconds = FIRST_PAUSE_SECONDS
