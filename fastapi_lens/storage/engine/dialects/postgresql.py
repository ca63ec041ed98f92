"""PostgreSQL with psycopg 3, also behind PgBouncer in transaction mode. Knows no table.

Nothing is set for a whole session, and no statement is prepared on the server: with a pool in
between, the next transaction may run in another session, and another client's in this one.
"""

import codecs
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import ConnectionPoolEntry

from fastapi_lens.storage.engine.dialects.base import (
    CONNECT_TIMEOUT_SECONDS,
    LOCK_SECONDS,
    MIGRATION_SECONDS,
    SILENCE_SECONDS,
    STATEMENT_SECONDS,
    WRITES,
    Dialect,
    RowBytes,
    beside,
    connect,
    connect_anew,
    driver_errors,
)
from fastapi_lens.storage.engine.prepared import Prepared, Row
from fastapi_lens.storage.engine.row_update import RowUpdate, Updater
from fastapi_lens.storage.engine.sqlite_file import DatabaseFile
from fastapi_lens.storage.engine.texts import encodable

_MIGRATION_LOCK = 7_305_809_914_202_117
_DEADLOCK_STATES = ("40001", "40P01")
"""Serialisation failure, deadlock."""

_ARGUMENTS = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    # Without these, an unresponsive host would block for TCP's 15 minutes.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,  # Milliseconds.
    # In a database without an encoding (SQL_ASCII), psycopg would return bytes for texts.
    "client_encoding": "utf8",
}
_CODEC = "fastapi_lens_codec"
"""Key of the connection's info for Python's name of its database's encoding."""

_LIMITS = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; "
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{SILENCE_SECONDS}s'"
)
_BEGIN_WRITING = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_LIMITS}"
_BEGIN_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
_MIGRATION_LIMITS = (
    f"SET LOCAL lock_timeout = '{MIGRATION_SECONDS}s'; SET LOCAL statement_timeout = 0"
)


class PostgresqlDialect(Dialect):
    """PostgreSQL."""

    name = "postgresql"
    row_bytes = RowBytes(
        250,
        140,
        2_000,
        request=170,
        exception=400,
        exception_count=180,
        audit=290,
        use=345,
        use_week=105,
        caller=490,
    )
    clock_us = sa.literal_column(
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", sa.BigInteger()
    )

    def create_engine(self, url: URL, _file: DatabaseFile | None, /) -> Engine:
        """An engine whose transactions set everything at their beginning, for use with a pool."""
        # BEGIN is sent together with the limits in one round trip, see `_begin`.
        arguments: dict[str, Any] = {**beside(url, _ARGUMENTS), "autocommit": True}
        with driver_errors():
            arguments["prepare_threshold"] = _prepare_threshold(url)
            engine = sa.create_engine(url, pool_pre_ping=True, connect_args=arguments)

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", _note_codec)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "before_cursor_execute", _escape, retval=True)
        event.listen(engine, "handle_error", connect_anew)
        return engine

    @contextmanager
    def exclusive(
        self, write: Callable[[], AbstractContextManager[Connection]]
    ) -> Generator[Connection]:
        """A transaction under an advisory lock, which its end releases."""
        with write() as connection:
            _run(connection, _MIGRATION_LIMITS)
            # Of the transaction: behind a pool, a lock of the session would outlive this client.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            yield connection

    def insert_ignore(self, table: sa.Table) -> Any:
        """INSERT … ON CONFLICT DO NOTHING."""
        return postgresql.insert(table).on_conflict_do_nothing()

    def updater(self, update: RowUpdate) -> Updater:
        """An updater with one statement, which takes each column of the values as an array."""
        prepared = Prepared(_from_arrays(update))

        def run(connection: Connection, rows: Sequence[Row]) -> None:
            arrays = {
                name: _array([row[name] for row in rows], of_bytes=isinstance(kind, sa.LargeBinary))
                for name, kind in update.types.items()
            }
            prepared.change(connection, arrays)

        return run

    def size_bytes(self, connection: Connection) -> int | None:
        """The size of the tables in the search path, with their indexes."""
        total = connection.execute(
            sa.text(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c "
                "WHERE c.relkind = 'r' AND c.relname LIKE 'lens\\_%' "
                "AND pg_table_is_visible(c.oid)"
            )
        ).scalar()
        return None if total is None else int(total)

    def is_deadlock(self, error: BaseException, /) -> bool:
        """True for the SQLSTATE of a deadlock."""
        return getattr(error, "sqlstate", None) in _DEADLOCK_STATES

    def widen(self, connection: Connection, column: sa.Column[str]) -> None:
        """Lengthen a column, which rewrites no row."""
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(
            f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} TYPE {kind}"
        )


