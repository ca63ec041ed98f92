"""The commands: their arguments and output. The modules beside this one do the work."""

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

import fastapi_lens
from fastapi_lens.admin.reports.json import MAX_DAYS
from fastapi_lens.cli.audit import note_purge
from fastapi_lens.cli.doctor import Finding, Level, examine, examine_file
from fastapi_lens.cli.exit_codes import CommandError, Exit, errors_shown
from fastapi_lens.cli.files import new_file
from fastapi_lens.cli.hashing import hashed_key
from fastapi_lens.cli.lens_0_3 import import_lens_0_3, summary
from fastapi_lens.cli.options import AppOption, DatabaseOption, app_of
from fastapi_lens.cli.removal_commands import (
    check_command,
    evidence_command,
    prune_list_command,
    routes_command,
)
from fastapi_lens.cli.report import Format, as_text, read_report, show
from fastapi_lens.cli.target import find, opened, settings
from fastapi_lens.cli.transfer import Progress, export, import_file
from fastapi_lens.config.path_globs import matches_any
from fastapi_lens.settings.status import SECONDS_PER_DAY, Status
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.purge import Amount, Choice, amount, purge
from fastapi_lens.storage.transfer.export import endpoint_keys
from fastapi_lens.storage.transfer.repair import repair, wrong_rows
from fastapi_lens.text.escaping import visible

DaysOption = Annotated[int | None, typer.Option(min=1, max=MAX_DAYS)]


def create_cli() -> typer.Typer:
    """The command line with all its commands."""
    cli = typer.Typer(
        help="Reports on endpoints, checks their removal, and moves, deletes and repairs the data.",
        no_args_is_help=True,
        add_completion=False,
        # A traceback with variables would show the URL's password.
        pretty_exceptions_enable=False,
    )
    cli.command("report")(report_command)
    cli.command("export")(export_command)
    cli.command("import")(import_command)
    cli.command("purge")(purge_command)
    cli.command("check")(check_command)
    cli.command("evidence")(evidence_command)
    cli.command("prune-list")(prune_list_command)
    cli.command("routes")(routes_command)
    cli.command("doctor")(doctor_command)
    cli.command("hash-key")(hash_key_command)
    cli.command("version")(version_command)
    return cli


def report_command(
    database: DatabaseOption = None,
    app: AppOption = None,
    days: DaysOption = None,
    status: Annotated[Status | None, typer.Option(help="Only endpoints of this status.")] = None,
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option(help="Write to a file.")] = None,
) -> None:
    """Show every endpoint with status, calls, errors and latencies, like GET /lens/report."""
    with errors_shown():
        config = settings()
        with opened(find(database)) as source:
            report = read_report(
                source,
                config,
                app=app_of(source, app),
                days=days,
                status=status,
                now=time.time(),
            )
        console = Console()
        if output is not None:
            with new_file(output, overwrite=True) as stream:
                stream.write(as_text(report, form).encode())
        elif form is Format.TABLE and console.is_terminal:
            show(report, console)
        else:
            _write(as_text(report, form), form)


