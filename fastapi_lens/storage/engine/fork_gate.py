"""A gate in front of SQLite's library, closed while the process forks. Knows no database.

The library has locks of its own. If a process forks while another thread is inside, the locks stay
held in the child forever. Drivers of servers have no locks that outlive their connection objects.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager


class ForkGate:
    """A counter of the threads inside that admits none while it is held."""

    def __init__(self) -> None:
        """Start open and empty."""
        self._changed = threading.Condition()
        self._inside = self._holders = 0

    @contextmanager
    def entered(self) -> Generator[None]:
        """Enter the gate for the duration of the block; wait while it is held."""
        with self._changed:
            self._changed.wait_for(lambda: not self._holders)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def hold(self, *, timeout_seconds: float) -> bool:
        """Admit no thread until `let_go`; return true if all threads inside have left in time."""
        with self._changed:
            # A counter, because several threads may fork at the same time.
            self._holders += 1
            return self._changed.wait_for(lambda: not self._inside, timeout_seconds)

    def let_go(self) -> None:
        """Undo a `hold`, whatever it returned."""
        with self._changed:
            self._holders -= 1
            self._changed.notify_all()
