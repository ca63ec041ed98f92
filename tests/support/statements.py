"""Statements sent to a database, for tests that count, explain or interrupt them."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from fastapi_lens.storage.engine.database import Database


def engine_of(database: Database) -> Engine:
    """The engine that a database uses until it is closed."""
    with database.read() as connection:
        return connection.engine


@contextmanager
def listening(database: Database, name: str, listener: Callable[..., Any]) -> Generator[None]:
    """Have a listener told of an event of SQLAlchemy inside the block."""
    engine = engine_of(database)
    event.listen(engine, name, listener)
    try:
        yield
    finally:
        event.remove(engine, name, listener)
