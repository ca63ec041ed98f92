"""A gate before SQLite's library, which is closed while the process forks. Knows no database.

The library has locks of its own. A child that is forked while another thread is inside finds them
taken for ever; drivers of servers have none that outlive their connection objects.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager


class Gate:
    """Counts the threads inside, and lets none in while it is held."""

    def __init__(self) -> None:
        """Begin open, with nobody inside."""
        self._changed = threading.Condition()
        self._inside = self._holders = 0

    @contextmanager
    def entered(self) -> Generator[None]:
        """Be inside for a while; waits while somebody holds the gate."""
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
        """Let nobody in until `let_go`; whether all who were inside have left in time."""
        with self._changed:
            self._holders += 1
            return self._changed.wait_for(lambda: not self._inside, timeout_seconds)

    def let_go(self) -> None:
        """Undo a `hold`, whatever it said."""
        with self._changed:
            self._holders -= 1
            self._changed.notify_all()
