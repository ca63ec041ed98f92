"""Eight processes write for a minute while everything goes wrong: is each count there once?

``python -m benchmarks.exactly_once`` (`make bench-exactly-once`) takes four minutes and writes its
section of RESULTS.md; ``--seconds`` sets how long each database is troubled. It also lets 48
processes make the tables at once. The suite runs the same for a second (support/ordeal.py).
"""

import argparse
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from benchmarks.machine import machine
from benchmarks.sections import write_section
from benchmarks.support.database_server import DatabaseServer
from benchmarks.support.mariadb import MariadbServer
from benchmarks.support.ordeal import (
    PROCESSES,
    SHARE_LOST,
    Ordeal,
    Outcome,
    make_tables_together,
)
from benchmarks.support.postgres import PostgresServer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import SESSION_SALT
from fastapi_lens.storage.schema.tables import META, SCHEMA_STEP, SCHEMA_VERSION
from scripts import mariadb

STARTING = 48
CUT_EVERY_SECONDS = 1.0
CRASH_EVERY_SECONDS = 10.0
SHARE_KILLED = 0.01
"""Of the transactions on SQLite: the process ends before the commit, and another one begins."""


@dataclass(frozen=True, slots=True)
class Result:
    """Result on one database.

    Attributes:
        seconds: That the processes wrote for.
        started: Processes of `STARTING` that made the tables, or found them, at once.
    """

    name: str
    version: str
    seconds: float
    started: int
    outcome: Outcome


def endure(
    context: ForkServerContext, server: DatabaseServer | None, seconds: float, folder: Path
) -> Result:
    """Trouble one database."""
    name = server.name if server else "SQLite"
    print(f"exactly once: {name}", flush=True)
    started = start_at_once(context, _new_url(server, folder / "started.db"))
    url = _new_url(server, folder / "written.db")
    killed = 0.0 if server else SHARE_KILLED
    begun = time.monotonic()
    with Ordeal(context, url, folder, server=server, killed=killed) as ordeal:
        crash_at = begun + CRASH_EVERY_SECONDS / 2
        while (now := time.monotonic()) - begun < seconds:
            if server is not None and now >= crash_at:
                ordeal.crash()
                crash_at += CRASH_EVERY_SECONDS
            elif server is not None:
                ordeal.cut()
            ordeal.go_on_until(1)
            time.sleep(CUT_EVERY_SECONDS)
        elapsed = time.monotonic() - begun
        outcome = ordeal.finish()
    return Result(name, _version(url), elapsed, started, outcome)


def start_at_once(context: ForkServerContext, url: str) -> int:
    """Let processes make the tables of an empty database at once; how many succeeded."""
    barrier = context.Barrier(STARTING)
    started = [
        context.Process(target=make_tables_together, args=(url, barrier)) for _ in range(STARTING)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    database = Database(url)
    with database.read() as connection:
        facts = sorted(connection.execute(sa.select(META.c.name)).scalars())
    database.close()
    assert facts == sorted((SCHEMA_VERSION, SCHEMA_STEP, SESSION_SALT)), facts
    return sum(process.exitcode == 0 for process in started)


def _new_url(server: DatabaseServer | None, file: Path) -> str:
    return f"sqlite:///{file}" if server is None else server.create_database()


def _version(url: str) -> str:
    asked = "sqlite_version()" if url.startswith("sqlite") else "version()"
    database = Database(url)
    with database.read() as connection:
        text = str(connection.exec_driver_sql(f"SELECT {asked}").scalar_one())
    database.close()
    return text.removeprefix("PostgreSQL ").split("-")[0].split()[0]


def section(results: list[Result], *, command: str) -> str:
    """The section of RESULTS.md."""
    rows = "\n".join(
        f"| {one.name} {one.version} | {one.seconds:.0f} s | {one.outcome.batches:,} "
        f"| {one.outcome.calls:,} | {one.outcome.told.lost:,} | {one.outcome.cut:,} "
        f"| {one.outcome.crashes} | {one.outcome.told.retries:,} "
        f"| {one.outcome.rows:,} | {one.outcome.pairs} | **{one.outcome.differences}** "
        f"| {one.started} of {STARTING} |"
        for one in results
    )
    return f"""## Exactly once

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}. {PROCESSES} processes write \
batches into the inbox and drain it, several of them at once. {SHARE_LOST:.0%} of the \
acknowledgements of commits get lost: on the \
servers a proxy throws the answer to `COMMIT` away and cuts the connection. Every second all \
connections are cut, and every {CRASH_EVERY_SECONDS:g} seconds the server is ended at once and \
started again. On SQLite one transaction in {1 / SHARE_KILLED:.0f} ends with SIGKILL before its \
commit, and another process begins; acknowledgements lost and retries are told there by the \
processes that lived to the end alone. In the end every sum, maximum, histogram and first and last \
call is compared with a recount of the batches. So are the calls and times of each *caller* of an \
endpoint; its longest gap must not be below the truth.

| database | for | batches | calls | acknowledgements lost | connections cut | restarts or kills \
| retries | rows compared | callers | differences | started at once |
|---|---|---|---|---|---|---|---|---|---|---|---|
{rows}

*Started at once* are the processes that made the tables of an empty database together, none of \
which may fail.
"""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Trouble databases, and count what is in them.")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each database (60)")
    options = parser.parse_args()
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.support.ordeal"])
    servers: list[AbstractContextManager[DatabaseServer | None]] = [nullcontext(), PostgresServer()]
    if mariadb.find() is None:
        print(mariadb.LEFT_OUT)
    else:
        servers.append(MariadbServer())
    results = []
    for each in servers:
        with TemporaryDirectory() as folder, each as server:
            results.append(endure(context, server, options.seconds, Path(folder)))
    command = "make bench-exactly-once"
    if options.seconds != 60:  # noqa: PLR2004
        command += f' ARGS="--seconds {options.seconds:g}"'
    body = section(results, command=command)
    write_section(Path(__file__).with_name("RESULTS.md"), "exactly-once", body)
    print(body)
    assert all(one.outcome.differences == 0 and one.started == STARTING for one in results)


if __name__ == "__main__":
    main()
