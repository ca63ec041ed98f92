"""Work for threads."""

import threading


class Work:
    """Work that goes on until it may end; it numbers its answers."""

    def __init__(self) -> None:
        self.begun = 0
        self._guard = threading.Lock()
        self.may_end = threading.Event()

    def __call__(self) -> int:
        with self._guard:
            self.begun += 1
            number = self.begun
        assert self.may_end.wait(timeout=10)
        return number
