"""Import from the package fastapi-lens 0.3 of PyPI: its errors and its summary. Knows no SQL."""

from pathlib import Path

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.cli.transfer import Progress
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.transfer.lens_0_3 import (
    CallImporter,
    NoSourceError,
    Outcome,
    recorded_calls,
)
from fastapi_lens.text.escaping import visible

EXAMPLES = 5


def import_lens_0_3(
    database: Database, path: Path, *, app: str, again: bool, now: float, progress: Progress
) -> Outcome:
    """Add all calls of a file of that package that were not added before.

    Args:
        database: The target, with this release's tables.
        path: The file, which is only read.
        app: Name of the application in the target.
        again: Also add them if calls of another file of that package were added to the app.
        now: Epoch seconds.
        progress: Shows the progress.

    Raises:
        CommandError: The file is none of that package, or another one was imported.
        StorageError: The database cannot be written.
    """
    if not path.is_file():
        raise CommandError(Exit.BAD_FILE, f"there is no file {path}")
    try:
        with recorded_calls(path) as source:
            importer = CallImporter(database, app, source, now=now)
            if not again and importer.has_others():
                raise CommandError(
                    Exit.WRONG,
                    f"calls of another file of fastapi-lens 0.3 were imported into {visible(app)}: "
                    "if both have the same calls, they would count twice. Use --again for the file "
                    "of another host or worker",
                )
            return importer.run(progress("Importing", source.last_id))
    except NoSourceError as error:
        raise CommandError(Exit.BAD_FILE, str(error)) from error


def summary(outcome: Outcome, app: str) -> str:
    """A line for the added calls, and one for each kind of calls that were left out."""
    lines = [
        f"Imported {outcome.calls:,} calls of {len(outcome.endpoints):,} endpoints into "
        f"{visible(app)}. What was observed before is unknown, so that its evidence begins now."
        if outcome.calls
        else "No call was imported."
    ]
    if outcome.unknown_calls:
        names = (f"{method} {path}" for (method, path), _ in outcome.unknown.most_common(EXAMPLES))
        lines.append(
            f"Left out: {outcome.unknown_calls:,} calls of paths that match no endpoint of "
            f"{visible(app)}, for example {visible(', '.join(names))}."
        )
    if outcome.unreadable:
        lines.append(f"Left out: {outcome.unreadable:,} calls with values that no call has.")
    return "\n".join(lines)
