"""Databases that a reader reads."""

from collections.abc import Iterator

import pytest

from fastapi_lens.storage.engine.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Without tables, once on SQLite and once on PostgreSQL."""
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[Database]:
    """Without tables and in memory, for what is the same on every database."""
    made = Database("sqlite://")
    yield made
    made.close()
