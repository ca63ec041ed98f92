"""Fifty clients that ask for the same at once, in a process of their own.

``python -m benchmarks.admin_load_clients PORT PATH SECONDS EVERY KEY [together]``: each asks every
so many seconds, spread over them unless ``together``; 0 means without a pause, an empty key none.
Prints JSON: answers by status, and how long they took. Measures no application.

Bare sockets, because whatever these clients compute is taken from those whose time is measured:
fifty requests by asyncio keep a core busy for as long as the server needs for them.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.answers import status_of
from benchmarks.support.ports import HOST

CLIENTS = 50
CONNECTED = "connected"
"""Is printed when all are."""

LAST_SECONDS = 1.0
"""After the end it is looked so often whether all answers are there."""

LARGEST = 1 << 20
"""Bytes that are taken of an answer at a time."""


@dataclass(slots=True)
class _Client:
    """One connection, and its question that is not answered yet.

    Attributes:
        due: When it asks next, by `time.perf_counter`.
        asked: When it has asked; None while it waits for its time.
        answer: The answer received so far.
    """

    connection: socket.socket
    due: float
    question: float | None = None
    answer: bytes = b""

    def ask(self, request: bytes) -> None:
        self.question, self.answer = time.perf_counter(), b""
        self.connection.sendall(request)

    def take(self) -> int | None:
        """Take what has come; the status when that was all of it."""
        piece = self.connection.recv(LARGEST)
        assert piece, "the server has hung up"
        self.answer += piece
        return status_of(self.answer)

    def rest(self, seconds: float) -> float:
        """Ask again so long after it was due; milliseconds that the answer took."""
        assert self.question is not None
        took_ms = 1_000 * (time.perf_counter() - self.question)
        self.question, self.due = None, self.due + seconds
        return took_ms


def ask(
    port: int, path: str, *, seconds: float, every: float, key: str, together: bool
) -> tuple[Counter[int], list[float]]:
    """Ask, each client on a connection of its own.

    Args:
        port: Of the server.
        path: Path of the requests.
        seconds: Duration.
        every: Seconds between two questions of a client.
        key: Of the admin; empty for none.
        together: True when all clients ask at the same moment.

    Returns:
        Answers by status, and milliseconds to the last byte of each.
    """
    request = _request(path, key)
    statuses: Counter[int] = Counter()
    took_ms: list[float] = []
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((HOST, port))) for _ in range(CLIENTS)
        ]
        selector = stack.enter_context(selectors.DefaultSelector())
        print(CONNECTED, flush=True)
        begin = time.perf_counter()
        clients = [
            _Client(connection, begin + (0.0 if together else every * number / CLIENTS))
            for number, connection in enumerate(connections)
        ]
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
        while begin + seconds > time.perf_counter() or any(one.question for one in clients):
            wait = _ask_the_due(clients, request, end=begin + seconds)
            for ready, _ in selector.select(wait):
                if (status := ready.data.take()) is not None:
                    statuses[status] += 1
                    took_ms.append(ready.data.rest(every))
    return statuses, took_ms


def _ask_the_due(clients: list[_Client], request: bytes, *, end: float) -> float:
    """Ask with every client that is due before the end; seconds until the next one may be."""
    now = time.perf_counter()
    waits = [end - now]
    for client in clients if now < end else ():
        if client.question is None and client.due <= now:
            client.ask(request)
        elif client.question is None:
            waits.append(client.due - now)
    # After the end the last answers are waited for.
    return min(waits) if now < end else LAST_SECONDS


def _request(path: str, key: str) -> bytes:
    # As browsers and most libraries ask by themselves.
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Accept-Encoding: gzip"]
    if key:
        lines.append(f"X-Lens-Key: {key}")
    return "\r\n".join([*lines, "", ""]).encode()


if __name__ == "__main__":
    found, took = ask(
        int(sys.argv[1]),
        sys.argv[2],
        seconds=float(sys.argv[3]),
        every=float(sys.argv[4]),
        key=sys.argv[5],
        together="together" in sys.argv[6:],
    )
    print(json.dumps({"statuses": found, "took_ms": sorted(took)}))
