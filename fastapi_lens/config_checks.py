"""Checks of single values of settings: origins, database URLs, files. Opens nothing."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from fastapi_lens.errors import ConfigError

DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mariadb+pymysql": "mysql+pymysql",
}
"""URL schemes that `database_url` may have, and the SQLAlchemy dialect and driver of each."""

_MAY_WRITE = "let this process's user write there, or name a file in another directory"


def is_origin(text: str) -> bool:
    """Whether a text is a scheme, a host and perhaps a port, and nothing else."""
    try:
        parts = urlsplit(text)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return False
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return bool(host) and text.lower() in (f"http://{host}{port}", f"https://{host}{port}")


def check_url(text: str) -> None:
    """Refuse a `database_url` that cannot be used.

    Raises:
        ConfigError: Its scheme is unknown, it cannot be read, or its file cannot be.
    """
    scheme, separator, _ = text.partition(":")
    if not separator or scheme not in DRIVERS:
        # Only the scheme is repeated: what follows it holds a password.
        raise ConfigError(
            "database_url",
            f"has the unknown scheme {scheme if separator else ''!r}; "
            "use one of sqlite, postgresql, mysql, mariadb",
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without its cause, which may repeat the password.
        raise ConfigError(
            "database_url",
            "cannot be read; write it like postgresql://user:password@host:5432/name",
        ) from None
    if scheme == "sqlite" and url.database not in (None, "", ":memory:"):
        check_file("database_url", str(url.database))


def check_file(name: str, path: str) -> None:
    """Refuse a database file that cannot be written.

    Args:
        name: Of the setting that names it.
        path: Where it is, or will be.

    Raises:
        ConfigError: It cannot be; says what to do.
    """
    if not path:
        raise ConfigError(name, 'is empty; name a file, or ":memory:"')
    file = Path(path).absolute()
    try:
        if not stat.S_ISDIR(file_mode(file.parent)):
            raise ConfigError(
                name, f"lies in {str(file.parent)!r}, which is no directory; create it"
            )
        mode = file_mode(file)
        if stat.S_ISDIR(mode):
            raise ConfigError(name, f"names {path!r}, which is a directory; name a file in it")
    except PermissionError as error:
        raise ConfigError(
            name, f"lies in {str(file.parent)!r}, which cannot be entered; {_MAY_WRITE}"
        ) from error
    # SQLite keeps its log beside the file.
    for place in (file.parent, file) if mode else (file.parent,):
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise ConfigError(name, f"needs to write to {str(place)!r} and may not; {_MAY_WRITE}")


def check_directory(name: str, path: str) -> None:
    """Refuse a directory that is not there or cannot be read.

    Args:
        name: Of the setting that names it.
        path: Where it should be.

    Raises:
        ConfigError: It is not; says what to do.
    """
    try:
        found = stat.S_ISDIR(file_mode(Path(path)))
    except PermissionError as error:
        raise ConfigError(
            name, f"names {path!r}, which cannot be entered; let this process's user read there"
        ) from error
    if not found:
        raise ConfigError(name, f"names {path!r}, which is no directory; create it")


def file_mode(path: Path) -> int:
    """The type and the permissions of what lies at a path; 0 where nothing does.

    `Path.is_dir` and its like cannot tell: since Python 3.14 they answer False, too, where a
    directory may not be entered.

    Raises:
        PermissionError: A directory on the way may not be entered.
    """
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):
        # Among them names that are too long, go in circles or hold a null byte.
        return 0
