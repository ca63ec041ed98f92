"""Programs that the storage tests run in processes of their own."""

import itertools
import os
import signal
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg  # noqa: F401  Once, before the fork: it takes long to import.
import pymysql  # noqa: F401  The same.
from sqlalchemy import event
from sqlalchemy.engine import make_url

from benchmarks.support.rows import facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.coordination.leases import take_lease
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import LEASE
from tests.support.statements import engine_of

_barrier: list[Barrier] = []


def take_barrier(barrier: Barrier) -> None:
    """Keep what the processes wait at; handed over at their start, as it has to be."""
    _barrier.append(barrier)


def at_once(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function as soon as all processes are there."""
    _barrier[0].wait(timeout=60)
    return function(*arguments)


def make_tables(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()


def register(url: str, name: str) -> None:
    """Tell of endpoints that other workers tell of at the same moment."""
    database = Database(url)
    writer = Writer(database, worker(name))
    for turn in range(3):
        writer.register([facts(f"/{n}", name=name) for n in range(40)], applied=0, now_us=turn)
    database.close()


def win_lease(url: str, owner: str, now: float) -> bool:
    database = Database(url)
    try:
        return take_lease(database, "prune", owner=owner, now=now)
    finally:
        database.close()


def outlive(url: str, name: str, harm: Callable[[Path], None] | None) -> int:
    """Write before and after one of the processes does harm to the file; returns the errors."""
    database = Database(url)
    migrate(database)
    with database.write() as connection:
        connection.execute(database.insert_ignore(LEASE), _lease(f"{name} before"))
    _barrier[0].wait(timeout=60)
    if harm is not None:
        harm(Path(make_url(url).database or ""))
    _barrier[0].wait(timeout=60)
    errors = 0
    for turn in range(10):
        while True:
            try:
                migrate(database)
                with database.write() as connection:
                    connection.execute(database.insert_ignore(LEASE), _lease(f"{name} {turn}"))
            except StorageError:
                errors += 1
                if errors > 100:
                    raise
            else:
                break
    _barrier[0].wait(timeout=60)
    database.close()
    return errors


def delete(file: Path) -> None:
    file.unlink()


def fill_with_garbage(file: Path) -> None:
    file.write_bytes(b"garbage " * 1_000)


def replace_with_garbage(file: Path) -> None:
    (other := file.with_name("other")).write_bytes(b"garbage " * 1_000)
    other.replace(file)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def _lease(name: str) -> dict[str, object]:
    return {"name": name, "owner": "", "expires_at": 0}


def die_in_a_migration(url: str, statement: int) -> None:
    """Be killed before the n-th statement that changes something."""
    database = Database(url)
    seen = itertools.count(1)

    def count(_connection: Any, _cursor: Any, text: str, *_others: Any) -> None:
        if text.lstrip().startswith(("CREATE", "INSERT", "UPDATE")) and next(seen) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine_of(database), "before_cursor_execute", count)
    migrate(database)
