"""Base of the database servers of tests and benchmarks: a folder, a process, an unprivileged user.

Knows neither PostgreSQL nor MariaDB.
"""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.support.ports import free_port
from benchmarks.support.waiting import wait_until

USER = "lens"


class ServerError(RuntimeError):
    """The server is missing or does not start; the message says what to do."""


class DatabaseServer(ABC):
    """One server, with as many databases as are asked for.

    What was committed survives `crash`, a power cut it would not: nothing waits for the disk.

    Attributes:
        port: Of 127.0.0.1; the same after a restart.
    """

    name: str
    """As people call it."""

    fast_shutdown: signal.Signals
    """Signal for a shutdown in order that does not wait for clients."""

    sudden_end: signal.Signals
    """Signal that kills the server and its processes at once."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            ServerError: It cannot be started; the message ends with its log.
        """
        self._numbers = itertools.count(1)
        self._identity = unprivileged()
        # Not below TMPDIR, which may be root's own.
        self._folder = Path(tempfile.mkdtemp(prefix=f"lens-{self.name.lower()}-", dir="/tmp"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if self._identity:
                self._folder.chmod(0o755)
            self._data.mkdir(mode=0o700)
            if self._identity:
                os.chown(self._data, self._identity["user"], self._identity["group"])
            self.port = free_port()
            self._prepare()
            self.resume()
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def create_database(self) -> str:
        """A new, empty database.

        Returns:
            Its URL, as SQLAlchemy takes it.
        """

    @abstractmethod
    def drop_database(self, url: str) -> None:
        """Drop one with whoever is still connected to it."""

    @abstractmethod
    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator; its rows, if it has any."""

    @abstractmethod
    def cut(self, url: str) -> int:
        """End all connections to a database, also in the middle of a transaction; how many."""

    @abstractmethod
    def _prepare(self) -> None:
        """Fill the data's folder."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Command that runs the server."""

    @abstractmethod
    def _answers(self) -> bool:
        """True when it accepts statements."""

    def halt(self) -> None:
        """Stop it for a while; its clients' connections are cut."""
        self._end(self.fast_shutdown)

    def crash(self) -> None:
        """End it at once, as if it had crashed."""
        self._end(self.sudden_end)

    def resume(self) -> None:
        """Start it, with the data and at the port that it had.

        Raises:
            ServerError: It does not start; the message ends with its log.
        """
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command(), stdout=output, stderr=output, **self._surroundings()
            )
        try:
            wait_until(self._is_up, seconds=60, what=f"{self.name}'s start")
        except AssertionError as error:
            raise ServerError(f"{error}\n{log.read_text(encoding='utf-8')}") from error

    def stop(self) -> None:
        """Shut the server down and remove what it has left."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.halt()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_name(self) -> str:
        """A name that no database of this server has."""
        return f"lens_{next(self._numbers)}"

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(20)

    def _is_up(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"{self.name} ended while it started")
        return self._answers()

    def _surroundings(self) -> dict[str, Any]:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        return {"cwd": "/", "env": environment, "stdin": subprocess.DEVNULL, **self._identity}

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def unprivileged() -> dict[str, Any]:
    """Arguments of Popen that make it run as nobody, where this is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
