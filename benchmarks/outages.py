"""Outage benchmark: effect of a database in trouble on requests, and dropped counts.

``python -m benchmarks.outages`` (`make bench-outages`) takes 16 minutes and writes its section of
RESULTS.md; ``--quick`` one minute, with rough numbers. A server is asked at a steady rate before,
during and after each trouble; a request is late when it waits for the one before, too, so that a
server that stands still for a moment shows.
"""

import argparse
import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.machine import machine
from benchmarks.sections import write_section
from benchmarks.support.clients import Client
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.servers import Server, uvicorn
from benchmarks.troubles import LASTING, SUDDEN, Target
from fastapi_lens import LensConfig
from fastapi_lens.errors import StorageError
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens

ROOT = Path(__file__).parents[1]

CONNECTIONS = 8
PER_SECOND = 400
"""Requests, evenly spread over the connections."""

WARM_UP_SECONDS = 1.0
PATIENCE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Lengths:
    """Duration of each part, in seconds."""

    quiet: float
    sudden: float
    locked: float
    down: float


FULL = Lengths(quiet=10.0, sudden=10.0, locked=30.0, down=60.0)
QUICK = Lengths(quiet=1.0, sudden=2.0, locked=2.0, down=2.0)
FULL_ROUNDS = 3
"""Rounds of all troubles, one after the other: the p99 of ten seconds differs by a tenth and
more from that of the next ten, also where nothing is the matter."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers during a phase.

    Attributes:
        latencies_ms: Of the answers, from when each request was due.
        failed: Requests without an answer; another status than 200 ends the program.
    """

    latencies_ms: list[float]
    failed: int

    def percentile_ms(self, percent: int) -> float:
        """A percentile of the latencies."""
        return quantiles(self.latencies_ms, n=100)[percent - 1]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trouble.

    Attributes:
        before: The answers before it.
        during: The answers while it lasted; of one that is over at once, from then on.
        after: The answers when all was written again.
        kept: Calls that were counted in the end, of those that had to be.
        due: Calls that had to be.
        dropped: Calls that the lens itself counts as lost.
        resumed_seconds: From the end of the trouble until everything was written; of one that is
            over at once, until anything was.
    """

    name: str
    seconds: float
    before: Answers
    during: Answers
    after: Answers
    kept: int
    due: int
    dropped: int
    resumed_seconds: float

    @property
    def failed(self) -> int:
        """Requests without an answer."""
        return self.before.failed + self.during.failed + self.after.failed

    @property
    def slowed(self) -> float:
        """The p99 during the trouble, as a multiple of the p99 before and after it together."""
        quiet = Answers([*self.before.latencies_ms, *self.after.latencies_ms], 0)
        return self.during.percentile_ms(99) / quiet.percentile_ms(99)


class Asking:
    """Asks a server at a steady rate and keeps count."""

    def __init__(self, port: int, paths: Sequence[str] = ("/things/7",)) -> None:
        """Connect to nothing yet."""
        self._port = port
        self._paths = paths
        self.sent = 0

    async def run(self, seconds: float) -> Answers:
        """Ask for a while."""
        answers = Answers([], 0)
        failed = await asyncio.gather(
            *(self._ask(answers, number, seconds) for number in range(CONNECTIONS))
        )
        return Answers(answers.latencies_ms, sum(failed))

    async def _ask(self, answers: Answers, number: int, seconds: float) -> int:
        client, failed = await Client.connect(self._port), 0
        gap = CONNECTIONS / PER_SECOND
        begin = time.perf_counter() + gap * number / CONNECTIONS
        for turn in range(round(seconds / gap)):
            due = begin + turn * gap
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.sent += 1
            if await client.get(self._paths[self.sent % len(self._paths)]) is None:
                failed += 1
                client = await Client.connect(self._port)
            else:
                answers.latencies_ms.append((time.perf_counter() - due) * 1_000)
        await client.close()
        return failed


class Watched:
    """A server with a lens, and what the database says of it."""

    def __init__(self, folder: Path, url: str) -> None:
        """Start the server; it writes every second."""
        env = {
            "PYTHONPATH": str(ROOT),
            "LENS_DATABASE_URL": url,
            "LENS_FLUSH_INTERVAL": "1",
        }
        args = ["--log-level", "warning", "--timeout-keep-alive", "600"]
        self.server: Server = uvicorn("benchmarks.troubled:app", cwd=folder, env=env, args=args)
        self.server.wait()
        self.asking = Asking(self.server.port)
        self._lens = Lens(LensConfig(database_url=url, app_name="troubled"))

    def counted(self) -> int:
        """Calls in the database; -1 while it cannot be read."""
        try:
            found = self._lens.reader.endpoints(window=Window(), now=time.time())
        except StorageError:
            return -1
        return sum(one.usage.calls for one in found)

    def wait_for(self, calls: int) -> float:
        """Seconds until so many calls are counted, or until patience ends."""
        begun = time.monotonic()
        while self.counted() < calls and time.monotonic() - begun < PATIENCE_SECONDS:
            time.sleep(0.1)
        return time.monotonic() - begun

    @contextmanager
    def noting_first(self, seconds: list[float]) -> Iterator[None]:
        """Note in how many seconds a call is counted again, while something else goes on."""
        thread = threading.Thread(target=lambda: seconds.append(self.wait_for(1)))
        thread.start()
        yield
        thread.join()

    def dropped(self) -> int:
        """Calls that the lens counts as lost."""
        return self._lens.reader.health(time.time()).dropped

    def stop(self) -> None:
        """End both."""
        self._lens.stop()
        self.server.stop()


def endure(
    watched: Watched,
    name: str,
    trouble: AbstractContextManager[None],
    *,
    seconds: float,
    quiet_seconds: float,
    takes_along: bool = False,
) -> Outcome:
    """Ask before, during and after a trouble, and wait until everything is counted."""
    print(f"outages: {name}", flush=True)
    asking = watched.asking
    asyncio.run(asking.run(WARM_UP_SECONDS))
    before = asyncio.run(asking.run(quiet_seconds))
    watched.wait_for(asking.sent)
    gone = asking.sent if takes_along else 0
    resumed: list[float] = []
    with trouble, watched.noting_first(resumed) if takes_along else nullcontext():
        during = asyncio.run(asking.run(seconds))
        due = asking.sent - gone
    waited = watched.wait_for(due)
    after = asyncio.run(asking.run(quiet_seconds))
    due = asking.sent - gone
    watched.wait_for(due)
    kept, dropped = watched.counted(), watched.dropped()
    return Outcome(
        name, seconds, before, during, after, kept, due, dropped, (resumed or [waited])[0]
    )


def measure(lengths: Lengths) -> list[Outcome]:
    """Every trouble, each with a server and a database of its own."""
    outcomes = []
    for name, trouble in {**LASTING, **SUDDEN}.items():
        with TemporaryDirectory() as folder, sqlite_server(Path(folder)) as (watched, target):
            outcomes.append(
                endure(
                    watched,
                    name,
                    trouble(target),
                    seconds=lengths.locked if name == "locked" else lengths.sudden,
                    quiet_seconds=lengths.quiet,
                    takes_along=name in SUDDEN,
                )
            )
    with TemporaryDirectory() as folder, PostgresServer() as postgres:
        watched = Watched(Path(folder), postgres.create_database())
        try:
            outcomes.append(
                endure(
                    watched,
                    "PostgreSQL stopped",
                    halted(postgres),
                    seconds=lengths.down,
                    quiet_seconds=lengths.quiet,
                )
            )
        finally:
            watched.stop()
    return outcomes


@contextmanager
def sqlite_server(folder: Path) -> Iterator[tuple[Watched, Target]]:
    """A server whose lens writes to a file."""
    file = folder / "lens.db"
    watched = Watched(folder, f"sqlite:///{file}")
    try:
        yield watched, Target(file, watched.server.process.pid)
    finally:
        watched.stop()


@contextmanager
def halted(postgres: PostgresServer) -> Iterator[None]:
    """A PostgreSQL that is stopped and started again."""
    postgres.halt()
    yield
    postgres.resume()


def section(rounds: Sequence[Sequence[Outcome]], *, command: str) -> str:
    """The section of RESULTS.md.

    Args:
        rounds: Of each round the outcomes of the same troubles in the same order.
        command: Command line of the measurement.
    """
    troubles = list(zip(*rounds, strict=True))
    rows = "\n".join(map(_row, troubles))
    ratio = median(_slowed(outcomes) for outcomes in troubles)
    return f"""## A database in trouble

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}. One uvicorn worker is asked \
{PER_SECOND} times a second over {CONNECTIONS} connections, and its lens writes every second; each \
trouble comes {len(rounds)} times, each time with a new server and a new database. Latencies are \
in milliseconds (before, during and after the trouble; medians over the rounds). The ratio is that \
of the p99 during it to the p99 before and after it: the median of the rounds, and all of them. \
Requests and calls are those of all rounds, the last column is the longest. Of a trouble that \
destroys what had been written, only the calls after it have to be counted.

