import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest

from benchmarks.support.rows import FlakyDatabase, make_endpoints
from benchmarks.support.servers import unmeasured
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate

Together = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with tables, once on SQLite and once on PostgreSQL."""
    made = Database(database_url)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def sqlite_database() -> Iterator[FlakyDatabase]:
    """One in memory, for what is the same on every database."""
    made = FlakyDatabase("sqlite://")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def flaky(database_url: str) -> Iterator[FlakyDatabase]:
    """A database with tables and endpoints that can misbehave."""
    made = FlakyDatabase(database_url)
    migrate(made)
    make_endpoints(made)
    yield made
    made.close()


@pytest.fixture
def local(sqlite_database: FlakyDatabase) -> FlakyDatabase:
    """The same in memory."""
    make_endpoints(sqlite_database)
    return sqlite_database


@pytest.fixture(scope="session")
def fork_server() -> ForkServerContext:
    """Starts processes that have imported the package already, and measure no coverage."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.storage.processes", "benchmarks.support.ordeal", "benchmarks.support.watching"]
    )
    with unmeasured():
        forkserver.ensure_running()
    return context


@pytest.fixture
def together(fork_server: ForkServerContext) -> Together:
    """Call a function in as many processes as there are tuples of arguments, all at once."""
    from tests.storage import processes  # noqa: PLC0415  What the processes import, too.

    def call(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        barrier = fork_server.Barrier(len(arguments))
        with ProcessPoolExecutor(
            len(arguments), fork_server, processes.take_barrier, (barrier,)
        ) as executor:
            started = [executor.submit(processes.at_once, function, each) for each in arguments]
            return [each.result(timeout=60) for each in started]

    return call
