"""One WebSocket between a server and an application: its handshake and its end."""

from collections.abc import Callable, Sequence
from time import perf_counter_ns

from starlette.types import Message, Receive, Send

from fastapi_lens.recording.calls.disconnects import CLIENT_CLOSED_REQUEST, is_gone, server_of
from fastapi_lens.recording.calls.outcomes import SERVER_ERROR, Outcome, of_websocket

SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403


class WebSocketWatch:
    """Passes on the messages of both sides, and records the outcome of the connection.

    Attributes:
        status: Status of the handshake; 0 before it is answered.
        gone: True if the connection has ended, whoever closed it.
        opened: The result of `accepted`; 0 before.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        accepted: Callable[[Sequence[int]], int],
    ) -> None:
        """Stand between an application and its server.

        Args:
            receive: The server's `receive`.
            send: The server's `send`.
            accepted: Called when the connection is open, with its status and the time of its end, 0
                before that: see `OpenCall`.
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
        if not self.status and is_gone(server_of(self._receive)):
            self.gone = True
        try:
            await self._send(message)
        except OSError:
            # Servers report a disconnect this way, uvicorn with an exception type of its own.
            self.gone = True
            raise
        kind = message["type"]
        if self.gone and not self.status:
            # The client cannot receive the response, though some servers accept it.
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
        """The result that the connection is counted as.

        Args:
            error: The exception that left the application; None if it returned.
        """
        if error is None:
            # A server answers with a 500 if the application does not answer.
            unanswered = CLIENT_CLOSED_REQUEST if self.gone else SERVER_ERROR
            return Outcome(self.status or unanswered, None)
        sends = (WebSocketWatch.send.__code__,)
        return of_websocket(error, self.status, gone=self.gone, sends=sends)
