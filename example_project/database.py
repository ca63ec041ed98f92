"""The shop's SQLite file: its engine, its sessions and its first start. Knows no table."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table, event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, SQLModel, create_engine

BUSY_TIMEOUT_SECONDS = 10.0


class Database:
    """The shop's own database; fastapi_lens has another one.

    Args:
        path: The SQLite file, made when missing.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._engine = create_engine(
            f"sqlite:///{path}",
            connect_args={
                "check_same_thread": False,  # A request's session moves between pool threads.
                # Taking the write lock at once waits for its turn; upgrading later would fail.
                "isolation_level": "IMMEDIATE",
                "timeout": BUSY_TIMEOUT_SECONDS,
            },
        )
        event.listen(self._engine, "connect", _prepare_connection)

    def session(self) -> Session:
        """A new session; what is not committed is rolled back at its end."""
        return Session(self._engine)

    def prepare(self, tables: Sequence[Table], seed: Callable[[Session], None]) -> None:
        """Make the tables and the first rows; safe when several workers start at once."""
        with self._engine.connect() as connection:
            _switch_to_wal(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            # The first rows go in in whichever order; what refers to what is checked at the end.
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            SQLModel.metadata.create_all(connection, tables=tables)
            with Session(connection) as session:
                seed(session)
                session.flush()
            connection.commit()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")


def _switch_to_wal(connection: Any) -> None:
    """Retry the switch, which does not wait for other workers that open the same new file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            connection.rollback()
            return
