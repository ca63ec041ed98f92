"""Connections to a real server that stay open: in use while they are, and after a kill."""

import signal
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from benchmarks.support.ports import HOST
from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until

RunServer = Callable[..., Server]
PATHS = ("/events", "/talk")


@pytest.fixture
def start(run_server: RunServer, tmp_path: Path) -> Callable[[], Server]:
    """Starts a server; all of them have one database."""
    env = {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "LENS_DB_PATH": str(tmp_path / "lens.db"),
        "LENS_FLUSH_INTERVAL": "0.1",
        "LENS_SECURITY_ENABLED": "false",
    }
    return lambda: run_server("tests.recording.held_open:app", env=env)


@contextmanager
def clients(server: Server) -> Generator[None]:
    """One that talks, and one that listens to events."""
    stream = HTTPConnection(HOST, server.port, timeout=30)
    with connect(f"ws://{HOST}:{server.port}/talk") as socket, closing(stream):
        socket.send("x")
        assert socket.recv() == "x"
        stream.request("GET", "/events")
        assert stream.getresponse().read(5) == b"data:"
        yield


def told(server: Server) -> dict[str, dict[str, Any]]:
    """The report's entries of both endpoints."""
    endpoints = httpx2.get(f"{server.url}/lens/report").json()["endpoints"]
    return {one["path"]: one for one in endpoints if one["path"] in PATHS}


def values(found: dict[str, dict[str, Any]], name: str) -> list[Any]:
    """One value of each endpoint; None for one that the server has not registered yet."""
    return [found.get(path, {}).get(name) for path in PATHS]


def test_what_is_open_is_in_use_and_is_counted_once_when_it_ends(
    start: Callable[[], Server],
) -> None:
    server = start()
    wait_until(
        lambda: values(told(server), "status") == ["never_called"] * 2, what="the registration"
    )
    with clients(server):
        wait_until(lambda: values(told(server), "open_connections") == [1, 1], what="being open")
        first = told(server)
        assert values(first, "status") == ["active"] * 2
        assert values(first, "total_calls") == [0, 0]

        def is_later() -> bool:
            then, now = (values(one, "last_called_at") for one in (first, told(server)))
            return all(a < b for a, b in zip(then, now, strict=True))

        wait_until(is_later, what="a later use")
    wait_until(
        lambda: values(told(server), "total_calls") == [1, 1], what="counting what has ended"
    )
    wait_until(
        lambda: values(told(server), "open_connections") == [0, 0], what="telling that it ended"
    )
    server.stop()
    last = told(start())
    assert values(last, "total_calls") == [1, 1]
    assert values(last, "oldest_open_since") == [None, None]
    assert values(last, "first_called_at") == pytest.approx(
        values(first, "first_called_at"), abs=0.1
    )


def test_a_use_outlives_a_kill_though_its_call_was_not_counted(
    start: Callable[[], Server],
) -> None:
    server = start()
    with clients(server):
        wait_until(lambda: values(told(server), "open_connections") == [1, 1], what="being open")
        server.stop(how=signal.SIGKILL)
    following = start()
    wait_until(lambda: values(told(following), "open_connections") == [0, 0], what="the kill")
    found = told(following)
    assert values(found, "status") == ["active"] * 2
    assert values(found, "total_calls") == [0, 0]
    assert values(found, "days_since_last_call") == [0.0, 0.0]
    assert httpx2.get(f"{following.url}/lens/report/dead").json()["endpoints"] == []


def test_a_deploy_counts_what_was_open_once_and_leaves_nothing_open(
    start: Callable[[], Server],
) -> None:
    server = start()
    with clients(server):
        wait_until(lambda: values(told(server), "open_connections") == [1, 1], what="being open")
        following = start()
        # Uvicorn ends the WebSocket itself, and waits for the stream until its client goes.
        server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) in (0, -signal.SIGTERM)
    found = told(following)
    assert values(found, "total_calls") == [1, 1]
    assert values(found, "open_connections") == [0, 0]
    assert values(found, "error_5xx_count") == [0, 0]
