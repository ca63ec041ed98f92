"""One WebSocket between a server and an application: its handshake, and how it ends."""

from collections.abc import Callable, Sequence
from time import perf_counter_ns

from starlette.types import Message, Receive, Send

from fastapi_lens.recording.disconnects import CLIENT_CLOSED_REQUEST, is_gone
from fastapi_lens.recording.outcomes import SERVER_ERROR, Outcome, of_websocket

SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403


class WebSocketWatch:
    """Hands on what both say, and remembers what came of the connection.

    Attributes:
        status: Of the handshake; 0 before it is answered.
        gone: Whether the connection has ended, whoever closed it.
        opened: What `accepted` gave; 0 before.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        accepted: Callable[[Sequence[int]], int] = lambda _seen: 0,
    ) -> None:
        """Stand between an application and its server.

        Args:
            receive: The server's.
            send: The server's.
            accepted: Called when the connection is open, with its status and when it ended, 0
                before: see `OpenCall`.
        """
        self._receive, self._send, self._accepted = receive, send, accepted
        self.status = self.opened = 0
        self.gone = False
        self._seen = [SWITCHING_PROTOCOLS, 0]

    async def receive(self) -> Message:
        """Receive a message for the application."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.gone = True
            self._seen[1] = perf_counter_ns()
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the application."""
        if not self.status and is_gone(getattr(self._receive, "__self__", None)):
            self.gone = True
        try:
            await self._send(message)
        except OSError:
            # So servers say that the client has gone, uvicorn with a kind of its own.
            self.gone = True
            raise
        kind = message["type"]
        if self.gone and not self.status:
            # Nobody gets what is answered, though some servers take it.
            self.status = CLIENT_CLOSED_REQUEST
        elif kind == "websocket.accept":
            self.status = SWITCHING_PROTOCOLS
            self.opened = self._accepted(self._seen)
        elif kind == "websocket.close" and self.opened:
            self._seen[1] = perf_counter_ns()
        elif kind == "websocket.close" and not self.status:
            self.status = FORBIDDEN  # The server answers a refused handshake with 403.
        elif kind == "websocket.http.response.start":
            self.status = message["status"]

    def outcome(self, error: BaseException | None) -> Outcome:
        """What the connection is counted as.

        Args:
            error: What left the application; None where it returned.
        """
        if error is None:
            # A server answers with a 500 where the application does not.
            unanswered = CLIENT_CLOSED_REQUEST if self.gone else SERVER_ERROR
            return Outcome(self.status or unanswered, None)
        sends = (WebSocketWatch.send.__code__,)
        return of_websocket(error, self.status, gone=self.gone, sends=sends)
