"""The report as JSON, CSV, Markdown, a table or plain text. Pure except for a terminal's width."""

from collections.abc import Sequence
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastapi_lens.cli.reading import reader_of
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.documents.csv_table import csv_rows
from fastapi_lens.reporting.documents.report import EndpointStats, Report
from fastapi_lens.reporting.model import Window
from fastapi_lens.settings.status import Status
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.text.escaping import visible, visible_json
from fastapi_lens.text.markdown import escaped


class Format(StrEnum):
    """Output format of a report."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


_HEADINGS = ("Method", "Path", "Status", "Calls", "Errors %", "p50 ms", "p95 ms", "Last call")
_LEFT = 3
"""Number of text columns; the others are numbers, aligned on the right."""

_CALLS, _LAST_CALL = _HEADINGS.index("Calls"), _HEADINGS.index("Last call")
_WIDE = 110
"""Width of a terminal that all columns fit into; a narrower one shows those two numbers."""

_COLOURS = {
    Status.ACTIVE: "green",
    Status.COLD: "yellow",
    Status.DEAD: "red",
    Status.NEVER_CALLED: "magenta",
}


def read_report(
    database: Database,
    config: LensConfig,
    *,
    app: str,
    days: int | None,
    status: Status | None,
    now: float,
) -> Report:
    """The report of ``GET /lens/report`` with these settings.

    Raises:
        StorageError: The database cannot be read.
    """
    reader = reader_of(database, config, app=app)
    endpoints = reader.endpoints(window=Window.of_days(days), now=now)
    judged = reader.evidence(now).by_id()
    return Report.of(endpoints, days=days, status=status, now=now, judged=judged)


def as_text(report: Report, form: Format) -> str:
    """The report in a format for files and pipes, with that format's line ends."""
    match form:
        case Format.JSON:
            return visible_json(report.model_dump_json()) + "\n"
        case Format.CSV:
            return "".join(csv_rows(report.endpoints))
        case Format.MARKDOWN:
            return _markdown(report)
        case _:
            return _plain(report)


def show(report: Report, console: Console) -> None:
    """Draw the report as a table that fits a terminal."""
    table = Table(caption=_summary(report), caption_justify="left")
    numbers = range(_LEFT, len(_HEADINGS)) if console.width >= _WIDE else (_CALLS, _LAST_CALL)
    for number, heading in enumerate(_HEADINGS):
        if number >= _LEFT and number not in numbers:
            continue
        words = number < _LEFT
        # A path that is cut off names no endpoint.
        folds = number == 1
        table.add_column(
            heading,
            justify="left" if words else "right",
            overflow="fold" if folds else "ellipsis",
            no_wrap=not folds,
        )
    for endpoint in report.endpoints:
        cells = _cells(endpoint)
        method, path, status = cells[:_LEFT]
        colour = _COLOURS[endpoint.status]
        # As Text, because rich would read a path such as /a/[b] as markup.
        table.add_row(
            method, Text(path), Text(status, style=colour), *(cells[at] for at in numbers)
        )
    console.print(table)


def _cells(endpoint: EndpointStats) -> list[str]:
    days = endpoint.days_since_last_call
    return [
        visible(endpoint.method),
        visible(endpoint.path),
        endpoint.status.replace("_", " "),
        f"{endpoint.total_calls:,}",
        f"{endpoint.error_rate_pct:.2f}",
        f"{endpoint.p50_duration_ms:.2f}",
        f"{endpoint.p95_duration_ms:.2f}",
        "never" if days is None else f"{days:.1f} d ago",
    ]


def _summary(report: Report) -> str:
    summary = report.summary
    return (
        f"{summary.total_endpoints} endpoints, {summary.total_requests:,} calls: "
        f"{summary.active} active, {summary.cold} cold, {summary.dead} dead, "
        f"{summary.never_called} never called"
    )


def _plain(report: Report) -> str:
    lines = [list(_HEADINGS), *map(_cells, report.endpoints)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        f"{line}\n" for line in (*(_aligned(line, widths) for line in lines), _summary(report))
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    words = [
        cell.ljust(width) if number < _LEFT else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(words)


def _markdown(report: Report) -> str:
    rules = ["---" if number < _LEFT else "---:" for number in range(len(_HEADINGS))]
    rows = [_HEADINGS, rules, *(map(escaped, _cells(one)) for one in report.endpoints)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + f"\n{_summary(report)}\n"
