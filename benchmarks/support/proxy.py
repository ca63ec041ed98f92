"""A TCP proxy of 127.0.0.1 that can cut connections and lose answers. Knows no protocol."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.support.ports import HOST


class Proxy:
    """Stands between clients and one server; each connection has a thread.

    Args:
        target_port: Of the server, which need not run all the time.
        loses_answer: Asked with each piece that a client sends. When true, the piece is passed
            on, the server's answer to it is thrown away, and the connection is cut.

    Attributes:
        port: Where clients connect.
        lost: Answers that were thrown away.
        cuts: Connections that `cut` has ended.
    """

    def __init__(
        self, target_port: int, loses_answer: Callable[[bytes], bool] = lambda _piece: False
    ) -> None:
        """Listen."""
        self._target_port = target_port
        self._loses_answer = loses_answer
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._stalled = threading.Event()
        self.lost = self.cuts = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> int:
        """End every connection, whatever it is doing; how many there were."""
        with self._guard:
            victims = list(self._open)
            self._open.clear()
        for client in victims:
            _shut(client)
        self.cuts += len(victims)
        return len(victims)

    def stall(self) -> None:
        """Pass nothing on any more, and let connections wait, as when a network is cut."""
        self._stalled.set()

    def go_on(self) -> None:
        """Undo `stall`: what was sent meanwhile arrives."""
        self._stalled.clear()

    def stop(self) -> None:
        """End every connection and listen no more."""
        self._stalled.clear()
        _shut(self._listener)
        self._listener.close()
        self._thread.join()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._guard:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            with socket.create_connection((HOST, self._target_port)) as server:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pass_on(client, server)
            _shut(client)
        with self._guard:
            self._open.discard(client)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        losing = False
        while True:
            for source in select.select([client, server], [], [], 0.5)[0]:
                piece = source.recv(65_536)
                while self._stalled.is_set():
                    time.sleep(0.02)
                if losing and source is server:
                    self.lost += 1
                    return
                if not piece:
                    return
                (server if source is client else client).sendall(piece)
                losing = losing or (source is client and self._loses_answer(piece))

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
