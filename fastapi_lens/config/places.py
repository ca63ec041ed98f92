"""Absolute places of the database and the templates that settings name.

A process may change its working directory later. Opens nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url

from fastapi_lens.config.checks import (
    DRIVERS,
    FILE_URI,
    IN_MEMORY,
    check_file,
    check_url,
    driver_of,
    is_file_uri,
    is_in_memory,
    is_sqlite,
)
from fastapi_lens.errors import ConfigError

TEST_SUITE = "PYTEST_VERSION"
"""The environment variable that pytest sets while it runs."""


_MEMORY = URL.create("sqlite", database=IN_MEMORY)


class DefaultPath(str):
    """The `db_path` of an application that has not set one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The database of the counts.

    Attributes:
        url: URL with an explicit driver, and an absolute path for a file.
        fallback: The reason why counts stay in memory although this was not configured, with the
            fix; empty if they are stored as configured.
        is_fault: True if the fallback requires action.
    """

    url: URL
    fallback: str = ""
    is_fault: bool = False


def place_of(path: str, url: str | None) -> Place:
    """The database that settings name.

    Args:
        path: `db_path` as it was set. A `DefaultPath` that cannot be written gives an in-memory
            database: an application without settings must start everywhere.
        url: `database_url`, which takes precedence.

    Raises:
        ConfigError: A setting cannot work.
    """
    if url is not None:
        check_url(url)
        made = make_url(url)
        made = made.set(drivername=DRIVERS[made.drivername])
        # Now, where an error stops the server: one at its start reads like a missing lifespan.
        driver_of(made)
        return Place(_absolute(made))
    is_default = isinstance(path, DefaultPath)
    if path == IN_MEMORY:
        return Place(_MEMORY)
    # The tests of a host must leave no file in its repository.
    if is_default and TEST_SUITE in os.environ:
        return Place(_MEMORY, f"a test suite runs: {TEST_SUITE} is set")
    try:
        check_file("db_path", path)
    except ConfigError:
        if not is_default:
            raise
        return Place(
            _MEMORY,
            f"{path} cannot be written in the working directory: set LENS_DB_PATH or "
            "LENS_DATABASE_URL",
            is_fault=True,
        )
    return Place(URL.create("sqlite", database=_from_root(path)))


def _absolute(url: URL) -> URL:
    """The same URL, which names the same SQLite file even after a change of directory."""
    if not is_sqlite(url) or is_in_memory(url):
        return url
    name = str(url.database)
    if not is_file_uri(url):
        return url.set(database=_from_root(name))
    path = name.removeprefix(FILE_URI)
    if path.startswith("/"):
        return url
    # The configured path is already quoted.
    return url.set(database=f"{FILE_URI}{quote(str(Path.cwd()))}/{path}")


def _from_root(path: str) -> str:
    return str(Path(path).absolute())
