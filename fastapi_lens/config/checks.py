"""Checks of single values of settings: origins, database URLs, drivers, files. Opens nothing."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from fastapi_lens.errors import ConfigError
from fastapi_lens.text.origins import normalized_origin

if TYPE_CHECKING:
    # Since SQLAlchemy 2.0.42.
    from sqlalchemy.engine.interfaces import DBAPIModule

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

FILE_BACKENDS = frozenset({"sqlite"})
"""Databases that are a file of this host, or in memory; all others are servers."""

IN_MEMORY = ":memory:"
FILE_URI = "file:"
"""Prefix of SQLite's own URIs."""

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_MAY_WRITE = "let this process's user write there, or name a file in another directory"


def trusted_origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without default port and trailing slash.

    Raises:
        ConfigError: The text is no origin, so no request could ever come from it.
    """
    origin = normalized_origin(text.removesuffix("/"))
    if origin is not None:
        return origin
    fix = "must be origins like https://admin.example.com"
    if not text.isascii():
        fix += ", in the form that browsers send (https://xn--…)"
    elif normalized_origin("/".join(text.split("/", 3)[:3])) is not None:
        fix += ", without a path"
    raise ConfigError("trusted_origins", f"{fix}, not {text!r}")


def is_file_uri(url: URL) -> bool:
    """True if a URL contains one of SQLite's own URIs, such as ``sqlite:///file:…?uri=true``."""
    # An option that a URL repeats is a tuple.
    is_on = str(url.query.get("uri", "")).lower() in _TRUE
    return is_on and (url.database or "").startswith(FILE_URI)


def is_sqlite(url: URL) -> bool:
    """True if a URL names a SQLite database, in a file or in memory."""
    return url.get_backend_name() in FILE_BACKENDS


def is_in_memory(url: URL) -> bool:
    """True if a URL names a SQLite database that exists only in this process."""
    if not is_sqlite(url):
        return False
    if is_file_uri(url):
        named = str(url.database).startswith(FILE_URI + IN_MEMORY)
        return named or url.query.get("mode") == "memory"
    return (url.database or IN_MEMORY) == IN_MEMORY


def file_path(url: URL) -> str | None:
    """The path of a SQLite database as its URL has it; None in memory and on a server."""
    if not is_sqlite(url) or is_in_memory(url):
        return None
    name = str(url.database)
    # An URI of SQLite may be absolute, and its path is quoted.
    return unquote(urlsplit(name).path) if is_file_uri(url) else name


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
    path = file_path(url)
    if path is not None:
        check_file("database_url", path)


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
    try:
        file = Path(path).absolute()
    except FileNotFoundError as error:
        raise ConfigError(
            name, "is relative, and the working directory is gone; name an absolute path"
        ) from error
    try:
        if not stat.S_ISDIR(file_mode(file.parent)):
            raise ConfigError(
                name, f"lies in {str(file.parent)!r}, which is not a directory; create it"
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
        # By the effective user, who opens the file; os.access asks for the real one by default.
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise ConfigError(name, f"needs to write to {str(place)!r} and may not; {_MAY_WRITE}")


def check_directory(name: str, path: str) -> None:
    """Refuse a directory that does not exist or cannot be read.

    Args:
        name: Name of the setting that contains it.
        path: Path of the directory.

    Raises:
        ConfigError: It does not exist or cannot be read; says what to do.
    """
    try:
        found = stat.S_ISDIR(file_mode(Path(path)))
    except PermissionError as error:
        raise ConfigError(
            name, f"names {path!r}, which cannot be entered; let this process's user read there"
        ) from error
    if not found:
        raise ConfigError(name, f"names {path!r}, which is not a directory; create it")


def file_mode(path: Path) -> int:
    """The type and the permissions of the file at a path; 0 if there is none.

    `Path.is_dir` and similar methods cannot tell: since Python 3.14 they also return False if a
    directory may not be entered.

    Raises:
        PermissionError: A parent directory may not be entered.
    """
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):
        # Includes names that are too long, link loops, and names with a null byte.
        return 0


def driver_of(url: URL) -> "DBAPIModule":
    """The driver's module, imported.

    Args:
        url: With the name of its driver.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return url.get_dialect().import_dbapi()
    except ImportError as error:
        raise ConfigError(
            "database_url",
            f"needs a driver ({error}): pip install 'fastapi-lens-admin[{url.get_backend_name()}]'",
        ) from error
