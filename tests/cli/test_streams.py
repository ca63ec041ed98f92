"""The command line at any terminal, pipe or file: it degrades, and shows no traceback."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_lens.cli.exit_codes import errors_shown
from fastapi_lens.cli.streams import any_streams
from tests.cli.helpers import fill, url_of

NAME = "Bestellungen → 日本"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = url_of(tmp_path_factory.mktemp("names") / "lens.db")
    fill(url, [], app=NAME, paths=["/café/日本", "/a\u202eb\x1b[2K"])
    return url


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *lines: str) -> bytes:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    with any_streams():
        for line in lines:
            sys.stdout.write(line)
    return out.getvalue()


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"caf\\xe9 \\u2192 \\u65e5"),
        ("latin-1", b"caf\xe9 \\u2192 \\u65e5"),
        ("cp1252", b"caf\xe9 \\u2192 \\u65e5"),
        ("utf-8", "café → 日".encode()),
    ],
)
def test_letters_that_a_terminal_lacks_are_written_out(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bytes
) -> None:
    assert printed(monkeypatch, encoding, "café → 日") == shown


class _Failing(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError(28, "No space left on device"), "Error: [Errno 28] No space left on device\n"),
     (BrokenPipeError(32, "Broken pipe"), "")],
)  # fmt: skip
def test_what_cannot_be_written_is_one_sentence_or_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: OSError, told: str
) -> None:
    monkeypatch.setattr(sys, "stdout", _Failing(error))
    with pytest.raises(SystemExit) as ended, any_streams():
        pass
    assert ended.value.code == 1
    assert capfd.readouterr().err == told


def test_what_waits_for_a_full_disk_is_not_written_once_more_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "full"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    out = _Failing(OSError(28, "No space left on device"))
    monkeypatch.setattr(out, "fileno", lambda: descriptor)
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit), any_streams():
        pass
    os.write(descriptor, b"what the interpreter still has")
    os.close(descriptor)
    assert file.read_bytes() == b""


def test_a_reader_that_has_gone_is_no_error_of_the_command() -> None:
    with pytest.raises(BrokenPipeError), errors_shown():
        raise BrokenPipeError


def test_a_stream_that_was_closed_before_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with any_streams():
        pass


def shell(command: str, filled: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$PY" -m fastapi_lens {command}'],
        capture_output=True,
        check=False,
        env={**os.environ, "PY": sys.executable, "LENS_DATABASE_URL": filled, **environment},
    )


@pytest.mark.unmeasured
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16", "ascii:strict"])
def test_every_command_ends_well_in_any_encoding(filled: str, encoding: str) -> None:
    for command, code in (
        ("report", 0),
        ("doctor", 1),  # Its only worker has been silent for long.
        ("report --app nope", 1),
        ("purge --path '/caf*/**' --dry-run", 0),
        ("purge --everything --dry-run", 0),
    ):
        ended = shell(command, filled, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert (ended.returncode, b"Traceback" in ended.stderr) == (code, False), command


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("report > /dev/full", 1),
        ("version > /dev/full", 1),
        ("doctor | true", 1),
        ("doctor >&-", 1),
        ("version >&-", 0),
        ("report --app nope 2> /dev/full", 1),
        ("report --app nope 2>&-", 1),
        ("hash-key <&-", 2),
        ("hash-key < <(printf '\\xff\\n')", 2),
    ],
)
def test_streams_that_are_full_or_closed_show_no_traceback(
    filled: str, command: str, code: int
) -> None:
    ended = shell(command, filled)
    assert b"Traceback" not in ended.stderr
    assert b"Exception ignored" not in ended.stderr
    assert ended.returncode == code, ended.stderr
