"""Many processes write while everything goes wrong; then each row is compared with a recount.

On a server they write through a proxy that loses acknowledgements of commits and cuts
connections, and the server crashes and comes back. On SQLite acknowledgements get lost, and
processes are killed in the middle of their transactions.
"""

import os
import random
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.engine import Connection, make_url

from benchmarks.support.database_server import DatabaseServer
from benchmarks.support.proxy import Proxy
from benchmarks.support.rows import (
    FlakyDatabase,
    Rows,
    attributed,
    facts,
    random_delta,
    rows_in,
    rows_of,
    table_rows,
    uses_in,
    uses_of,
    worker,
    wrong_uses,
)
from benchmarks.support.waiting import wait_until
from benchmarks.support.writing import Writer
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import WORKER
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.drain import drain_all

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PROCESSES = 8
ENDPOINTS = 4
SHARE_LOST = 0.15
"""Of the acknowledgements of commits."""

SHARE_DRAINED = 0.3
"""Of the batches, after which their process drains the inbox, whoever else does so as well."""


@dataclass
class Told:
    """Report of one process at its end, or of all of them together.

    Attributes:
        batches: That it has written and knows so.
        retries: Tries that came after an error.
        lost: Acknowledgements that it did not get; on a server the proxy knows.
    """

    batches: int = 0
    retries: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        batches: In the database.
        calls: In the database.
        rows: That were compared.
        differences: Rows that are not what they have to be, or should not be there.
        pairs: Of an endpoint and a caller, that were compared, too.
        cut: Connections that were cut.
        crashes: Of the server, or processes that were killed.
    """

    told: Told
    batches: int
    calls: int
    rows: int
    differences: int
    pairs: int
    cut: int
    crashes: int


class MortalDatabase(FlakyDatabase):
    """One whose process may be killed before a commit, when all its statements have run."""

    def __init__(self, url: str, chance: random.Random, *, lost: float, killed: float) -> None:
        """Take the shares of acknowledgements that get lost, and of transactions that end it."""
        super().__init__(url, loses=self._loses)
        self._chance, self._lost, self._killed = chance, lost, killed
        self.acknowledgements_lost = 0

    def _loses(self) -> bool:
        loses = self._chance.random() < self._lost
        self.acknowledgements_lost += loses
        return loses

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that writes, unless the process is killed before its commit."""
        with super().write() as connection:
            yield connection
            if self._chance.random() < self._killed:
                os.kill(os.getpid(), signal.SIGKILL)


def stream(seed: int) -> Iterator[Batch]:
    """Batches without end, the same in each process for the same seed."""
    chance = random.Random(seed)
    for seq in count(1):
        deltas = [random_delta(chance, ENDPOINTS) for _ in range(6)]
        distinct = {(one.endpoint_id, one.minute, one.status): one for one in deltas}
        yield attributed(Batch(seq, tuple(distinct.values())))


def write_until(url: str, seed: int, enough: str, shares: tuple[float, float], told: Pipe) -> None:
    """Write batches as the flusher does, until a file is there.

    Args:
        url: The database.
        seed: Of the batches, and the worker's name.
        enough: The file.
        shares: Of acknowledgements that get lost, and of transactions that are the last.
        told: Where to tell what it was like.
    """
    chance = random.Random(-1 - seed)
    database = MortalDatabase(url, chance, lost=shares[0], killed=shares[1])
    writer = Writer(database, worker(f"w{seed}"))
    found = Told()
    registered = False
    for batch in stream(seed):
        if os.path.exists(enough):  # noqa: PTH110  A thousand times a second.
            break
        while True:
            try:
                if not registered:
                    migrate(database)
                    writer.register([], applied=batch.seq - 1, now_us=1)
                    registered = True
                writer.put(batch)
                if chance.random() < SHARE_DRAINED:
                    writer.drain.run(seconds=0)
            except StorageError:
                registered = False
                found.retries += 1
                time.sleep(chance.uniform(0.005, 0.03))
            else:
                break
        found.batches = batch.seq
    found.lost = database.acknowledgements_lost
    database.close()
    told.send(found)


def make_tables_together(url: str, barrier: Barrier) -> None:
    """Make the tables of a database as soon as all processes are there."""
    barrier.wait(timeout=60)
    database = Database(url)
    migrate(database)
    database.close()


