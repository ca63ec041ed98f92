"""Exit codes, and errors shown as one sentence. Knows no command."""

from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum

import typer

from fastapi_lens.errors import ConfigError, LensError, StorageError
from fastapi_lens.text.escaping import visible


class Exit(IntEnum):
    """The exit codes, as docs/command-line.md lists them."""

    FINE = 0
    WRONG = 1
    USAGE = 2
    UNREACHABLE = 3
    BAD_FILE = 4


class CommandError(LensError):
    """A command failed; shown as one sentence.

    Attributes:
        code: The exit code.
    """

    def __init__(self, code: Exit, sentence: str) -> None:
        """Name the fault and the fix."""
        super().__init__(sentence)
        self.code = code


@contextmanager
def errors_shown() -> Generator[None]:
    """Show the errors of a command in one line, and end with the exit code of their kind."""
    try:
        yield
    except CommandError as error:
        _exit(error, error.code)
    except ConfigError as error:
        _exit(error, Exit.USAGE)
    except StorageError as error:
        _exit(error, Exit.UNREACHABLE)
    except BrokenPipeError:
        raise  # The reader has closed the pipe.
    except OSError as error:
        _exit(error, Exit.WRONG)


def _exit(error: Exception, code: Exit) -> None:
    typer.echo(f"Error: {visible(str(error))}", err=True)
    raise typer.Exit(code) from None
