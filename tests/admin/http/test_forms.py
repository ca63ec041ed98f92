"""Forms are read whole and no further than they may reach, however they are encoded."""

import anyio
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from fastapi_lens.admin.http.forms import MAX_FIELDS, MAX_FORM_BYTES, read_form

pytestmark = pytest.mark.unit

URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def part(name: str, value: str, more: str = "") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return f"{head}{value}\r\n".encode()


def read(
    *pieces: bytes, kind: str = URL_ENCODED, in_app: bool = True
) -> tuple[dict[str, str] | None, int]:
    """The fields read from a body in pieces, and the number of pieces that were taken."""
    waiting = list(pieces)

    async def receive() -> Message:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    request = Request(scope | ({"app": FastAPI()} if in_app else {}), receive)
    form = anyio.run(read_form, request)
    return form, len(pieces) - len(waiting)


def test_the_first_value_of_each_field_counts() -> None:
    assert read(b"a=1&b=&a=2&c=%C3%A9+%ff") == ({"a": "1", "b": "", "c": "é \ufffd"}, 1)


def test_a_form_may_arrive_in_pieces() -> None:
    assert read(b"ke", b"y=cor", b"rect") == ({"key": "correct"}, 3)


def test_a_form_may_be_multipart() -> None:
    body = part("a", "1") + part("b", "é") + part("a", "2") + b"--b--\r\n"
    assert read(body, kind=MULTIPART)[0] == {"a": "1", "b": "é"}


@pytest.mark.parametrize("in_app", [True, False])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MULTIPART, part("a", "1", '; filename="a.txt"') + b"--b--\r\n"),
        (MULTIPART, b"--c\r\n\r\n"),
        ("multipart/form-data", b"--b--\r\n"),
        (MULTIPART, b"".join(part(f"f{n}", "") for n in range(MAX_FIELDS + 1)) + b"--b--\r\n"),
        (URL_ENCODED, b"&".join(b"f%d=" % n for n in range(MAX_FIELDS + 1))),
    ],
    ids=["a file", "no boundary", "nothing named", "many parts", "many fields"],
)
def test_what_is_no_form_of_ours_is_refused(kind: str, body: bytes, *, in_app: bool) -> None:
    assert read(body, kind=kind, in_app=in_app)[0] is None


def test_as_many_fields_as_there_may_be_are_read() -> None:
    form, _ = read(b"&".join(b"f%d=" % n for n in range(MAX_FIELDS)))
    assert form is not None
    assert len(form) == MAX_FIELDS


@pytest.mark.parametrize("kind", [URL_ENCODED, MULTIPART])
def test_a_body_that_never_ends_is_read_up_to_the_limit(kind: str) -> None:
    pieces = [b"key=" if kind is URL_ENCODED else part("key", "")]
    pieces += [b"x" * 1_024] * (10 * MAX_FORM_BYTES // 1_024)
    form, taken = read(*pieces, kind=kind)
    assert form is None
    assert taken <= MAX_FORM_BYTES // 1_024 + 2


def test_a_body_that_is_no_form_has_no_fields_and_is_not_read() -> None:
    assert read(b"x" * 100_000, kind="text/plain") == ({}, 0)


def test_a_body_that_somebody_has_consumed_has_no_fields() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"a=1", "more_body": False}

    async def consume_and_read() -> dict[str, str] | None:
        headers = [(b"content-type", URL_ENCODED.encode())]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        async for _ in request.stream():
            pass
        return await read_form(request)

    assert anyio.run(consume_and_read) == {}
