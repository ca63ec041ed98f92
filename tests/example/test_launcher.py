"""`python -m example_project` starts the demo, says where it is, and leaves nothing behind."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.ports import HOST, is_listening
from benchmarks.support.servers import UNMEASURED
from benchmarks.support.waiting import wait_until
from example_project.credentials import DEMO_KEY
from example_project.launcher import DemoError, check_port, plan
from example_project.profiles import QUIET

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


class Launched:
    """A demo that has been started as `make demo` does it."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        self.port = port
        self.data = folder / "data"
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "example_project"],
                cwd=ROOT,
                env={
                    **os.environ,
                    **UNMEASURED,
                    "PORT": str(port),
                    "EXAMPLE_DATA_DIR": str(self.data),
                    "EXAMPLE_LATENCY": "0",
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def children(self) -> dict[str, int]:
        """The process ids of its children, by the module that they run."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                arguments = (stat.parent / "cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == self._process.pid and "-m" in arguments:
                found[arguments[arguments.index("-m") + 1]] = int(stat.parent.name)
        return found

    def wait_until_up(self) -> None:
        wait_until(
            lambda: "Ctrl-C stops everything" in self.output or self._process.poll() is not None,
            seconds=60,
            what="the demo's start",
        )
        assert self._process.poll() is None, self.output

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        return self._process.wait(30)

    def report(self) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}/lens/report", headers={"X-Lens-Key": DEMO_KEY}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310  Our own server.
            report: dict[str, Any] = json.load(answer)
        return report

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)


@pytest.fixture
def launch(tmp_path: Path, free_port: int) -> Iterator[Any]:
    demos: list[Launched] = []

    def start(**environment: str) -> Launched:
        demos.append(Launched(tmp_path, free_port, environment))
        return demos[-1]

    yield start
    for demo in demos:
        demo.stop()


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_starts_serves_and_stops_on_ctrl_c(launch: Any) -> None:
    demo = launch(EXAMPLE_HISTORY_DAYS="0.05")
    demo.wait_until_up()
    address = f"http://{HOST}:{demo.port}"
    for line in (f"{address}/docs", f"{address}/lens/", DEMO_KEY, "Laying down 0.05 days"):
        assert line in demo.output

    laid_down = json.loads((demo.data / "history.json").read_text())["calls"]
    assert laid_down > 500
    wait_until(
        lambda: demo.report()["summary"]["total_requests"] > laid_down + 10, what="real traffic"
    )
    children = demo.children
    assert set(children) == {"uvicorn", "example_project.traffic"}

    demo.send(signal.SIGINT)
    assert demo.ended() == 0
    assert demo.output.endswith("The demo is stopped.\n")
    assert not is_listening(demo.port)
    assert not any(is_running(process_id) for process_id in children.values())


def test_when_a_part_dies_it_says_which_and_stops_the_other(launch: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    demo = launch(LENS_DB_PATH=str(other))
    demo.wait_until_up()
    wait_until(lambda: demo.report()["summary"]["total_requests"] > 10, what="real traffic")
    children = demo.children
    os.kill(children["example_project.traffic"], signal.SIGKILL)

    assert demo.ended() == 1
    assert "LENS_DB_PATH is set: no history is laid down." in demo.output
    assert "demo: the traffic was ended by SIGKILL." in demo.output
    assert not is_running(children["uvicorn"])
    with sqlite3.connect(other) as connection:
        rows = connection.execute("SELECT method, path FROM lens_endpoint WHERE total_calls > 0")
        called = set(rows)
    connection.close()
    assert ("WEBSOCKET", "/v2/orders/events") in called
    assert not called & QUIET


def test_stopped_while_it_lays_down_the_past_it_starts_anew_next_time(launch: Any) -> None:
    demo = launch()
    wait_until((demo.data / "lens.db").exists, seconds=60, what="the history's beginning")
    children = demo.children
    assert set(children) == {"example_project.history"}
    demo.send(signal.SIGTERM)
    assert demo.ended() == 0
    assert not (demo.data / "history.json").exists()
    assert not is_running(children["example_project.history"])


def test_a_taken_port_is_a_clear_error_before_anything_is_done(launch: Any, free_port: int) -> None:
    with socket.create_server((HOST, free_port)):
        demo = launch()
        assert demo.ended() == 1
    assert demo.output.startswith(f"demo: cannot listen on {HOST}:{free_port} (Address already")
    assert demo.output.count("\n") == 1
    assert not demo.data.exists()


def test_the_port_that_it_names_instead_is_a_free_one(free_port: int) -> None:
    taken = free_port
    for _ in range(2):
        with socket.create_server((HOST, taken)):
            with pytest.raises(DemoError) as raised:
                check_port(taken)
            taken = int(str(raised.value).rpartition("PORT=")[2].split()[0])
            check_port(taken)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8000.5"])
def test_a_port_that_is_none_is_a_clear_error(port: str) -> None:
    with pytest.raises(DemoError, match=f"PORT must be a number from 1 to 65535, not '{port}'"):
        plan({"PORT": port})


@pytest.mark.parametrize(
    ("name", "value"), [("EXAMPLE_LATENCY", "fast"), ("EXAMPLE_HISTORY_DAYS", "0")]
)
def test_a_setting_of_the_example_that_cannot_work_is_named(name: str, value: str) -> None:
    with pytest.raises(DemoError, match=f"{name} must be a number"):
        plan({name: value})


def test_an_own_key_replaces_the_demo_key() -> None:
    assert plan({}).environment["LENS_REPORT_KEY"] == DEMO_KEY
    assert plan({"LENS_REPORT_KEY": ""}).environment["LENS_REPORT_KEY"] == DEMO_KEY
    assert plan({"LENS_REPORT_KEY": "mine"}).environment["LENS_REPORT_KEY"] == "mine"
