"""Import of an application by its name, ``shop.main:app``, as servers do it."""

import importlib
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
    try:
        with _importing():
            found: Any = importlib.import_module(module)
            for name in names:
                found = getattr(found, name)
            return found() if attribute.endswith(_CALLED) else found
    except (Exception, SystemExit) as error:  # The host's code may raise anything.
        message = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_MESSAGE]
        raise CommandError(
            Exit.USAGE,
            f"{target} cannot be imported: {message}{_place_of(error)}. If it needs settings to be "
            "imported, write its routes where they are set, and use --routes",
        ) from error


@contextmanager
def _importing() -> Generator[None]:
    """Import from the current directory, and print to the standard error."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        # The application may have removed it itself.
        with suppress(ValueError):
            sys.path.remove(here)


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
