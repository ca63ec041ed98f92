"""One HTTP POST of JSON under one time limit, to an address that was checked.

The standard library alone. The limit covers name resolution, connection, TLS, sending and the
response, however slowly each comes. No redirect is followed, no proxy of the environment is used,
certificates are verified, and of a response nothing is read but its head.
"""

import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from fastapi_lens.config.webhook_url import WebhookUrl
from fastapi_lens.notifications.addresses import may_be_sent_to

TIMEOUT_SECONDS = 10.0
MAX_HEAD_BYTES = 16_384
"""Bytes of a response without a status after which it is given up."""

AT_ONCE_BYTES = 4_096
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r\n]")
_END = b"\r\n\r\n"
_SUCCESS, _REDIRECTION = 2, 3
"""First digits of a status."""

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host and port; raises OSError."""


class DeliveryError(Exception):
    """A notification was not delivered; the message says why, and never names the receiver.

    `Notifier` catches it.
    """


def post(
    url: WebhookUrl,
    body: bytes,
    *,
    allow_private: bool,
    timeout_seconds: float = TIMEOUT_SECONDS,
    resolve: Resolve | None = None,
) -> int:
    """Send JSON, and return the status of the response, which is 200 to 299.

    Args:
        url: The receiver.
        body: JSON.
        allow_private: Allow receivers in private networks.
        timeout_seconds: Limit of all together.
        resolve: Resolves the host; None asks the system.

    Raises:
        DeliveryError: No response came, or another one.
    """
    deadline = Deadline(timeout_seconds)
    try:
        addresses = _resolved(url, deadline, resolve or _ask_system)
        # All of them, because the first that answers is used: a name may have both kinds.
        if not all(may_be_sent_to(one, allow_private=allow_private) for one in addresses):
            raise DeliveryError("the receiver is in a private network, see webhook_allow_private")
        status = _exchange(url, addresses, _request(url, body), deadline)
    except (OSError, UnicodeError) as error:
        # Without the cause, whose message may have the address.
        raise DeliveryError(_problem(error, timeout_seconds)) from None
    if status // 100 == _REDIRECTION:
        raise DeliveryError(
            f"the receiver redirects ({status}); set the address that it redirects to"
        )
    if status // 100 != _SUCCESS:
        raise DeliveryError(f"the receiver answered with status {status}")
    return status


def _problem(error: Exception, timeout_seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"no response within {timeout_seconds:g} s"
        case ssl.SSLCertVerificationError():
            return "the receiver's certificate is not valid"
        case ssl.SSLError():
            return "the TLS connection to the receiver failed"
        case socket.gaierror() | UnicodeError():
            return "the receiver's name cannot be resolved"
        case _:
            return "the connection was refused or lost"


class Deadline:
    """A moment after which nothing is waited for any more.

    Args:
        seconds: From now on.
    """

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then.

        Raises:
            TimeoutError: It has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _ask_system(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _resolved(url: WebhookUrl, deadline: Deadline, resolve: Resolve) -> Sequence[str]:
    """The addresses of the receiver, from a thread: a resolver has no time limit of its own."""
    answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(url.host, url.port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # A daemon, because a hanging resolver must not keep the process from ending.
    threading.Thread(target=ask, name="fastapi-lens-resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    if not answer:
        raise socket.gaierror
    return answer


def _request(url: WebhookUrl, body: bytes) -> bytes:
    head = (
        f"POST {url.target} HTTP/1.1\r\n"
        f"Host: {url.authority}\r\n"
        "User-Agent: fastapi-lens\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Accept: */*\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _exchange(url: WebhookUrl, addresses: Sequence[str], request: bytes, deadline: Deadline) -> int:
    with _connected(url, addresses, deadline) as connection:
        view = memoryview(request)
        while view:
            connection.settimeout(deadline.left)
            view = view[connection.send(view) :]
        return _status(connection, deadline)


def _connected(url: WebhookUrl, addresses: Sequence[str], deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes it, with TLS if the URL says so."""
    failure: OSError = ConnectionError()
    for number, address in enumerate(addresses):
        try:
            # A part of the time each: one that never answers must leave some for the others.
            timeout = deadline.left / (len(addresses) - number)
            # The address, not the name, which could have another one by now.
            plain = socket.create_connection((address, url.port), timeout=timeout)
            break
        except OSError as error:
            failure = error
    else:
        raise failure
    if not url.is_tls:
        return plain
    try:
        plain.settimeout(deadline.left)
        # The limit is that of the whole handshake.
        return ssl.create_default_context().wrap_socket(plain, server_hostname=url.host)
    except BaseException:
        plain.close()
        raise


def _status(connection: socket.socket, deadline: Deadline) -> int:
    """The status of the response; interim ones (1xx) are skipped."""
    head = b""
    while len(head) < MAX_HEAD_BYTES:
        connection.settimeout(deadline.left)
        part = connection.recv(AT_ONCE_BYTES)
        head += part
        found = _STATUS.match(head)
        if found and found[1][:1] != b"1":
            return int(found[1])
        if found and _END in head:
            head = head.partition(_END)[2]
        elif not part:
            break
    raise DeliveryError("the response is not HTTP")
