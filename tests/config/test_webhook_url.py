"""The address of a webhook: what can be used, and that no error and no repr repeats it."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fastapi_lens import ConfigError, LensConfig
from fastapi_lens.config.webhook_url import WebhookUrl

pytestmark = pytest.mark.unit

SECRET = "s3cr3t"


def problem_of(**settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        LensConfig(db_path=":memory:", **settings)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "port", "authority", "target"),
    [
        ("https://Hooks.Example.com/a/B?c=d", "hooks.example.com", 443, None, "/a/B?c=d"),
        ("https://hooks.example.com:8443", "hooks.example.com", 8443, None, "/"),
        ("https://[2001:db8::1]:9/x#y", "2001:db8::1", 9, "[2001:db8::1]:9", "/x"),
        ("http://localhost", "localhost", 80, None, "/"),
    ],
)
def test_an_address_is_taken_apart(
    text: str, host: str, port: int, authority: str | None, target: str
) -> None:
    url = WebhookUrl.parse(text)
    assert (url.host, url.port, url.target) == (host, port, target)
    assert url.is_tls == text.startswith("https")
    expected = (
        text.split("//")[1].split("/", maxsplit=1)[0].lower() if authority is None else authority
    )
    assert url.authority == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"https://a.example/{SECRET} x", "has spaces"),
        (f"https://a.example/{SECRET}\r\nX: y", "has spaces"),
        (f"https://ä.example/{SECRET}", "not ASCII"),
        (f"https://[::1/{SECRET}", "cannot be read"),
        (f"https://a.example:99999/{SECRET}", "cannot be read"),
        (f"ftp://a.example/{SECRET}", "is not the address of a web server"),
        (f"https:///{SECRET}", "is not the address of a web server"),
        (SECRET, "is not the address of a web server"),
        ("", "is not the address of a web server"),
        (f"https://user:{SECRET}@a.example/", "has a user name or password"),
        (f"http://a.example/{SECRET}", "must begin with https, or set webhook_allow_private"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(
    text: str, words: str
) -> None:
    assert words in problem_of(webhook_url=text)


def test_http_is_for_private_networks() -> None:
    config = LensConfig(
        db_path=":memory:", webhook_url="http://10.0.0.1/x", webhook_allow_private=True
    )
    assert config.webhook_url == "http://10.0.0.1/x"


@pytest.mark.parametrize("kind", [str, SecretStr])
def test_no_repr_shows_it(kind: Any) -> None:
    text = f"https://hooks.example.com/{SECRET}"
    config = LensConfig(db_path=":memory:", webhook_url=kind(text))
    assert config.webhook_url == text
    for shown in (repr(config), repr(WebhookUrl.parse(text))):
        assert SECRET not in shown
        assert "example.com" not in shown


def test_the_public_address_of_the_admin_has_no_slash_at_its_end() -> None:
    config = LensConfig(db_path=":memory:", public_url="https://api.example.com/lens/")
    assert config.public_url == "https://api.example.com/lens"
    assert "must be the address of the admin" in problem_of(public_url="api.example.com/lens")


@given(st.text())
def test_any_text_is_an_address_or_refused_with_a_reason(text: str) -> None:
    with suppress(ValueError):
        url = WebhookUrl.parse(text)
        assert url.host
        assert all("!" <= character <= "~" for character in url.target + url.authority)