def _from_arrays(update: RowUpdate) -> sa.Update:
    arrays = (
        sa.func.unnest(sa.cast(sa.bindparam(name, type_=sa.Text()), postgresql.ARRAY(kind))).label(
            name
        )
        for name, kind in update.types.items()
    )
    new = sa.select(*arrays).subquery("new")
    return update.statement(lambda name: new.c[name])


def _array(values: Sequence[Any], *, of_bytes: bool) -> str:
    """A PostgreSQL array as text, which its driver sends in a tenth of the time.

    Args:
        values: Numbers or bytes.
        of_bytes: True for bytes.
    """
    # In the text of an array, a backslash is doubled.
    items = (rf"\\x{value.hex()}" for value in values) if of_bytes else map(str, values)
    return f"{{{','.join(items)}}}"


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, True)
    _run(connection, _BEGIN_WRITING if writes else _BEGIN_READING)


def _run(connection: Connection, statements: str) -> None:
    """Run several statements in one round trip, which cannot be prepared on the server."""
    driver: Any = connection.connection.driver_connection
    driver.execute(statements, prepare=False)


def _prepare_threshold(url: URL) -> int | None:
    """Number of uses after which psycopg prepares a statement; None for never, the default.

    Raises:
        ValueError: The URL has an invalid number.
    """
    named = str(url.query.get("prepare_threshold", "none"))
    if named == "none":
        return None
    if not named.isdecimal():
        raise ValueError(f"prepare_threshold is a number or none, not {named}")
    return int(named)


def _codec(encoding: str | None) -> str | None:
    """Python's name of a database's encoding; None if it accepts all texts.

    Args:
        encoding: PostgreSQL's name. SQL_ASCII accepts any bytes.
    """
    name = encoding or "UTF8"
    if name in ("UTF8", "SQL_ASCII"):
        return None
    try:
        return codecs.lookup(name.replace("WIN", "cp").replace("KOI8", "KOI8_")).name
    except LookupError:
        return "ascii"  # A subset of every encoding.


def _note_codec(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_CODEC] = _codec(connection.info.parameter_status("server_encoding"))


def _escape(
    connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    _many: bool,  # noqa: FBT001  SQLAlchemy passes it so.
) -> tuple[str, Any]:
    """Escape texts for a database whose encoding lacks some characters."""
    codec = connection.info[_CODEC]
    if codec is None:
        return statement, parameters
    # Plain SQL and DDL have no bound names of limited length.
    binds: Mapping[str, Any] = getattr(context.compiled, "binds", {})
    lengths = {name: getattr(bind.type, "length", None) for name, bind in binds.items()}
    return statement, _escaped(parameters, codec, lengths)


def _escaped(values: Any, codec: str, lengths: Mapping[str, int | None]) -> Any:
    """Parameters of one or many statements, with characters escaped that the encoding lacks.

    Escapes are longer than their characters, so names are cut to the length of their columns.

    Args:
        values: The parameters.
        codec: The encoding, as Python names it.
        lengths: Characters of the column of each named parameter; None for any number.
    """
    match values:
        case str():
            return encodable(values, codec)
        case dict():
            named = cast("dict[str, Any]", values)
            return {
                name: encodable(value, codec)[: lengths.get(name)]
                if isinstance(value, str)
                else _escaped(value, codec, lengths)
                for name, value in named.items()
            }
        case list() | tuple():
            return [_escaped(value, codec, lengths) for value in cast("Sequence[Any]", values)]
        case _:
            return values
