"""Asks servers for one path each, in short runs one after the other, and counts the answers.

``python -m benchmarks.load_generator TASK`` with a JSON object: ``runs``, a list of names and
addresses, ``seconds`` of each run, and ``connections`` to each server. Prints a JSON object for
each run. Knows nothing of what the servers are.

Bare sockets that stay open: a run may then be so short that the next server is asked before the
machine has become faster or slower, and nothing is spent that the server could use.
"""

import json
import selectors
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Self
from urllib.parse import urlsplit

from benchmarks.answers import status_of

LARGEST = 1 << 16
"""Bytes that are taken of an answer at a time."""

SILENT_SECONDS = 60.0
"""Without an answer, a server has failed."""

SUCCESS = range(200, 300)


@dataclass(slots=True)
class Answered:
    """Result of a run.

    Attributes:
        answered: Answers with a status of success.
        failed: Other answers.
        seconds: From the first question to the last answer.
    """

    answered: int
    failed: int
    seconds: float


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    answer: bytes = b""

    def take(self) -> int | None:
        """Take what has come; the status when that was all of the answer."""
        piece = self.socket.recv(LARGEST)
        if not piece:
            sys.exit("bench: a server has hung up")
        self.answer += piece
        status = status_of(self.answer)
        if status is not None:
            self.answer = b""
        return status


class Server:
    """The connections to one server; each asks anew as soon as it has its answer.

    Args:
        url: URL of the requests.
        connections: Number of connections.
    """

    def __init__(self, url: str, connections: int) -> None:
        """Connect."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self._open = ExitStack()
        self._selector = self._open.enter_context(selectors.DefaultSelector())
        self._connections = [
            _Connection(
                self._open.enter_context(
                    socket.create_connection((parts.hostname or "", parts.port or 80))
                )
            )
            for _ in range(connections)
        ]
        for one in self._connections:
            one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(one.socket, selectors.EVENT_READ, one)

    def __enter__(self) -> Self:
        """Stay connected for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._open.close()

    def run(self, seconds: float) -> Answered:
        """Ask for some time, then wait for the last answers."""
        found = Answered(0, 0, 0.0)
        begin = time.perf_counter()
        for one in self._connections:
            one.socket.sendall(self._request)
        waiting = len(self._connections)
        while waiting:
            ready = self._selector.select(SILENT_SECONDS)
            if not ready:
                sys.exit(f"bench: a server has not answered for {SILENT_SECONDS:g} s")
            for key, _ in ready:
                status = key.data.take()
                if status is None:
                    continue
                found.answered += status in SUCCESS
                found.failed += status not in SUCCESS
                if time.perf_counter() < begin + seconds:
                    key.data.socket.sendall(self._request)
                else:
                    waiting -= 1
        found.seconds = time.perf_counter() - begin
        return found


def main(task: str) -> None:
    """The command."""
    wanted = json.loads(task)
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name, url in wanted["runs"]:
            if name not in servers:
                servers[name] = stack.enter_context(Server(url, wanted["connections"]))
            print(json.dumps(asdict(servers[name].run(wanted["seconds"]))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
