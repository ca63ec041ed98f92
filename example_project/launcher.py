"""Starts everything that the demo consists of, and stops it. Serves nothing itself."""

import argparse
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from example_project.children import Child
from example_project.credentials import DEMO_KEY
from example_project.pacing import DEFAULT_RATE
from example_project.settings import Settings, SettingsError

HOST = "127.0.0.1"
DEFAULT_PORT = "8000"
LAST_PORT = 65_535
FLUSH_SECONDS = "2"
START_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.1
LOG_BYTES = 2_000_000
LOG_LINES = 15


class DemoError(Exception):
    """The demo cannot start or go on; its text is for whoever has started it."""


class StoppedError(Exception):
    """Somebody has pressed Ctrl-C, or sent a signal that means the same."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Processes to start.

    Attributes:
        port: Where the API listens.
        settings: Of the example.
        environment: Of all children.
    """

    port: int
    settings: Settings
    environment: Mapping[str, str]

    @property
    def address(self) -> str:
        """Where the API answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def needs_history(self) -> bool:
        """True while the demo's own lens database has no history."""
        settings = self.settings
        return not (settings.history_marker.exists() and settings.lens_database.exists())

    @property
    def foreign_database(self) -> str | None:
        """The variable that names somebody else's database, which never gets a history."""
        names = ("LENS_DATABASE_URL", "LENS_DB_PATH")
        return next((name for name in names if self.environment.get(name)), None)

    @property
    def log(self) -> Path:
        """File that the API logs to."""
        return self.settings.data_dir / "server.log"


def plan(environment: Mapping[str, str]) -> Plan:
    """Read the environment.

    Raises:
        DemoError: ``PORT`` or a setting of the example cannot work.
    """
    text = environment.get("PORT") or DEFAULT_PORT
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise DemoError(f"PORT must be a number from 1 to {LAST_PORT}, not {text!r}")
    try:
        settings = Settings.from_environment(environment)
    except SettingsError as error:
        raise DemoError(str(error)) from error
    children = dict(environment)
    children["EXAMPLE_DATA_DIR"] = str(settings.data_dir)
    children["LENS_REPORT_KEY"] = environment.get("LENS_REPORT_KEY") or DEMO_KEY
    children.setdefault("LENS_FLUSH_INTERVAL", FLUSH_SECONDS)
    return Plan(int(text), settings, children)


def check_port(port: int) -> None:
    """See that the API will be able to listen.

    Raises:
        DemoError: Somebody listens there already, or we may not.
    """
    with socket.socket() as probe:
        # As the server does, so that connections that are just closing don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            with socket.create_server((HOST, 0)) as other:
                free = other.getsockname()[1]
            raise DemoError(
                f"cannot listen on {HOST}:{port} ({error.strerror}); "
                f"choose another port, for example PORT={free} make demo"
            ) from error


class Demo:
    """The running demo.

    Args:
        plan: Processes to start.
        rate: Requests a second that the traffic sends.
    """

    def __init__(self, plan: Plan, *, rate: float) -> None:
        """Start nothing yet."""
        self._plan = plan
        self._rate = rate
        self._stopping = threading.Event()

    def stop(self, *_signal: object) -> None:
        """Let `run` stop everything and return; a handler of signals."""
        self._stopping.set()

    def run(self) -> None:
        """Start everything, and stop it when told to or when a part of it has ended.

        Raises:
            DemoError: A part has ended by itself, or the API does not answer.
        """
        with ExitStack() as stack:
            try:
                if self._plan.foreign_database:
                    print(f"{self._plan.foreign_database} is set: no history is laid down.")
                elif self._plan.needs_history:
                    self._lay_down_history(stack)
                api = self._start_api(stack)
                self._wait_for_answer(api)
                traffic = self._start_traffic(stack)
                print(self._greeting(), flush=True)
                while True:
                    self._look(api, traffic)
            except StoppedError:
                pass

    def _lay_down_history(self, stack: ExitStack) -> None:
        history = self._start(stack, "the history", ["example_project.history"])
        while history.status is None:
            self._pause()
        if history.status:
            raise DemoError(history.ending)

    def _start_api(self, stack: ExitStack) -> Child:
        settings = self._plan.settings
        settings.make_folders()
        self._plan.log.unlink(missing_ok=True)
        configuration = settings.data_dir / "server-log.json"
        configuration.write_text(json.dumps(_log_configuration(self._plan.log)), encoding="utf-8")
        arguments = ["uvicorn", "example_project.app:app", "--host", HOST]
        arguments += ["--port", str(self._plan.port), "--no-access-log"]
        arguments += ["--log-config", str(configuration), "--timeout-graceful-shutdown", "4"]
        return self._start(stack, "the API", arguments)

    def _start_traffic(self, stack: ExitStack) -> Child:
        arguments = ["example_project.traffic", "--base-url", self._plan.address]
        arguments += ["--rate", str(self._rate)]
        return self._start(stack, "the traffic", arguments)

    def _start(self, stack: ExitStack, name: str, arguments: Sequence[str]) -> Child:
        child = Child(name, arguments, self._plan.environment)
        stack.callback(child.stop)
        return child

    def _wait_for_answer(self, api: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self._plan.port):
            if time.monotonic() > deadline:
                raise DemoError(f"the API does not answer.{self._end_of_log()}")
            self._look(api)

    def _look(self, *children: Child) -> None:
        """Wait a moment, then see that all is well."""
        self._pause()
        for child in children:
            if child.status is not None:
                raise DemoError(f"{child.ending}.{self._end_of_log()}")

    def _pause(self) -> None:
        if self._stopping.wait(LOOK_EVERY_SECONDS):
            raise StoppedError

    def _end_of_log(self) -> str:
        try:
            lines = self._plan.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([f" The end of {self._plan.log}:", *lines[-LOG_LINES:]]) if lines else ""

    def _greeting(self) -> str:
        address, key = self._plan.address, self._plan.environment["LENS_REPORT_KEY"]
        return (
            f"\n  Orders API  {address}/docs\n  Admin       {address}/lens/\n"
            f"  Key         {key}\n\n  Ctrl-C stops everything.\n"
        )


def _answers(port: int) -> bool:
    """True when the API answers; asks for a page that is no endpoint, and so is not counted."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/docs")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _log_configuration(path: Path) -> dict[str, object]:
    """Warnings and tracebacks go into a file, so that the terminal stays readable."""
    handler = {
        "class": "logging.handlers.RotatingFileHandler",
        "filename": str(path),
        "maxBytes": LOG_BYTES,
        "backupCount": 1,
        "encoding": "utf-8",
        "formatter": "plain",
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"file": handler},
        "root": {"handlers": ["file"], "level": "WARNING"},
    }


def main(arguments: Sequence[str]) -> int:
    """Run the demo until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m example_project", description=__doc__)
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE, help="requests a second")
    options = parser.parse_args(arguments)
    try:
        found = plan(os.environ)
        check_port(found.port)
        demo = Demo(found, rate=options.rate)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, demo.stop)
        demo.run()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print("The demo is stopped.", flush=True)
    return 0
