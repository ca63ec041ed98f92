"""The kinds of databases, and their lookup. One module each, see `base.Dialect`."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy.engine import URL, Connection
from sqlalchemy.sql.compiler import SQLCompiler

from fastapi_lens.storage.engine.dialects.base import Dialect
from fastapi_lens.storage.engine.dialects.mariadb import MariadbDialect
from fastapi_lens.storage.engine.dialects.postgresql import PostgresqlDialect
from fastapi_lens.storage.engine.dialects.sqlite import SqliteDialect

_DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect for dialect in (SqliteDialect(), PostgresqlDialect(), MariadbDialect())
}


def dialect_for(url: URL) -> Dialect:
    """The kind of the database that a URL names."""
    return _DIALECTS[url.get_backend_name()]


def dialect_of(source: Connection | SQLCompiler) -> Dialect:
    """The dialect of a connection, or of a compiled statement."""
    return _DIALECTS[source.dialect.name]
