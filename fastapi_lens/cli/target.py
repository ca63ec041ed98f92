"""Database and app of a command. Never creates a database."""

import os
import sqlite3
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.config.checks import DRIVERS, file_mode, file_path, is_in_memory
from fastapi_lens.config.environment import env_name
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.sqlite_file import NAMESAKE_TABLE, read_only
from fastapi_lens.storage.schema.migrations import require_schema
from fastapi_lens.storage.schema.tables import META
from fastapi_lens.storage.transfer.inspect import NAMESAKE
from fastapi_lens.storage.writing.drain import drain_all
from fastapi_lens.text.escaping import visible

DEFAULT_FILE = "lens.db"


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a database.

    Attributes:
        url: URL with an explicit driver.
    """

    url: URL

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None on a server."""
        path = file_path(self.url)
        return None if path is None else Path(path).absolute()

    def __str__(self) -> str:
        """The place without password, and without options, which may contain one."""
        if self.file is not None:
            return str(self.file)
        return self.url.set(query={}).render_as_string(hide_password=True)


def find(text: str | None) -> Place:
    """The database of an argument, otherwise of the environment, otherwise ``lens.db`` here.

    Args:
        text: A SQLAlchemy URL or the path of a file.

    Raises:
        CommandError: No database is named, or the URL is invalid.
    """
    named = text or os.environ.get(env_name("database_url")) or os.environ.get(env_name("db_path"))
    if named is None and Path(DEFAULT_FILE).exists():
        named = DEFAULT_FILE
    if named is None:
        raise CommandError(
            Exit.USAGE,
            f"there is no {DEFAULT_FILE} here: name the database with --database, "
            f"{env_name('database_url')} or {env_name('db_path')}",
        )
    url = _url(named) if "://" in named else URL.create("sqlite", database=named)
    if is_in_memory(url):
        raise CommandError(Exit.USAGE, "a database in memory belongs to its process: name a file")
    return Place(url)


def _url(text: str) -> URL:
    try:
        url = make_url(text)
        return url.set(drivername=DRIVERS[url.drivername])
    except (ArgumentError, KeyError, ValueError):
        # Without the cause, which may contain the password.
        raise CommandError(
            Exit.USAGE,
            "the database's URL cannot be read; write it like "
            "postgresql://user:password@host:5432/name, or name a file",
        ) from None


@contextmanager
def opened(place: Place, *, drains: bool = True) -> Generator[Database]:
    """Open a database that has the tables of this release.

    Args:
        place: Its place.
        drains: First add batches of the inbox to the reports.

    Raises:
        CommandError: There is none, or it has no tables of fastapi_lens.
        StorageError: It cannot be reached, or its schema is another release's.
    """
    # Opening would create a missing file.
    if place.file is not None:
        require_file(place.file)
    database = Database(place.url)
    try:
        with database.read() as connection:
            if not sa.inspect(connection).has_table(META.name):
                raise CommandError(Exit.UNREACHABLE, f"{place} has no tables of fastapi_lens")
            require_schema(connection)
        if drains:
            drain_all(database)
        yield database
    finally:
        database.close()


def require_file(path: Path) -> None:
    """Check that a file is a database with our tables, without changing it.

    Raises:
        CommandError: It is missing, damaged, or another program's.
    """
    try:
        found = stat.S_ISREG(file_mode(path))
    except PermissionError as error:
        raise CommandError(
            Exit.UNREACHABLE, f"{path} cannot be read: its directory cannot be entered"
        ) from error
    if not found:
        raise CommandError(Exit.UNREACHABLE, f"there is no database at {path}")
    try:
        with read_only(path) as connection:
            found, other = (
                connection.execute(
                    "SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)
                ).fetchone()[0]
                for name in (META.name, NAMESAKE_TABLE)
            )
    except sqlite3.Error as error:
        raise CommandError(Exit.UNREACHABLE, f"{path} cannot be read: {error}") from error
    if not found:
        whose = f": {NAMESAKE}" if other else ""
        raise CommandError(Exit.UNREACHABLE, f"{path} has no tables of fastapi_lens{whose}")


def settings() -> LensConfig:
    """The settings of the environment, except for the database.

    Raises:
        ConfigError: One of them is invalid.
    """
    # In memory and without templates, so that nothing of the host's places is checked here.
    return LensConfig(database_url=None, db_path=":memory:", template_dirs=())


def chosen_app(named: str | None, apps: Sequence[str]) -> str:
    """The app of a command: the named one, or the only one.

    Args:
        named: Name from ``--app`` or the environment.
        apps: The apps in the database.

    Raises:
        CommandError: There is no such app, none at all, or several.
    """
    there = f"the apps here are: {', '.join(map(visible, apps))}"
    if not apps:
        raise CommandError(Exit.WRONG, "the database has no app yet")
    if named is not None and named not in apps:
        raise CommandError(Exit.WRONG, f"there is no app '{visible(named)}'; {there}")
    if named is None and len(apps) > 1:
        raise CommandError(Exit.USAGE, f"name one with --app; {there}")
    return named or apps[0]
