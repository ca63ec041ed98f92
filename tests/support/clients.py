"""A client that costs a server's test next to nothing: HTTP/1.1, one request after another."""

import asyncio
import contextlib
from typing import Self

from tests.support.ports import HOST


class Client:
    """One connection, open as long as the server keeps it.

    A server that ends may close it at any moment: what has no complete answer is no answer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect to a server on this machine.

        Raises:
            OSError: Nobody listens.
        """
        return cls(*await asyncio.open_connection(HOST, port))

    async def get(self, path: str) -> bytes | None:
        """Send a GET and read the answer, whose length has to be announced.

        Returns:
            Its body; None when not all of the answer came.

        Raises:
            AssertionError: It is not a 200.
        """
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            assert " 200 " in head.splitlines()[0] + " ", head
            length = int(head.partition("content-length:")[2].split()[0])
            return await self._reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    async def close(self) -> None:
        """End the connection, whatever the server has done to it."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
