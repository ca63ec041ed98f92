"""Hostile request parts are parsed without an error."""

import pytest

from fastapi_lens.admin.http.requests import parts_of

pytestmark = pytest.mark.unit


def test_an_address_that_cannot_be_taken_apart_has_no_parts() -> None:
    for address in ("//[", "http://[::1", "//a\u2100b"):
        assert parts_of(address).geturl() == ""
    assert parts_of("//a:1/b").netloc == "a:1"