| trouble | for | requests failed | p50 | p99 | ratio | calls counted | dropped | resumed after |
|---|---|---|---|---|---|---|---|---|
{rows}

The p99 during a trouble is {ratio:.2f} times the undisturbed one (median; the budget is 1.10).
"""


def _row(outcomes: Sequence[Outcome]) -> str:
    """The row of one trouble, from its rounds."""
    kept, due = sum(one.kept for one in outcomes), sum(one.due for one in outcomes)
    each = ", ".join(f"{one.slowed:.2f}" for one in outcomes)
    cells = (
        outcomes[0].name,
        f"{outcomes[0].seconds:g} s",
        str(sum(one.failed for one in outcomes)),
        _three(outcomes, 50),
        _three(outcomes, 99),
        f"{_slowed(outcomes):.2f} ({each})",
        f"{kept:,} of {due:,}",
        str(sum(one.dropped for one in outcomes)),
        f"{max(one.resumed_seconds for one in outcomes):.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def _slowed(outcomes: Sequence[Outcome]) -> float:
    return median(one.slowed for one in outcomes)


def _three(outcomes: Sequence[Outcome], percent: int) -> str:
    parts = zip(*((one.before, one.during, one.after) for one in outcomes), strict=True)
    return " / ".join(f"{median(one.percentile_ms(percent) for one in part):.2f}" for part in parts)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Trouble a database and see who notices.")
    parser.add_argument("--quick", action="store_true", help="rough numbers in one minute")
    options = parser.parse_args()
    lengths, rounds = (QUICK, 1) if options.quick else (FULL, FULL_ROUNDS)
    outcomes = [measure(lengths) for _ in range(rounds)]
    command = "make bench-outages" + (" ARGS=--quick" if options.quick else "")
    body = section(outcomes, command=command)
    write_section(Path(__file__).with_name("RESULTS.md"), "outages", body)
    print(body)


if __name__ == "__main__":
    main()
