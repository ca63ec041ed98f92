"""Clients that cost a test next to nothing: HTTP/1.1 by hand, one request after another."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from benchmarks.support.ports import HOST

_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer.

    Attributes:
        status: Its code.
        body: All of it.
    """

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, decoded from JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Body:
    """Body of a request.

    Attributes:
        content: As it is sent.
        kind: Its media type.
    """

    content: bytes
    kind: str

    @classmethod
    def of_json(cls, value: Any) -> Self:
        """A value as JSON."""
        return cls(json.dumps(value).encode(), "application/json")

    @classmethod
    def of_file(cls, name: str, file: tuple[str, bytes, str]) -> Self:
        """A form with one file.

        Args:
            name: Of the form's field.
            file: Its name, its content and its media type.
        """
        filename, content, kind = file
        names = f'name="{name}"; filename="{filename}"'
        head = (
            f"--boundary\r\nContent-Disposition: form-data; {names}\r\nContent-Type: {kind}\r\n\r\n"
        )
        whole = head.encode() + content + b"\r\n--boundary--\r\n"
        return cls(whole, "multipart/form-data; boundary=boundary")


class Client:
    """One connection, open as long as the server keeps it.

    A server that ends may close it at any moment: what has no complete answer is no answer.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both ends of a connection."""
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect to a server on this machine.

        Raises:
            OSError: Nobody listens.
        """
        return cls(*await asyncio.open_connection(HOST, port))

    async def get(self, path: str) -> bytes | None:
        """Send a GET and read the answer.

        Returns:
            Its body; None when not all of the answer came.

        Raises:
            AssertionError: It is not a 200.
        """
        answer = await self.send("GET", path)
        assert answer is None or answer.status == HTTPStatus.OK, answer
        return None if answer is None else answer.body

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Answer | None:
        """Send a request and read the answer.

        Args:
            method: Of the request.
            path: With the query, encoded as it is sent.
            headers: Besides the host and what the body needs.
            body: None for none.

        Returns:
            The answer; None when not all of it came.
        """
        lines = {"Host": HOST, **(headers or {})}
        if body is not None:
            lines |= {"Content-Type": body.kind, "Content-Length": str(len(body.content))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        content = b"" if body is None else body.content
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        try:
            return await self._answer(method)
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    async def _answer(self, method: str) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(maxsplit=2)[1])
        if method == "HEAD" or status in _WITHOUT_BODY:
            return Answer(status, b"")
        length = head.partition("\r\ncontent-length:")[2].split(maxsplit=1)
        if length:
            return Answer(status, await self._reader.readexactly(int(length[0])))
        assert "\r\ntransfer-encoding: chunked\r\n" in head, head
        return Answer(status, await self._chunks())

    async def _chunks(self) -> bytes:
        found = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            found += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readuntil(b"\r\n")
        return found

    async def close(self) -> None:
        """End the connection, whatever the server has done to it."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class Pool:
    """As many connections to a server as are used at once."""

    def __init__(self, port: int, *, at_once: int, keeps: bool = True) -> None:
        """Connect to nobody yet.

        Args:
            port: Of the server.
            at_once: The most connections.
            keeps: Reuses connections when true.
        """
        self._port, self._keeps = port, keeps
        self._gate = asyncio.Semaphore(at_once)
        self._free: list[Client] = []

    async def send(self, method: str, path: str, **sent: Any) -> Answer | None:
        """Send a request on a connection that is free, as `Client.send` does."""
        async with self._gate:
            client = self._free.pop() if self._free else await Client.connect(self._port)
            answer = await client.send(method, path, **sent)
            if self._keeps and answer is not None:
                self._free.append(client)
            else:
                await client.close()
            return answer

    async def __aenter__(self) -> Self:
        """Nothing is open yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        while self._free:
            await self._free.pop().close()
