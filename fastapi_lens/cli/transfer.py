"""Export and import between a database and a file. Knows neither the file's format nor SQL."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

import fastapi_lens
from fastapi_lens.cli.archive import Archive, ExportFile
from fastapi_lens.cli.archive_checks import Found, Header
from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.cli.target import chosen_app
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import known_version
from fastapi_lens.storage.schema.tables import MOVED
from fastapi_lens.storage.transfer.export import app_names, count_rows, origins, rows_of
from fastapi_lens.storage.transfer.import_ import CHUNK_ROWS, OLDEST_SCHEMA, Importer
from fastapi_lens.text.escaping import visible

Progress = Callable[[str, int], Callable[[int], None]]
"""Begins a progress bar with a title and a total; returns a function that advances it."""


def export(
    database: Database, stream: BinaryIO, *, app: str | None, now: float, progress: Progress
) -> int:
    """Write a consistent copy of one app, or of all.

    Args:
        database: The database, which is read in one transaction.
        stream: Receives the bytes of the file.
        app: Its name; None for all apps.
        now: Epoch seconds.
        progress: Shows the progress.

    Returns:
        The number of rows.

    Raises:
        CommandError: There is no such app.
        StorageError: The database cannot be read.
        OSError: The file cannot be written.
    """
    with database.read() as connection:
        there = app_names(connection)
        apps = there if app is None else [chosen_app(app, there)]
        header = Header(
            export_id=uuid.uuid4().hex,
            schema=known_version(),
            release=fastapi_lens.__version__,
            created_at=now,
            apps=origins(connection, apps),
        )
        total = sum(count_rows(connection, table, apps) for table in MOVED)
        advance = progress("Exporting", total)
        archive = Archive(stream, header)
        for table in MOVED:
            rows = rows_of(connection, table, apps)
            for done in archive.section(table.name, table.c.keys(), rows):
                advance(done)
        archive.end()
    return total


def import_file(
    database: Database, path: Path, *, again: bool, now: float, progress: Progress
) -> int:
    """Add all rows of a file that were not imported before.

    Args:
        database: The target; missing tables are created.
        path: The file; it is read to its end before anything is written.
        again: Also add counts that the database already has from another source.
        now: Epoch seconds.
        progress: Shows the progress.

    Returns:
        The number of added rows; 0 if all were already imported.

    Raises:
        CommandError: The file is damaged, of another schema, or its counts are already there.
        StorageError: The database cannot be written.
    """
    file = ExportFile(path)
    header = file.header
    if not OLDEST_SCHEMA <= header.schema <= known_version():
        raise CommandError(
            Exit.BAD_FILE,
            f"{path} has rows of schema version {header.schema}, this release reads "
            f"{OLDEST_SCHEMA} to {known_version()}: export it with the release that imports it",
        )
    total = _checked(file, progress)
    importer = Importer(database, header.export_id, total, header.apps, now=now)
    repeated = importer.repeated_apps()
    if repeated and not again:
        raise CommandError(
            Exit.WRONG,
            f"the database already has calls of {', '.join(map(visible, repeated))} that are in "
            f"{path}, recorded there or from another export: they would count twice. Purge the "
            "app first, or use --again",
        )
    begun = importer.begin()
    advance = progress("Importing", total)
    advance(begun)
    # After an error, the generator would keep the file open until it is collected.
    with closing(file.rows()) as rows:
        for start, table, chunk in _chunks(islice(rows, begun, None), begun):
            importer.add(table, start, [row.values for row in chunk])
            advance(len(chunk))
    return total - begun


def _checked(file: ExportFile, progress: Progress) -> int:
    """Read a file to its end, to check that all can be imported; return the number of rows."""
    advance = progress("Checking", 0)
    total = 0
    for _ in file.rows():
        total += 1
        advance(1)
    return total


def _chunks(rows: Iterator[Found], start: int) -> Iterator[tuple[int, sa.Table, Sequence[Found]]]:
    """The rows in parts of one table each, with the number of rows before each part."""
    tables = {table.name: table for table in MOVED}
    for name, group in groupby(rows, lambda row: row.table):
        while part := list(islice(group, CHUNK_ROWS)):
            yield start, tables[name], part
            start += len(part)
