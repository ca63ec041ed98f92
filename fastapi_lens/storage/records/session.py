"""Sessions of SQLModel objects, each in one transaction of a `Database`. Not for the flush path.

A flush must not pay for mapping objects: its statements, and all that change sets of rows, are
SQLAlchemy Core.
"""

from collections.abc import Generator
from contextlib import contextmanager

from sqlmodel import Session

from fastapi_lens.storage.engine.database import Database


@contextmanager
def read_session(database: Database) -> Generator[Session]:
    """A session in a transaction of `Database.read`; its objects stay usable afterwards.

    Raises:
        StorageError: The database cannot be reached or refuses.
    """
    with database.read() as connection, Session(connection, autoflush=False) as session:
        yield session


@contextmanager
def write_session(database: Database) -> Generator[Session]:
    """A session in a transaction of `Database.write`; changed objects are written at its end.

    Raises:
        StorageError: As `Database.write`.
    """
    with database.write() as connection, Session(connection, autoflush=False) as session:
        yield session
        session.flush()
