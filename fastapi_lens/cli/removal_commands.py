"""The commands about removing endpoints: their arguments and output."""

import os
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fastapi_lens.cli.exit_codes import CommandError, Exit, errors_shown
from fastapi_lens.cli.files import new_file
from fastapi_lens.cli.options import AppOption, DatabaseOption, app_of
from fastapi_lens.cli.removal.annotations import annotations, without_commands
from fastapi_lens.cli.removal.application import errors_refused, imported
from fastapi_lens.cli.removal.comparison import compare
from fastapi_lens.cli.removal.download import web_address
from fastapi_lens.cli.removal.evidence import parsed
from fastapi_lens.cli.removal.json_report import as_json
from fastapi_lens.cli.removal.markdown import as_markdown
from fastapi_lens.cli.removal.merge_base import merge_base
from fastapi_lens.cli.removal.policy import read_policy
from fastapi_lens.cli.removal.prune_list import PruneFormat, prune_list
from fastapi_lens.cli.removal.result import Result
from fastapi_lens.cli.removal.routes import Routes, RoutesFile, read_routes
from fastapi_lens.cli.removal.sources import DATABASE, Source, read_sources
from fastapi_lens.cli.removal.stored import stored_evidence
from fastapi_lens.cli.removal.text import as_text
from fastapi_lens.cli.target import find, opened, settings
from fastapi_lens.text.escaping import visible_json
from fastapi_lens.verdict.level import Level

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
MAX_AGE_HOURS = 48.0

ApplicationArgument = Annotated[
    str | None,
    typer.Argument(metavar="MODULE:APP", help="The application, for example shop.main:app."),
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")]


class CheckFormat(StrEnum):
    """Output format of a check."""

    TEXT = "text"
    MARKDOWN = "markdown"
    GITHUB = "github"
    JSON = "json"


def check_command(
    application: ApplicationArgument = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|URL|database",
            help="Evidence of production; repeatable. A URL gets the key in LENS_KEY.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--merge-base", metavar="COMMIT", help="Where the branch left its base."),
    ] = None,
    max_age_hours: Annotated[
        float, typer.Option(min=0, help="The oldest evidence that is allowed.")
    ] = MAX_AGE_HOURS,
    form: Annotated[
        CheckFormat, typer.Option("--format", help="Output format.")
    ] = CheckFormat.TEXT,
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the admin, for links.")] = "",
    routes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of routes, instead of the application."),
    ] = None,
    database: DatabaseOption = None,
    app: AppOption = None,
) -> None:
    """Refuse a branch that removes endpoints that are in use; exits with 1 if it does."""
    with errors_shown():
        if not evidence:
            raise CommandError(
                Exit.USAGE,
                "name the evidence with --evidence FILE, URL or database: without it, no pass",
            )
        if (application is None) == (routes is None):
            raise CommandError(Exit.USAGE, "name either the application as MODULE:APP, or --routes")
        now = time.time()
        # First, because a mistake in it should cost no download and no import.
        policy, link = read_policy(), url and web_address(url, "--url")
        commit = None if base is None else merge_base(base)
        sources = tuple(
            read_sources(
                evidence,
                lambda: _evidence(database, app, now=now),
                max_age_hours=max_age_hours,
                now=now,
            )
        )
        mine = _routes(application, routes)
        today = datetime.fromtimestamp(now, UTC).date()
        comparison = compare(mine, sources, policy, base=commit, today=today)
        target = application or str(routes)
        result = Result(target, now, sources, comparison, base or "", link)
        _show(result, form)
        if comparison.has_failed:
            raise typer.Exit(Exit.WRONG)
        if comparison.strangers:
            raise CommandError(
                Exit.UNREACHABLE,
                f"{comparison.strangers[0]} is no evidence of this application: "
                "the branch has none of its endpoints, so nothing can be said",
            )


def routes_command(
    application: Annotated[
        str, typer.Argument(metavar="MODULE:APP", help="For example shop.main:app.")
    ],
    output: OutputOption = None,
) -> None:
    """Write the endpoints of an application, for check --routes."""
    with errors_shown():
        found = RoutesFile.of(_routes(application, None))
        _write(f"{visible_json(found.model_dump_json())}\n".encode(), output)


def evidence_command(
    database: DatabaseOption = None,
    app: AppOption = None,
    output: OutputOption = None,
) -> None:
    """Write the verdicts on all endpoints with their reasons, for check --evidence."""
    with errors_shown():
        _write(_evidence(database, app, now=time.time()), output)


def prune_list_command(
    database: DatabaseOption = None,
    app: AppOption = None,
    verdict: Annotated[
        list[Level] | None,
        typer.Option(help="Verdict of the endpoints; repeatable; default: safe_to_remove."),
    ] = None,
    form: Annotated[
        PruneFormat, typer.Option("--format", help="Output format.")
    ] = PruneFormat.TABLE,
    output: OutputOption = None,
) -> None:
    """List the endpoints that are safe to remove, by the file of their handlers."""
    with errors_shown():
        text = _evidence(database, app, now=time.time())
        source = Source(DATABASE, parsed(text, DATABASE))
        levels = frozenset(verdict or [Level.SAFE_TO_REMOVE])
        _write(prune_list(source, levels, form).encode(), output)


def _evidence(database: str | None, app: str | None, *, now: float) -> bytes:
    """The evidence of a database as JSON.

    Raises:
        CommandError: There is no database or no such app.
        StorageError: The database cannot be read.
    """
    config = settings()
    with opened(find(database)) as source:
        return stored_evidence(source, config, app=app_of(source, app), now=now)


def _write(text: bytes, output: Path | None) -> None:
    """Write a text to a file, or print it."""
    if output is None:
        typer.echo(text, nl=False)
    else:
        with new_file(output, overwrite=True) as stream:
            stream.write(text)


def _routes(application: str | None, file: Path | None) -> Routes:
    """The endpoints of an application or a file.

    Raises:
        CommandError: It cannot be read, or has none.
    """
    if file is not None:
        routes = read_routes(file)
    else:
        found = imported(application or "")
        with errors_refused(f"the routes of {application} cannot be read"):
            routes = Routes.of(found)
    if not routes.names:
        raise CommandError(
            Exit.USAGE, f"{file or application} has no routes: name the FastAPI application itself"
        )
    return routes


def _show(result: Result, form: CheckFormat) -> None:
    """Print a result, and add it to the summary of a workflow."""
    match form:
        case CheckFormat.JSON:
            text = as_json(result)
        case CheckFormat.MARKDOWN:
            text = as_markdown(result)
        case CheckFormat.GITHUB:
            text = as_text(result) + annotations(result)
        case _:
            text = as_text(result)
    # A workflow finds commands in any output, whatever its format.
    typer.echo(without_commands(text), nl=False)
    if summary := os.environ.get(SUMMARY_VARIABLE):
        try:
            # Other commands of the same step append to it as well.
            with Path(summary).open("a", encoding="utf-8") as stream:
                stream.write(as_markdown(result))
        except OSError as error:
            # The result stands without it.
            typer.echo(f"Note: {SUMMARY_VARIABLE} cannot be written: {error}", err=True)
