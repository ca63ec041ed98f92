"""A POST to a real server that fails, hangs, drips, redirects, floods or has no TLS."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from socket import gaierror

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fastapi_lens.config.webhook_url import WebhookUrl
from fastapi_lens.notifications.http_post import DeliveryError, post
from tests.notifications.receiver import (
    Behaviour,
    Receiver,
    a_receiver,
    answer,
    close,
    redirect,
    say,
)

BODY = b'{"a": 1}'
SHORT_SECONDS = 0.5


def send(receiver: Receiver, *, allow_private: bool = True) -> int:
    url = WebhookUrl.parse(receiver.url)
    return post(url, BODY, allow_private=allow_private, timeout_seconds=SHORT_SECONDS)


def problem_of(receiver: Receiver, *, allow_private: bool = True) -> str:
    begun = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        send(receiver, allow_private=allow_private)
    assert time.monotonic() - begun < 4 * SHORT_SECONDS
    problem = str(caught.value)
    assert "127.0.0.1" not in problem
    assert "s3cr3t" not in problem
    assert caught.value.__cause__ is None
    return problem


def test_the_body_arrives_as_json_at_the_path_with_its_query(receiver: Receiver) -> None:
    assert send(receiver) == 200
    assert receiver.bodies == [{"a": 1}]
    (head,) = receiver.heads
    lines = head.splitlines()
    assert lines[0] == "POST /hooks/s3cr3t-token?key=s3cr3t-too HTTP/1.1"
    assert f"Host: 127.0.0.1:{receiver.port}" in lines
    assert "Content-Type: application/json" in lines


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_each_status_of_success_is_a_delivery(receiver: Receiver, status: int) -> None:
    receiver.behaviours = [answer(status)]
    assert send(receiver) == status


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
def test_a_status_of_an_error_is_named(receiver: Receiver, status: int) -> None:
    receiver.behaviours = [answer(status)]
    assert problem_of(receiver) == f"the receiver answered with status {status}"


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "/", "http://x"])
def test_no_redirect_is_followed(receiver: Receiver, location: str) -> None:
    receiver.behaviours = [redirect(location)]
    assert problem_of(receiver).startswith("the receiver redirects (307); set the address")
    assert len(receiver.heads) == 1


@pytest.mark.parametrize("behaviour", ["hang", "drip", "continue_endlessly"])
def test_all_together_takes_no_longer_than_the_limit(receiver: Receiver, behaviour: str) -> None:
    receiver.behaviours = [getattr(receiver, behaviour)]
    assert problem_of(receiver) == "no response within 0.5 s"


def test_no_time_at_all_is_no_delivery(receiver: Receiver) -> None:
    with pytest.raises(DeliveryError, match="no response within 0 s"):
        post(WebhookUrl.parse(receiver.url), BODY, allow_private=True, timeout_seconds=0)
    assert receiver.heads == []


def test_a_body_without_an_end_is_not_read(receiver: Receiver) -> None:
    receiver.behaviours = [receiver.flood]
    assert send(receiver) == 200


@pytest.mark.parametrize(
    "behaviour",
    [close, say(b""), say(b"hello\r\n\r\n"), say(b"HTTP/1.1 999 No\r\n\r\n"), say(b"x" * 20_000)],
)
def test_what_is_no_http_is_no_delivery(receiver: Receiver, behaviour: Behaviour) -> None:
    receiver.behaviours = [behaviour]
    assert problem_of(receiver) in (
        "the response is not HTTP",
        "the connection was refused or lost",
    )


def test_interim_responses_are_skipped(receiver: Receiver) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    receiver.behaviours = [say(early + b"HTTP/1.1 204 No Content\r\n\r\n")]
    assert send(receiver) == 204


def test_a_receiver_that_is_not_there_is_told(receiver: Receiver) -> None:
    gone = Receiver()
    gone.stop()
    assert problem_of(gone) == "the connection was refused or lost"


def test_private_networks_are_refused_before_any_connection(receiver: Receiver) -> None:
    assert problem_of(receiver, allow_private=False) == (
        "the receiver is in a private network, see webhook_allow_private"
    )
    assert receiver.heads == []


def test_one_private_address_among_public_ones_is_refused() -> None:
    url = WebhookUrl.parse("https://hooks.example.com/")
    with pytest.raises(DeliveryError, match="private network"):
        post(url, BODY, allow_private=False, resolve=lambda *_: ["8.8.8.8", "::ffff:10.0.0.1"])


def test_the_connection_goes_to_the_address_that_was_checked(receiver: Receiver) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    url = WebhookUrl.parse(f"http://hooks.invalid:{receiver.port}/x")
    assert post(url, BODY, allow_private=True, resolve=resolve) == 200
    assert asked == [("hooks.invalid", receiver.port)]
    assert f"Host: hooks.invalid:{receiver.port}" in receiver.heads[0]


def test_the_next_address_is_tried_if_one_does_not_answer(receiver: Receiver) -> None:
    url = WebhookUrl.parse(f"http://hooks.invalid:{receiver.port}/x")
    # Nobody listens at this one.
    assert post(url, BODY, allow_private=True, resolve=lambda *_: ["127.9.9.9", "127.0.0.1"])


def test_an_address_that_never_answers_leaves_time_for_the_next(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, given = socket.create_connection, list[float]()

    def connect_or_wait(address: tuple[str, int], timeout: float) -> socket.socket:
        given.append(timeout)
        if len(given) == 1:
            raise TimeoutError
        return connect(address, timeout)

    url = WebhookUrl.parse(f"http://hooks.invalid:{receiver.port}/x")
    with monkeypatch.context() as patched:
        patched.setattr(socket, "create_connection", connect_or_wait)
        assert post(url, BODY, allow_private=True, resolve=lambda *_: ["127.9.9.9", "127.0.0.1"])
    first, second = given
    assert first <= 5 < second <= 10


def test_a_resolver_that_hangs_delays_nothing() -> None:
    over = threading.Event()

    def resolve(_host: str, _port: int) -> Sequence[str]:
        over.wait(10)
        return []

    url = WebhookUrl.parse("https://hooks.invalid/")
    begun = time.monotonic()
    with pytest.raises(DeliveryError, match=r"no response within 0\.2 s"):
        post(url, BODY, allow_private=True, timeout_seconds=0.2, resolve=resolve)
    assert time.monotonic() - begun < 2
    over.set()


@pytest.mark.parametrize("error", [gaierror("hooks.invalid"), UnicodeError("hooks.invalid")])
def test_a_name_that_nobody_knows_is_told(error: Exception) -> None:
    def resolve(_host: str, _port: int) -> Sequence[str]:
        raise error

    url = WebhookUrl.parse("https://hooks.invalid/")
    with pytest.raises(DeliveryError, match=r"^the receiver's name cannot be resolved$"):
        post(url, BODY, allow_private=True, resolve=resolve)


def test_a_name_without_any_address_is_told() -> None:
    url = WebhookUrl.parse("https://hooks.invalid/")
    with pytest.raises(DeliveryError, match=r"^the receiver's name cannot be resolved$"):
        post(url, BODY, allow_private=True, resolve=lambda *_: [])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this address that nobody signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    text = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.public_bytes(pem)
    file = tmp_path / "receiver.pem"
    file.write_bytes(text)
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with a_receiver(server_context(certificate)) as receiver:
        assert problem_of(receiver) == "the receiver's certificate is not valid"
        assert receiver.bodies == []


def test_a_certificate_that_is_trusted_is_accepted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with a_receiver(server_context(certificate)) as receiver:
        assert send(receiver) == 200
        assert receiver.bodies == [{"a": 1}]


def test_a_receiver_without_tls_is_told(receiver: Receiver) -> None:
    receiver.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    url = WebhookUrl.parse(receiver.url.replace("http:", "https:"))
    with pytest.raises(DeliveryError, match=r"^the TLS connection to the receiver failed$"):
        post(url, BODY, allow_private=True, timeout_seconds=2)


def test_a_handshake_that_hangs_ends_at_the_limit() -> None:
    with a_receiver() as receiver:
        # It waits for a request, and the client for its part of the handshake.
        url = WebhookUrl.parse(receiver.url.replace("http:", "https:"))
        begun = time.monotonic()
        with pytest.raises(DeliveryError):
            post(url, BODY, allow_private=True, timeout_seconds=SHORT_SECONDS)
        assert time.monotonic() - begun < 4 * SHORT_SECONDS
