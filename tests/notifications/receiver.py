"""A receiver of webhooks: a real HTTP server on loopback that behaves as well as a test says."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Any, Self

Behaviour = Callable[[socket.socket], None]
"""Answers one request that was read."""

WAIT_SECONDS = 10.0


def answer(status: int, *headers: str, body: bytes = b"ok") -> Behaviour:
    """A response with a status."""

    def respond(connection: socket.socket) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return respond


def redirect(location: str) -> Behaviour:
    """A redirect to an address."""
    return answer(307, f"Location: {location}", body=b"")


def say(data: bytes) -> Behaviour:
    """Any bytes, and then the end of the connection."""
    return lambda connection: connection.sendall(data)


def close(connection: socket.socket) -> None:
    """End the connection without a response."""


class Receiver:
    """The server.

    Attributes:
        bodies: The JSON of the requests, oldest first.
        heads: Their request lines and headers.
        behaviours: Those of the next requests; afterwards each is answered with 200.
        greeting: Sent before a request is read, which is no HTTP.
        over: Set at the end of the test, so that hanging behaviours end.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.bodies: list[Any] = []
        self.heads: list[str] = []
        self.behaviours: list[Behaviour] = []
        self.greeting = b""
        self.over = threading.Event()
        self._tls = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/hooks/s3cr3t-token?key=s3cr3t-too"

    def hang(self, connection: socket.socket) -> None:
        """Say nothing until the test is over."""
        self.over.wait(WAIT_SECONDS)

    def drip(self, connection: socket.socket) -> None:
        """Send one byte of a header after the other, without an end."""
        connection.sendall(b"HTTP/1.1 ")
        self._endlessly(connection, b"2")

    def flood(self, connection: socket.socket) -> None:
        """Send a body without an end."""
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        self._endlessly(connection, b"x" * 65_536, pause_seconds=0.0)

    def continue_endlessly(self, connection: socket.socket) -> None:
        """Send interim responses without an end."""
        self._endlessly(connection, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _endlessly(
        self, connection: socket.socket, part: bytes, *, pause_seconds: float = 0.02
    ) -> None:
        with suppress(OSError):
            while not self.over.wait(pause_seconds):
                connection.sendall(part)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self.over.is_set():
                    return
                connection.settimeout(WAIT_SECONDS)
                with suppress(OSError, LookupError, ValueError):
                    self._answer(connection)

    def _answer(self, plain: socket.socket) -> None:
        plain.sendall(self.greeting)
        with plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True) as own:
            with own.makefile("rb") as reader:
                lines = takewhile(lambda line: line.strip(), iter(reader.readline, b""))
                head = b"".join(lines).decode()
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                body = reader.read(length)
            behaviour = self.behaviours.pop(0) if self.behaviours else answer(200)
            self.heads.append(head)
            self.bodies.append(json.loads(body))
            behaviour(own)

    def wait_for(self, count: int) -> Self:
        """Wait until so many requests came."""
        end = time.monotonic() + WAIT_SECONDS
        while len(self.bodies) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.bodies) >= count
        return self

    def stop(self) -> None:
        self.over.set()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join(WAIT_SECONDS)
        self._listener.close()
        assert not self._thread.is_alive()


@contextmanager
def a_receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A running receiver."""
    receiver = Receiver(context)
    try:
        yield receiver
    finally:
        receiver.stop()
