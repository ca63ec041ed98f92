"""Import of an application by its name, ``shop.main:app``, as servers do it."""

import importlib
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.recording.routes.handler_info import relative

_CALLED = "()"
_LONGEST_MESSAGE = 300
"""Characters of an error of the application that are shown."""


def imported(target: str) -> Any:
    """The application that a target names.

    What its import prints goes to the standard error, so that it is not taken for a report.

    Args:
        target: ``MODULE:APP``; the application may be an attribute of another object
            (``shop:main.app``) or what a function returns (``shop:create_app()``).

    Raises:
        CommandError: The target is incomplete, or its import fails.
    """
    module, _, attribute = target.partition(":")
    names = attribute.removesuffix(_CALLED).split(".")
    if not module or not all(map(str.isidentifier, names)):
        raise CommandError(
            Exit.USAGE, f"write the application as MODULE:APP, for example shop.main:app: {target}"
        )
    fix = (
        ". If it needs settings to be imported, write its routes where they are set, and use "
        "--routes"
    )
    with errors_refused(f"{target} cannot be imported", fix), _importing():
        found: Any = importlib.import_module(module)
        for name in names:
            found = getattr(found, name)
        return found() if attribute.endswith(_CALLED) else found


@contextmanager
def errors_refused(problem: str, fix: str = "") -> Generator[None]:
    """Run code of the application, which may raise anything.

    Args:
        problem: Begin of the sentence about an error.
        fix: Its end.

    Raises:
        CommandError: The code raised, also by an exit; not if it was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CommandError(
            Exit.USAGE, f"{problem}: {_message_of(error)}{_place_of(error)}{fix}"
        ) from error


@contextmanager
def _importing() -> Generator[None]:
    """Import from the current directory, and print to the standard error."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr), _exits_raised():
            yield
    finally:
        # The application may have removed it itself.
        with suppress(ValueError):
            sys.path.remove(here)


@contextmanager
def _exits_raised() -> Generator[None]:
    """Raise `SystemExit` where the application would end this process at once.

    Otherwise it could end a check with 0, which says that the check has passed.
    """
    end, process = os._exit, os.getpid()

    def stop(status: int) -> None:
        if os.getpid() == process:
            raise SystemExit(status)
        end(status)  # A process that the application has started.

    os.__dict__["_exit"] = stop
    try:
        yield
    finally:
        os.__dict__["_exit"] = end


def _message_of(error: BaseException) -> str:
    """The error in one line."""
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
    except Exception:  # noqa: BLE001  Its own code makes the text; its name says enough.
        text = name
    return " ".join(text.split())[:_LONGEST_MESSAGE]


def _place_of(error: BaseException) -> str:
    """The file and line of the application's code that raised; empty if it was not reached."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = (__file__, importlib.__file__)
    inside = [
        frame
        for frame in frames
        if frame.filename not in outside and not frame.filename.startswith("<frozen ")
    ]
    return f" ({relative(inside[-1].filename)}:{inside[-1].lineno})" if inside else ""
