"""Server processes: start one, wait until it listens, stop it, keep its log."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from unittest.mock import patch

from benchmarks.support.ports import HOST, free_port, is_listening
from benchmarks.support.waiting import wait_until
from fastapi_lens.config.places import TEST_SUITE

UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
"""For the environment of a server, and of a test that is not to cover lines: what is started runs
without coverage, since quick tests in the suite's own process reach every line, and measuring
takes a third of a server's time."""


@contextlib.contextmanager
def unmeasured() -> Iterator[None]:
    """Whatever is started meanwhile runs without coverage."""
    with patch.dict(os.environ, UNMEASURED):
        yield


class ServerError(AssertionError):
    """A server did not start; the message ends with its log."""


class Server:
    """One server process on a port of 127.0.0.1.

    Attributes:
        port: Where it listens.
        url: ``http://127.0.0.1:<port>``, without a slash at the end.
        process: To look at; stop it with `stop`.
    """

    def __init__(
        self, argv: Sequence[str], *, port: int, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the program; `wait` says when it listens.

        Args:
            argv: Program and arguments.
            port: The one that the arguments tell it to listen on.
            cwd: Where it runs; its log goes there, too.
            env: Put over the environment, which is passed on without its ``LENS_…`` settings and
                without the test suite's mark, which would keep the counts in memory.
        """
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._log = cwd / f"server-{port}.log"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LENS_") and name != TEST_SUITE
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**inherited, **UNMEASURED, "PYTHONUNBUFFERED": "1", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """Output of the process so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, *, seconds: float = 30.0) -> Self:
        """Wait until it listens.

        Raises:
            ServerError: It ended instead, or the time has passed.
        """
        try:
            wait_until(
                lambda: self.process.poll() is not None or is_listening(self.port),
                seconds=seconds,
                what=f"listening on {self.url}",
            )
        except AssertionError as error:
            self.stop()
            raise ServerError(f"{error}\n{self.log}") from error
        if self.process.poll() is not None:
            raise ServerError(f"the server ended with {self.process.returncode}:\n{self.log}")
        return self

    def stop(self, *, how: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Ask it to stop, as an operator would, and wait; kill what is left of it after that.

        Returns:
            The exit code; ``-N`` where signal N ended it.
        """
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            self._kill_group()
            self.process.wait()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        """Wait until it listens."""
        return self.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


class Start(Protocol):
    """Starts a server with an application; each of the functions below is one.

    All of them take ``args=["--workers", "2"]``.
    """

    def __call__(
        self,
        target: str,
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        port: int | None = None,
    ) -> Server:
        """Start it.

        Args:
            target: ``module:application``.
            cwd: Where it runs.
            env: Put over the environment.
            args: More arguments of the server.
            port: Where to listen; a free one by default.
        """


def _starter(module: str, *own: str) -> Start:
    """Start function of ``python -m module``; HOST and PORT are filled into the arguments."""

    def start(
        target: str,
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        port: int | None = None,
    ) -> Server:
        port = free_port() if port is None else port
        filled = [part.replace("HOST", HOST).replace("PORT", str(port)) for part in own]
        argv = [sys.executable, "-m", module, target, *filled, *args]
        return Server(argv, port=port, cwd=cwd, env=env)

    return start


_BIND = ("--bind", "HOST:PORT")
_ADDRESS = ("--host", "HOST", "--port", "PORT")

uvicorn = _starter("uvicorn", *_ADDRESS)
gunicorn = _starter(
    "gunicorn",
    *_BIND,
    "--worker-class",
    "uvicorn_worker.UvicornWorker",
    "--no-control-socket",  # It would lie in the user's home.
)
granian = _starter("granian", *_ADDRESS, "--interface", "asgi")
# Its own three seconds are too few for a busy machine.
hypercorn = _starter("hypercorn", *_BIND, "--graceful-timeout", "30")
