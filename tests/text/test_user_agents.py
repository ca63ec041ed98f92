import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.text.user_agents import LONGEST_HEADER, LONGEST_NAME, family

pytestmark = pytest.mark.unit

MOZILLA = "Mozilla/5.0 (X11; Linux x86_64) "


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (MOZILLA + "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36", "Chrome"),
        (MOZILLA + "AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0", "Edge"),
        (MOZILLA + "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605", "Safari"),
        (MOZILLA + "Gecko/20100101 Firefox/144.0", "Firefox"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        ("Mozilla/5.0 (compatible; SomeBot/1.0)", "bot"),
        ("curl/8.14.1", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("python-requests/2.32.5", "python-requests"),
        ("Go-http-client/2.0", "Go-http-client"),
        ("orders-worker/1.2 (build 7)", "orders-worker"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.secret/1", "other"),
        ("a secret / of mine", "other"),
        ("token", "other"),
        ("1/2", "other"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_the_family_of_a_program(header: str, name: str) -> None:
    assert family(header.encode()) == name


@given(st.binary(max_size=2_000))
@example(b"/" * 2_000)
@example("ſafari/".encode())
def test_any_header_gives_a_short_plain_text(header: bytes) -> None:
    assert re.fullmatch(rf"[A-Za-z0-9 ._-]{{0,{LONGEST_NAME}}}", family(header))


class Header(bytes):
    """A header that notes which of its parts are looked at; all else of it fails."""

    parts: list[object]

    def __getitem__(self, part: object) -> bytes:  # type: ignore[override]
        self.parts.append(part)
        return bytes(self)[:LONGEST_HEADER]

    def decode(self, *_: object, **__: object) -> str:
        raise AssertionError("all of the header was read")


def test_only_the_first_bytes_of_a_header_of_megabytes_are_read() -> None:
    header = Header(b"Mozilla/5.0 (" * 1_000_000)
    header.parts = []
    assert family(header) == "Mozilla"
    assert header.parts == [slice(None, LONGEST_HEADER, None)]
