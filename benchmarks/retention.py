"""Retention benchmark: requests and flushes while 10 million requests' history is deleted.

``python -m benchmarks.retention`` (`make bench-retention`) takes eight minutes and writes its
section of RESULTS.md; ``--quick`` one minute, with rough numbers and no file. Two uvicorn workers
are asked at a steady rate, while nothing is deleted and while one of them deletes, in turns. Which
of the two it is they settle between them.
"""

import argparse
import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.engine import make_url

from benchmarks.machine import machine
from benchmarks.old_rows import OLD_ENDPOINTS, Old
from benchmarks.outages import Asking
from benchmarks.sections import write_section
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.servers import Server, uvicorn

ROOT = Path(__file__).parents[1]

ENDPOINTS = 50
"""Of the application, all of them asked for all the time."""

FLUSHED = "flushed"
"""Begins a line of its log that says when a flush ended, and how long it took."""

TURN_SECONDS = 2.0
PATHS = tuple(f"/things-{number}/7" for number in range(ENDPOINTS))
PATIENCE_TURNS = 300
TOLD = re.compile(r"deleted (\d+) rows .* longest of (\d+) chunks took ([\d.]+) ms")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Amount of work.

    Attributes:
        rounds: Deletions; each has its share of the history.
        quiet_turns: Before each of them, and after the last one.
        share: Of the history.
    """

    rounds: int
    quiet_turns: int
    share: float


FULL = Lengths(rounds=4, quiet_turns=10, share=1.0)
QUICK = Lengths(rounds=2, quiet_turns=2, share=0.05)


@dataclass(slots=True)
class Phase:
    """Figures of a phase with or without a deletion.

    Attributes:
        latencies_ms: Of the answers, from when each request was due.
        failed: Requests without an answer.
        spans: When it was, in epoch seconds.
        flushes_ms: Durations of the workers' flushes.
    """

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    flushes_ms: list[float] = field(default_factory=list)

    def percentile_ms(self, percent: int) -> float:
        """A percentile of the latencies."""
        return quantiles(self.latencies_ms, n=100)[percent - 1]

    def flush_ms(self, percent: int) -> float:
        """A percentile of the durations of flushes."""
        return quantiles(self.flushes_ms, n=100, method="inclusive")[percent - 1]


@dataclass(slots=True)
class Outcome:
    """One kind of database.

    Attributes:
        rows: That were deleted.
        chunks: In which it was done.
        longest_ms: Of them.
        file_bytes: The size before the deletion and after it, of the first round.
        log_bytes: The longest log of SQLite's.
    """

    name: str
    quiet: Phase = field(default_factory=Phase)
    deleting: Phase = field(default_factory=Phase)
    rows: int = 0
    chunks: int = 0
    longest_ms: float = 0.0
    file_bytes: list[tuple[int, int]] = field(default_factory=list)
    log_bytes: int = 0


class Workers:
    """Two servers that share a database."""

    def __init__(self, folder: Path, url: str) -> None:
        """Start them; they write every second."""
        env = {
            "PYTHONPATH": str(ROOT),
            "LENS_DATABASE_URL": url,
            "LENS_FLUSH_INTERVAL": "1",
        }
        args = ["--log-level", "warning", "--timeout-keep-alive", "600"]
        self.servers: list[Server] = []
        for _ in range(2):
            server = uvicorn("benchmarks.pruned:app", cwd=folder, env=env, args=args)
            self.servers.append(server.wait())
        self._asking = [Asking(server.port, PATHS) for server in self.servers]

    def ask(self, phase: Phase) -> None:
        """Ask both for a turn."""

        async def both() -> list[Any]:
            return await asyncio.gather(*(each.run(TURN_SECONDS) for each in self._asking))

        begun = time.time()
        for answers in asyncio.run(both()):
            phase.latencies_ms += answers.latencies_ms
            phase.failed += answers.failed
        phase.spans.append((begun, time.time()))

    def told(self) -> list[tuple[int, int, float]]:
        """Logged deletions: rows, chunks, the longest in milliseconds."""
        return [
            (int(found[1]), int(found[2]), float(found[3]))
            for server in self.servers
            for found in TOLD.finditer(server.log)
        ]

    def flushes(self) -> Iterator[tuple[float, float]]:
        """When each flush ended, and the milliseconds that it took."""
        for server in self.servers:
            for line in server.log.splitlines():
                if line.startswith(FLUSHED):
                    _, at, took_ms = line.split()
                    yield float(at), float(took_ms)

    def stop(self) -> None:
        """End both."""
        for server in self.servers:
            server.stop()


@contextmanager
def watched_log(url: str, outcome: Outcome) -> Iterator[None]:
    """Note the longest log of SQLite's while something goes on."""
    log, over = Path(f"{make_url(url).database}-wal"), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if log.exists():
                outcome.log_bytes = max(outcome.log_bytes, log.stat().st_size)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    over.set()
    thread.join()


