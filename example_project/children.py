"""Processes that the demo's launcher has started: is one alive, how did it end, stop it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

PATIENCE_SECONDS = 10.0


class Child:
    """A Python module in a process of its own.

    It gets its own process group: a Ctrl-C in the terminal reaches the launcher alone, which
    then stops its children in the right order.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            name: Name in messages.
            arguments: Arguments of ``python -m``.
            environment: Its whole environment.
        """
        self.name = name
        self._process = subprocess.Popen(  # noqa: S603  Only what the launcher names.
            [sys.executable, "-m", *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def status(self) -> int | None:
        """The exit status, ``-N`` when signal N ended it; None while it runs."""
        return self._process.poll()

    @property
    def ending(self) -> str:
        """Description of its end, in words."""
        status = self.status
        if status is None:
            return f"{self.name} is running"
        if status < 0:
            return f"{self.name} was ended by {signal.Signals(-status).name}"
        return f"{self.name} has ended with status {status}"

    def stop(self) -> None:
        """Ask it to end, wait, and kill it when it does not."""
        if self.status is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
