"""The output streams of the command line, for any receiver and encoding. No commands."""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import TextIO

from fastapi_lens.cli.exit_codes import Exit


@contextlib.contextmanager
def any_streams() -> Generator[None]:
    r"""Let a command print to any terminal, pipe or file, and exit without a traceback.

    Characters that the encoding lacks are escaped as in Python (``\u2192``). A reader that closes
    the pipe is no error; a full disk is one.

    Raises:
        SystemExit: Something could not be written; the code is `Exit.WRONG`.
    """
    for stream in _streams():
        # A replaced stream, such as a test's, may lack this method.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    try:
        try:
            yield
        finally:
            # At its exit, the interpreter would only print that it ignored the error.
            for stream in _streams():
                stream.flush()
    except OSError as error:
        _discard_output()
        if not isinstance(error, BrokenPipeError):
            _write_error(error)
        raise SystemExit(Exit.WRONG) from None


def _streams() -> list[TextIO]:
    """Standard output and standard error, except one that was already closed at the start."""
    there: list[TextIO | None] = [sys.stdout, sys.stderr]
    return [stream for stream in there if stream is not None]


def _write_error(error: OSError) -> None:
    # Standard error may be on the full disk, too.
    with contextlib.suppress(OSError):
        os.write(2, f"Error: {error}\n".encode(errors="backslashreplace"))


def _discard_output() -> None:
    """Discard the buffer of the standard output: the interpreter would try to write it again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