def export_command(
    file: Annotated[Path, typer.Argument(help="Target file; gzipped if it ends with .gz.")],
    database: DatabaseOption = None,
    app: Annotated[str | None, typer.Option(help="Only this application.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a consistent copy of everything into one file; the application may keep running."""
    with errors_shown():
        with (
            opened(find(database)) as source,
            _bars() as progress,
            new_file(file, overwrite=overwrite) as stream,
        ):
            rows = export(source, stream, app=app, now=time.time(), progress=progress)
        typer.echo(f"Exported {rows:,} rows to {file}.", err=True)


def import_command(
    file: Annotated[Path, typer.Argument(help="A file that export has written.")],
    database: DatabaseOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also add counts that the database already has.")
    ] = False,
    from_lens_0_3: Annotated[
        bool,
        typer.Option("--from-lens-0.3", help="The file is a lens.db of fastapi-lens 0.3 of PyPI."),
    ] = False,
    app: Annotated[
        str | None, typer.Option(help="Its application here, with --from-lens-0.3.")
    ] = None,
) -> None:
    """Add all rows of a file to a database, each once; continues an interrupted import."""
    with errors_shown():
        place = find(database)
        if from_lens_0_3:
            with opened(place) as target, _bars() as progress:
                name = app_of(target, app)
                now = time.time()
                outcome = import_lens_0_3(
                    target, file, app=name, again=again, now=now, progress=progress
                )
            typer.echo(summary(outcome, name), err=True)
            return
        if app is not None:
            raise CommandError(Exit.USAGE, "give --app only with --from-lens-0.3")
        # Not `opened`: an import also creates a missing file and its tables.
        target = Database(place.url)
        try:
            with _bars() as progress:
                rows = import_file(target, file, again=again, now=time.time(), progress=progress)
        finally:
            target.close()
        done = f"Imported {rows:,} rows into {place}."
        typer.echo(done if rows else "All rows were already imported.", err=True)


def purge_command(
    database: DatabaseOption = None,
    app: AppOption = None,
    path: Annotated[
        list[str] | None, typer.Option(help="Endpoints that match a glob, like /v1/**; repeatable.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Endpoints of this method.")] = None,
    older_than: Annotated[
        int | None, typer.Option(min=1, max=MAX_DAYS, metavar="DAYS", help="Only older data.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All data of the app.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the amount.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete endpoints with all their data, data older than some days, or a whole app."""
    with errors_shown():
        chosen = bool(path or method or older_than)
        if chosen == everything:
            raise CommandError(
                Exit.USAGE, "give either --everything, or --path, --method or --older-than"
            )
        with opened(find(database)) as target:
            name = app_of(target, app)
            choice = Choice(
                app=name,
                ids=_matching(target, name, path or [], method),
                before=None if older_than is None else _days_ago(older_than),
                whole_app=everything,
            )
            much = amount(target, choice)
            typer.echo(_amount_text(name, much))
            if dry_run or not much.rows:
                return
            if not yes:
                typer.confirm("Delete this permanently?", abort=True)
            # Before the deletion, so that the audit log has an interrupted one, too.
            note_purge(target, choice, _amount_text(name, much), now=time.time())
            with _bars() as progress:
                advance = progress("Deleting", much.rows)
                for rows in purge(target, choice, now=time.time()):
                    advance(rows)
        typer.echo("Deleted.")


def doctor_command(
    database: DatabaseOption = None,
    repairs: Annotated[
        bool, typer.Option("--repair", help="First repair rows with invalid values.")
    ] = False,
) -> None:
    """Show the faults of a database and their fixes; exits with 1 if there are any."""
    with errors_shown():
        config = settings()
        place = find(database)
        worst = Level.FINE
        typer.echo(f"Examining {place}")
        # Before Python 3.14, `Path.exists` raises if a directory may not be entered.
        if place.file is not None and os.path.exists(place.file):  # noqa: PTH110
            for finding in examine_file(place.file):
                worst = _show(finding, worst)
        # Undrained, because what waits in the inbox is examined as well.
        with opened(place, drains=False) as source:
            if repairs and (rows := list(wrong_rows(source))):
                repair(source, rows, now=time.time())
                typer.echo(f"Repaired {len(rows):,} rows.")
            for finding in examine(source, place, config, now=time.time()):
                worst = _show(finding, worst)
        if worst is Level.WRONG:
            raise typer.Exit(Exit.WRONG)


def hash_key_command() -> None:
    """Hash a key (prompted for, or a line of standard input) for LensConfig."""
    with errors_shown():
        typer.echo(hashed_key())


def version_command() -> None:
    """Show the release."""
    typer.echo(fastapi_lens.__version__)


def _matching(database: Database, app: str, globs: list[str], method: str | None) -> list[int]:
    """The ids of the chosen endpoints; all endpoints of the app without a restriction."""
    for glob in globs:
        # Names such as <unmapped> are no paths.
        if not glob.startswith(("/", "**", "<")):
            raise CommandError(Exit.USAGE, f"a glob must start with a slash, not {glob!r}")
    with database.read() as connection:
        return [
            key
            for key, its_method, its_path in endpoint_keys(connection, app)
            if (method is None or its_method == method.upper())
            and (not globs or matches_any(globs, its_path))
        ]


def _days_ago(days: int) -> int:
    return int(time.time()) - days * SECONDS_PER_DAY


def _amount_text(app: str, much: Amount) -> str:
    return (
        f"{visible(app)}: {much.endpoints:,} endpoints, {much.buckets:,} sums, "
        f"{much.statuses:,} status codes of days, {much.workers:,} workers, "
        f"{much.requests:,} requests and {much.exceptions:,} kinds of exceptions of the log, "
        f"{much.uses + much.callers:,} rows of callers"
    )


def _write(text: str, form: Format) -> None:
    """Print a report: text for people in the terminal's encoding, file formats in UTF-8."""
    if form is Format.TABLE:
        typer.echo(text, nl=False)
    else:
        # As bytes: CSV has its own line ends.
        typer.echo(text.encode(), nl=False)


def _show(finding: Finding, worst: Level) -> Level:
    """Print a finding; returns the worse one of its level and the level so far."""
    fix = f"\n       → {finding.fix}" if finding.fix else ""
    typer.echo(f"{finding.level.value:>5}  {finding.about}: {finding.says}{fix}")
    return Level.WRONG if Level.WRONG in (finding.level, worst) else Level.FINE


@contextmanager
def _bars() -> Generator[Progress]:
    """Progress bars on a terminal; they are erased at the end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bars = Bars(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    # Rich before 14.2 writes an empty line after disabled progress bars.
    with bars if console.is_terminal else nullcontext():

        def begin(title: str, total: int) -> Callable[[int], None]:
            # Without a total, rich shows a moving bar; a total of 0 looks done.
            task = bars.add_task(title, total=total or None)

            def advance(rows: int) -> None:
                bars.advance(task, rows)

            return advance

        yield begin
