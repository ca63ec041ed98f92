"""Databases with calls in them, and the command line as a test runs it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from typer.testing import CliRunner, Result

from benchmarks.support.rows import APP, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.cli.commands import create_cli
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import MOVED
from fastapi_lens.storage.writing.batches import Batch, Delta, EndpointFacts
from fastapi_lens.storage.writing.inbox import Inbox

NOW = 1_773_014_400.0
"""2026-03-09 00:00 UTC, where the deltas of `storage.helpers` lie."""


def run(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(create_cli(), [str(one) for one in arguments], input=stdin)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


PATHS = ("/orders", "/orders/{id}", "/users", "/v1/users/{id}")


def ids_of(app: str = APP, first: int = 1, paths: Sequence[str] = PATHS) -> dict[int, int]:
    """The ids of an app's endpoints by their numbers in tests."""
    return {number: endpoint_id(app, "GET", path) for number, path in enumerate(paths, first)}


def named(deltas: Iterable[Delta], ids: Mapping[int, int]) -> list[Delta]:
    """Deltas of endpoints that were numbered, with their ids."""
    return [one._replace(endpoint_id=ids[one.endpoint_id]) for one in deltas]


def fill(
    url: str,
    deltas: Sequence[Delta],
    *,
    app: str = APP,
    first: int = 1,
    paths: Sequence[str] = PATHS,
    waits_since: float | None = None,
) -> None:
    """Write deltas of the endpoints `first`, `first` + 1 … as a worker does.

    With `waits_since`, in epoch seconds, all processes are killed before anybody adds them to what
    is shown.
    """
    database = Database(url)
    migrate(database)
    ids = ids_of(app, first, paths)
    facts = [
        EndpointFacts(identity, app, "GET", path, tags=("a",), seen_at_us=round(NOW * 1e6))
        for identity, path in zip(ids.values(), paths, strict=True)
    ]
    facts_of_worker = worker(f"{app}-{first}", app)
    writer = Writer(database, facts_of_worker)
    writer.register(facts, applied=0, now_us=round(NOW * 1e6))
    batch = Batch(1, tuple(named(deltas, ids)), since_us=round((waits_since or 0) * 1e6))
    if waits_since is not None:
        Inbox(database, facts_of_worker).put(batch, Progress())
    elif deltas:
        writer.write(batch)
    database.close()


def moved(url: str) -> list[list[tuple[Any, ...]]]:
    """All rows that an export has, sorted; those without calls are no difference."""
    database = Database(url)
    try:
        return [sorted(map(tuple, table_rows(database, table)), key=repr) for table in MOVED]
    finally:
        database.close()


def change(url: str, statement: sa.Executable) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(statement)
    database.close()