class Ordeal:
    """Eight processes that write for as long as it is open.

    Args:
        context: Starts the processes.
        url: An empty database.
        folder: Where a file may be made.
        server: Of the database, or None with SQLite.
        killed: Share of the transactions that end their process, with SQLite.
    """

    def __init__(
        self,
        context: ForkServerContext,
        url: str,
        folder: Path,
        *,
        server: DatabaseServer | None = None,
        killed: float = 0.0,
    ) -> None:
        """Start nothing yet."""
        self._context, self._url, self._server = context, url, server
        self._enough = folder / "enough"
        self._shares = (0.0 if server else SHARE_LOST, killed)
        self._seeds = count()
        self._running: dict[BaseProcess, Pipe] = {}
        self._told: list[Told] = []
        self._crashes = 0
        self._stack = ExitStack()
        self._proxy: Proxy | None = None
        self._database = Database(url)

    def __enter__(self) -> Self:
        """Make the tables, and start the processes."""
        migrate(self._database)
        endpoints = [replace(facts(f"/{number}"), id=number) for number in range(1, ENDPOINTS + 1)]
        Writer(self._database, worker("setup")).register(endpoints, applied=0, now_us=1)
        self._through = self._url
        if self._server is not None:
            chance = random.Random(1)

            def loses(piece: bytes) -> bool:
                # Not the isolation level, which other statements name.
                commits = b"COMMIT" in piece and b"COMMITTED" not in piece
                return commits and chance.random() < SHARE_LOST

            self._proxy = self._stack.enter_context(Proxy(self._server.port, loses))
            through = make_url(self._url).set(port=self._proxy.port)
            self._through = through.render_as_string(hide_password=False)
        for _ in range(PROCESSES):
            self._start()
        return self

    def go_on_until(self, batches: int) -> None:
        """Let them write until so many more batches are in the database."""
        begun = self.batches

        def enough() -> bool:
            self._replace_killed()
            return self.batches - begun >= batches

        wait_until(enough, seconds=120, what=f"{batches} batches")

    def cut(self) -> None:
        """Cut all connections; there is one at least."""
        assert self._proxy is not None
        wait_until(self._proxy.cut, what="a connection")

    def crash(self) -> None:
        """Kill the server, and start it again."""
        assert self._server is not None
        self._server.crash()
        self._server.resume()
        self._crashes += 1

    @property
    def batches(self) -> int:
        """In the database; as many as were there before while it cannot be read."""
        with suppress(StorageError):
            self._seen = int(sum(row.seq for row in table_rows(self._database, WORKER)))
        return self._seen

    def finish(self) -> Outcome:
        """Let all of them end, and compare."""
        self._enough.touch()
        wait_until(self._all_ended, seconds=120, what="the processes' end")
        drain_all(self._database)
        seqs = {row.id: row.seq for row in table_rows(self._database, WORKER) if row.seq}
        written = {name: islice(stream(int(name[1:])), seq) for name, seq in seqs.items()}
        deltas = list(
            chain.from_iterable(batch.deltas for batches in written.values() for batch in batches)
        )
        expected, callers = rows_of(deltas), uses_of(deltas)
        found = rows_in(self._database)
        wrong = wrong_uses(uses_in(self._database), callers)
        told = Told(
            *(
                sum(getattr(one, name) for one in self._told)
                for name in ("batches", "retries", "lost")
            )
        )
        if self._proxy is not None:
            told.lost = self._proxy.lost
        return Outcome(
            told=told,
            batches=sum(seqs.values()),
            calls=sum(calls for calls, _, _ in found.endpoints.values()),
            rows=sum(map(len, _parts(expected))),
            differences=_differences(found, expected) + len(wrong),
            pairs=len(callers),
            cut=self._proxy.cuts if self._proxy else 0,
            crashes=self._crashes,
        )

    def _all_ended(self) -> bool:
        self._replace_killed(renew=False)
        return not self._running

    def _start(self) -> None:
        mine, its = self._context.Pipe()
        arguments = (self._through, next(self._seeds), str(self._enough), self._shares, its)
        process = self._context.Process(target=write_until, args=arguments)
        process.start()
        its.close()
        self._running[process] = mine

    def _replace_killed(self, *, renew: bool = True) -> None:
        for process, pipe in list(self._running.items()):
            if process.is_alive():
                continue
            process.join()
            if process.exitcode == -signal.SIGKILL:
                self._crashes += 1
                if renew:
                    self._start()
            else:
                assert process.exitcode == 0, f"a writer ended with {process.exitcode}"
                self._told.append(pipe.recv())
            del self._running[process]
            pipe.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave no process behind."""
        for process, pipe in self._running.items():
            process.kill()
            process.join()
            pipe.close()
        self._stack.close()
        self._database.close()


def _parts(rows: Rows) -> list[dict[Any, Any]]:
    """Without rows that add nothing: whoever makes one may be killed before it adds to it."""
    buckets = {key: sums for key, sums in rows.buckets.items() if any(sums)}
    latencies = {key: counts for key, counts in rows.latencies.items() if counts}
    return [buckets, latencies, +rows.statuses, rows.endpoints]


def _differences(found: Rows, expected: Rows) -> int:
    return sum(
        one.get(key) != other.get(key)
        for one, other in zip(_parts(found), _parts(expected), strict=True)
        for key in one.keys() | other.keys()
    )