def measure(name: str, url: str, folder: Path, lengths: Lengths) -> Outcome:
    """Delete several times, and ask in between, too."""
    outcome = Outcome(name)
    with ExitStack() as stack:
        workers = Workers(folder, url)
        stack.callback(workers.stop)
        old = stack.enter_context(closing(Old(url)))
        workers.ask(Phase())
        for number in range(lengths.rounds):
            print(f"retention: {name}, {number + 1} of {lengths.rounds}", flush=True)
            one_round(workers, old, outcome, lengths)
        for _ in range(lengths.quiet_turns):
            workers.ask(outcome.quiet)
        take_down(workers, outcome)
    return outcome


def one_round(workers: Workers, old: Old, outcome: Outcome, lengths: Lengths) -> None:
    """Put a part of the history there, ask for a while, and then while it is deleted."""
    old.keep_lease(seconds=1_000)
    old.fill(lengths.share / lengths.rounds)
    workers.ask(Phase())
    for _ in range(lengths.quiet_turns):
        workers.ask(outcome.quiet)
    before, told = old.size(), len(workers.told())
    old.keep_lease(seconds=-10)
    with watched_log(old.url, outcome):
        for _ in range(PATIENCE_TURNS):
            workers.ask(outcome.deleting)
            if len(workers.told()) > told:
                break
        else:
            raise SystemExit("retention: no worker logged the end of its deletion")
    old.keep_lease(seconds=1_000)
    outcome.file_bytes.append((before, old.size()))


def take_down(workers: Workers, outcome: Outcome) -> None:
    """Take from the workers' logs what they have done."""
    for rows, chunks, longest_ms in workers.told():
        outcome.rows += rows
        outcome.chunks += chunks
        outcome.longest_ms = max(outcome.longest_ms, longest_ms)
    for at, took_ms in workers.flushes():
        for phase in (outcome.quiet, outcome.deleting):
            if any(begun <= at <= ended for begun, ended in phase.spans):
                phase.flushes_ms.append(took_ms)


def section(outcomes: list[Outcome], *, command: str) -> str:
    """The section of RESULTS.md."""
    requests = "\n".join(
        f"| {one.name} | {_two(one, 50)} | {_two(one, 99)} "
        f"| {one.deleting.percentile_ms(99) / one.quiet.percentile_ms(99):.2f} "
        f"| {one.quiet.failed + one.deleting.failed} "
        f"| {_two_flushes(one, 50)} | {_two_flushes(one, 99)} "
        f"| {one.deleting.flush_ms(99) / one.quiet.flush_ms(99):.2f} |"
        for one in outcomes
    )
    work = "\n".join(
        f"| {one.name} | {one.rows:,} | {sum(b - a for a, b in one.deleting.spans):.0f} s "
        f"| {one.chunks:,} | {one.longest_ms:.1f} ms "
        f"| {one.file_bytes[0][0] / 1e6:.1f} → {one.file_bytes[0][1] / 1e6:.1f} MB "
        f"| {f'{one.log_bytes / 1e6:.1f} MB' if one.log_bytes else '–'} |"
        for one in outcomes
    )
    return f"""## Deleting what is past its retention

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}. {OLD_ENDPOINTS} endpoints' \
history of 10 million requests (minutes, hours, days and status codes) is put into the database in \
{len(outcomes[0].file_bytes)} parts, past its retention, and deleted by one of two uvicorn \
workers, each asked 400 times a second for {ENDPOINTS} endpoints that it writes every second. In \
milliseconds, while nothing is deleted / while something is:

| database | p50 | p99 | ratio | requests failed | p50 of a flush | p99 of a flush | ratio |
|---|---|---|---|---|---|---|---|
{requests}

| database | rows deleted | in | chunks | longest chunk | size in the first part | longest WAL |
|---|---|---|---|---|---|---|
{work}
"""


def _two(one: Outcome, percent: int) -> str:
    return f"{one.quiet.percentile_ms(percent):.2f} / {one.deleting.percentile_ms(percent):.2f}"


def _two_flushes(one: Outcome, percent: int) -> str:
    return f"{one.quiet.flush_ms(percent):.1f} / {one.deleting.flush_ms(percent):.1f}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Delete history and see who notices.")
    parser.add_argument("--quick", action="store_true", help="rough numbers in a minute, no file")
    quick = parser.parse_args().quick
    lengths = QUICK if quick else FULL
    outcomes = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        outcomes.append(measure("SQLite", f"sqlite:///{folder}/lens.db", folder, lengths))
        with PostgresServer() as postgres:
            outcomes.append(measure("PostgreSQL", postgres.create_database(), folder, lengths))
    body = section(outcomes, command="make bench-retention")
    if not quick:
        write_section(Path(__file__).with_name("RESULTS.md"), "retention", body)
    print(body)


if __name__ == "__main__":
    main()
