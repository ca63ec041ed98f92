"""When the route tree is read again because something in a request is not known. Reads no routes.

Routes may be added while an application runs, so that what is unknown may be new. But a host may
also make an endpoint anew for each request, and to read a large tree takes milliseconds.
"""

from collections.abc import Callable, Sequence

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class Rereads:
    """Grows the pause between readings that bring nothing new.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Have the first reading due."""
        self._clock = clock
        self._routes: list[object] | None = None
        self._due_at = float("-inf")
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def are_due(self, routes: Sequence[object]) -> bool:
        """Whether to read now; who gets a yes does so.

        Args:
            routes: Those at the top of the tree, which cost nanoseconds to compare.
        """
        now = self._clock()
        if now < self._due_at and self._routes == routes:
            return False
        self._routes, self._due_at = list(routes), now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        return True

    def found_more(self) -> None:
        """Note that the latest reading was worth it."""
        self._pause_seconds = FIRST_PAUSE_SECONDS
