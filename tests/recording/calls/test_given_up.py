"""Real servers and clients that give up, beside the table of docs/recording.md."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from benchmarks.support.ports import HOST
from benchmarks.support.servers import Server, Start, granian, gunicorn, hypercorn, uvicorn
from benchmarks.support.waiting import wait_until
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens
from tests.recording.ending import BEGUN, RELEASE
from tests.recording.test_servers import looking_into, settings
from tests.support.details import detail_of

pytestmark = pytest.mark.unmeasured

Counts = dict[str, dict[int, int]]

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "recording.md"
SERVERS: dict[str, tuple[Start, list[str]]] = {
    "uvicorn, httptools": (uvicorn, ["--http", "httptools"]),
    "uvicorn, h11": (uvicorn, ["--http", "h11"]),
    "gunicorn": (gunicorn, []),
    "hypercorn": (hypercorn, []),
    "granian": (granian, []),
}

GIVES_UP = {
    "answers, `async def`": "/async",
    "answers, `def`": "/sync",
    "asks `request.is_disconnected()`": "/poll",
    "reads the body for a model": "/model",
    "reads the body in a task group": "/group",
    "streams, after the first byte": "/stream",
    "answers, and only the sending half is closed": "/half",
}
"""Rows of the table, and where the application does what they say."""

UNFINISHED_BODY = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"

every_server = pytest.mark.parametrize("name", SERVERS)


def documented() -> dict[str, dict[str, int]]:
    """The table of the documentation: what is counted, by server and row."""
    lines = DOCUMENTATION.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    (head,) = (row for row in rows if row[1:] == list(SERVERS))
    return {
        server: {row[0]: int(row[column]) for row in rows if row[0] in GIVES_UP}
        for column, server in enumerate(head[1:], 1)
    }


def counts(lens: Lens) -> Counts:
    found = lens.reader.endpoints(window=Window(), now=lens.clock())
    return {
        one.path: dict(detail_of(lens.reader, one.id, window=Window(), now=lens.clock()).codes)
        for one in found
        if one.usage.calls
    }


class Running:
    """A server with the application, and what its lens has counted when it has ended."""

    def __init__(self, server: Server, lens: Lens, folder: Path) -> None:
        self.server, self.lens, self.folder = server, lens, folder

    def connection(self, path: str, *, more: str = "\r\n", version: str = "1.1") -> socket.socket:
        """A connection on which a request has been sent."""
        made = socket.create_connection((HOST, self.server.port), timeout=20)
        method = "GET" if more.endswith("\r\n") else "POST"
        made.sendall(f"{method} {path} HTTP/{version}\r\nHost: {HOST}\r\n{more}".encode())
        return made

    def wait_until_begun(self, name: str) -> None:
        wait_until((self.folder / BEGUN.format(name)).exists, what=f"beginning {name}")

    def release(self) -> None:
        (self.folder / RELEASE).touch()

    def counted(self, calls: int) -> Counts:
        """Counts after this number of calls has ended; granian waits for no open call."""

        def ended() -> bool:
            return sum(sum(one.values()) for one in counts(self.lens).values()) >= calls

        wait_until(ended, what=f"counting {calls} calls")
        self.server.stop()
        return counts(self.lens)


@pytest.fixture
def start(run_server: Callable[..., Server], tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts the application: ``start(uvicorn, ["--http", "h11"])``."""
    with ExitStack() as stack:

        def start(by: Start, args: list[str]) -> Running:
            database = tmp_path / "lens.db"
            lens = stack.enter_context(looking_into(database))
            server = run_server(
                "tests.recording.ending:app",
                by=by,
                args=args,
                env=settings(database, flush_interval=0.2),
            )
            wait_until(lambda: lens.reader.health(lens.clock()).workers, what="starting a worker")
            return Running(server, lens, tmp_path)

        yield start


@pytest.fixture
def run(start: Callable[..., Running]) -> Callable[[str], Running]:
    """Starts the application on one of the servers."""
    return lambda name: start(*SERVERS[name])


