"""The streams of the command line: whatever takes them, and in whatever encoding. No command."""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import TextIO

from fastapi_lens.cli.exits import Exit


@contextlib.contextmanager
def any_streams() -> Generator[None]:
    r"""Let a command print to any terminal, pipe or file, and end without a traceback.

    What an encoding lacks is written as Python writes it (``\u2192``). Whoever stops reading
    has had enough, which is no error to be told; a disk that is full is one.

    Raises:
        SystemExit: Something could not be written; the code is `Exit.WRONG`.
    """
    for stream in _streams():
        # Another program's stream, as a test's, has its own ways.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    try:
        try:
            yield
        finally:
            for stream in _streams():
                stream.flush()
    except OSError as error:
        _give_up()
        if not isinstance(error, BrokenPipeError):
            _complain(error)
        raise SystemExit(Exit.WRONG) from None


def _streams() -> list[TextIO]:
    """Standard output and error, without one that was closed before we began."""
    there: list[TextIO | None] = [sys.stdout, sys.stderr]
    return [stream for stream in there if stream is not None]


def _complain(error: OSError) -> None:
    # The standard error may be what is full.
    with contextlib.suppress(OSError):
        os.write(2, f"Error: {error}\n".encode(errors="backslashreplace"))


def _give_up() -> None:
    """Throw away what waits in the standard output: the interpreter would try it once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
