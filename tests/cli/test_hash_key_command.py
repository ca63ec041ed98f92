import getpass
import io
import sys

import pytest

from fastapi_lens.cli.exit_codes import CommandError
from fastapi_lens.cli.hashing import hashed_key
from fastapi_lens.config.keys import HashedKey
from tests.cli.helpers import run


def test_a_key_of_standard_input_is_hashed_and_not_shown() -> None:
    result = run("hash-key", stdin="my-key\n")
    assert result.exit_code == 0
    assert "my-key" not in result.output
    assert HashedKey.parse(result.output.strip()).matches(b"my-key")


def test_an_empty_key_is_refused() -> None:
    result = run("hash-key", stdin="\n")
    assert result.exit_code != 0
    assert "the key is empty" in result.output


def test_at_a_terminal_the_key_is_asked_for_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "typed")
    assert HashedKey.parse(hashed_key()).matches(b"typed")


@pytest.mark.parametrize(
    "key", ["my-key \n", " my-key\n", "my\tkey\n", "my\x1bkey\n", "\ufeffkey\n"]
)
def test_a_key_that_nobody_could_send_is_refused(key: str) -> None:
    result = run("hash-key", stdin=key)
    assert result.exit_code != 0
    assert "the key " in result.output
    assert "scrypt$" not in result.output


def test_a_key_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CommandError, match="the key is empty"):
        hashed_key()
    no_text = io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), "ascii", errors="surrogateescape")
    monkeypatch.setattr(sys, "stdin", no_text)
    with pytest.raises(CommandError, match="not text"):
        hashed_key()