def all_of(connection: socket.socket) -> bytes:
    """All that comes until the server closes; the connection is closed then."""
    with closing(connection):
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@every_server
def test_a_client_that_gives_up_is_counted_as_the_documentation_says(
    run: Callable[[str], Running], name: str
) -> None:
    running = run(name)
    for path in GIVES_UP.values():
        body = path in ("/model", "/group")
        with closing(running.connection(path, more=UNFINISHED_BODY if body else "\r\n")) as made:
            if path == "/half":
                made.shutdown(socket.SHUT_WR)
            if path != "/model":
                running.wait_until_begun(path.strip("/"))
    running.release()
    assert running.counted(len(GIVES_UP)) == {
        GIVES_UP[row]: {status: 1} for row, status in documented()[name].items()
    }


@every_server
def test_a_client_that_has_its_answer_may_go_at_any_moment(
    run: Callable[[str], Running], name: str
) -> None:
    running = run(name)
    assert all_of(running.connection("/quick", more="Connection: close\r\n\r\n")).endswith(b"1")
    assert all_of(running.connection("/quick", version="1.0")).endswith(b"1")
    for path in ("/quick", "/background"):
        # It keeps the connection, has all of the answer, and goes; the task is still under way.
        with closing(running.connection(path)) as connection:
            found = b""
            while not found.endswith(b"\r\n\r\n1"):
                found += connection.recv(1)
    # Two requests at once on one connection, of which the second one is answered last.
    twice = f"\r\nGET /quick HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    assert all_of(running.connection("/quick", more=twice)).count(b"HTTP/1.1 200") == 2
    running.release()
    assert running.counted(6) == {"/quick": {200: 5}, "/background": {200: 1}}


@every_server
def test_what_the_client_got_of_an_exception_that_is_none_is_what_is_counted(
    run: Callable[[str], Running], name: str
) -> None:
    running = run(name)
    # hypercorn ends with the last one, after it has answered.
    paths = ["/panic", "/leaked", "/panics-inside", "/exit"]
    for path in paths:
        got = httpx2.get(running.server.url + path).status_code
        assert got == 500
    assert running.counted(len(paths)) == {path: {500: 1} for path in paths}
    assert len(running.lens.reader.exception_log.kinds()) == len(paths)


UVICORN_PATHS = ["/echo", "/push"]
WEBSOCKET_SERVERS: dict[str, tuple[Start, list[str], list[str]]] = {
    "uvicorn": (uvicorn, ["--timeout-graceful-shutdown", "1"], UVICORN_PATHS),
    "uvicorn, wsproto": (uvicorn, ["--ws", "wsproto"], UVICORN_PATHS),
    # These never tell a handler that only sends.
    "hypercorn": (hypercorn, [], ["/echo"]),
    "granian": (granian, [], ["/echo"]),
}


@pytest.mark.parametrize("name", WEBSOCKET_SERVERS)
def test_websockets_that_end_in_any_way_are_no_faults(
    start: Callable[..., Running], name: str
) -> None:
    by, args, paths = WEBSOCKET_SERVERS[name]
    running = start(by, args)
    url = running.server.url.replace("http", "ws")
    for path in paths:
        for code in (1000, 1001, 3000):
            with connect(url + path) as client:
                client.send("x")
                assert client.recv() == "x"
                client.close(code)
        with connect(url + path) as gone:
            gone.socket.shutdown(socket.SHUT_RDWR)
    with ExitStack() as stack:
        if by is uvicorn:
            # Open while the server ends; the others wait for it, or cut it off uncounted.
            stack.enter_context(connect(url + "/echo"))
        counted = running.counted(4 * len(paths))
    assert counted == {path: {101: 4 + (by is uvicorn and path == "/echo")} for path in paths}
    assert running.lens.reader.exception_log.kinds() == []


CANCELLING_SERVERS = {
    "uvicorn, httptools": ["--timeout-graceful-shutdown", "1"],
    "uvicorn, h11": ["--timeout-graceful-shutdown", "1"],
    "hypercorn": ["--graceful-timeout", "1"],
}


@pytest.mark.parametrize("name", CANCELLING_SERVERS)
def test_a_request_that_a_deploy_cancels_is_the_500_that_its_client_gets(
    start: Callable[..., Running], name: str
) -> None:
    by, args = SERVERS[name]
    running = start(by, [*args, *CANCELLING_SERVERS[name]])
    connection = running.connection("/async")
    running.wait_until_begun("async")
    running.server.process.terminate()
    assert all_of(connection).startswith(b"HTTP/1.1 500 ")
    assert running.counted(1) == {"/async": {500: 1}}
    # Nobody raised anything.
    assert running.lens.reader.exception_log.kinds() == []
