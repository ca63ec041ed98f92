"""Failover benchmark: no count is lost or doubled when a PostgreSQL primary is killed.

``python -m benchmarks.failover`` (`make bench-failover`) starts a primary and its synchronous
standby, asks a server with two workers all the time, kills the primary in the middle, promotes
the standby some seconds later, as whatever watches over the pair would, and compares what was
answered with what was counted. It takes six minutes and writes its section of RESULTS.md.
"""

import argparse
import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import machine
from benchmarks.outages import CONNECTIONS, PATIENCE_SECONDS, PER_SECOND, ROOT, Answers, Asking
from benchmarks.sections import write_section
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.servers import Server, uvicorn
from benchmarks.support.standby import StandbyServer
from fastapi_lens import LensConfig
from fastapi_lens.errors import StorageError
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens

WORKERS = 2
FLUSH_SECONDS = 0.5
LOOK_EVERY_SECONDS = 0.05
WARM_UP_SECONDS = 2.0
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Lengths:
    """Duration of each part, in seconds."""

    before: float
    without_primary: float
    after: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.before + self.without_primary + self.after


FULL = Lengths(before=10.0, without_primary=10.0, after=20.0)
QUICK = Lengths(before=2.0, without_primary=2.0, after=5.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One failover.

    Attributes:
        sent: Requests that were answered.
        failed: Requests without an answer.
        counted: Calls in the database in the end.
        dropped: Calls that the lens itself counts as lost.
        promoted_seconds: From the kill until the standby took writes.
        resumed_seconds: From then until the next call was counted.
        waiting: Calls that were answered and not yet counted, at most.
        per_second: Requests that were answered in a second. No latencies: uvicorn's workers share
            a socket that asyncio does not know for TCP, so Nagle's algorithm makes each answer
            wait 44 ms for an acknowledgement, with the lens and without.
    """

    sent: int
    failed: int
    counted: int
    dropped: int
    promoted_seconds: float
    resumed_seconds: float
    waiting: int
    per_second: float


class Onlooker:
    """Reads from the standby what has been counted, before and after it is promoted."""

    def __init__(self, standby: StandbyServer, name: str) -> None:
        """Open nothing yet."""
        url = f"postgresql+psycopg://lens@127.0.0.1:{standby.port}/{name}"
        self.lens = Lens(LensConfig(database_url=url, app_name="troubled"))
        self.waiting = 0

    def counted(self) -> int:
        """Calls in the database; 0 while it has no tables, or cannot be read."""
        try:
            found = self.lens.reader.endpoints(window=Window(), now=time.time())
        except StorageError:
            return 0
        return sum(one.usage.calls for one in found)

    def watch(self, asking: Asking, until: Callable[[int], bool]) -> float:
        """Seconds until so many calls are counted, or until patience ends."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            counted = self.counted()
            self.waiting = max(self.waiting, asking.sent - counted)
            if until(counted):
                break
            time.sleep(LOOK_EVERY_SECONDS)
        return time.monotonic() - begun


def serve(folder: Path, url: str) -> Server:
    """A server with two workers whose lens writes to both hosts of the URL."""
    env = {
        "PYTHONPATH": str(ROOT),
        "LENS_DATABASE_URL": url,
        "LENS_FLUSH_INTERVAL": str(FLUSH_SECONDS),
    }
    quiet = ("--log-level", "warning", "--timeout-keep-alive", "600")
    args = ["--workers", str(WORKERS), *quiet]
    return uvicorn("benchmarks.troubled:app", cwd=folder, env=env, args=args).wait()


def fail_over(lengths: Lengths) -> Outcome:
    """Two servers of their own, one of which dies."""
    with (
        TemporaryDirectory() as folder,
        PostgresServer() as primary,
        StandbyServer(primary) as standby,
    ):
        url = primary.create_database()
        onlooker = Onlooker(standby, url.rpartition("/")[2])
        with serve(Path(folder), standby.url_of_both(url)) as server:
            asking, answers = Asking(server.port), list[Answers]()
            # A server with several workers listens before any of them is there.
            answers.append(asyncio.run(asking.run(WARM_UP_SECONDS)))
            load = threading.Thread(
                target=lambda: answers.append(asyncio.run(asking.run(lengths.total)))
            )
            load.start()
            begun = time.monotonic()
            onlooker.watch(asking, lambda _: time.monotonic() - begun >= lengths.before)
            primary.crash()
            killed = time.monotonic()
            onlooker.watch(asking, lambda _: time.monotonic() - killed >= lengths.without_primary)
            left = onlooker.counted()
            standby.promote()
            promoted_seconds = time.monotonic() - killed
            resumed_seconds = onlooker.watch(asking, lambda counted: counted > left)
            load.join()
            per_second = len(answers[-1].latencies_ms) / (time.monotonic() - begun)
        # The server has ended, and with it the last write.
        outcome = Outcome(
            sent=sum(len(part.latencies_ms) for part in answers),
            failed=sum(part.failed for part in answers),
            counted=onlooker.counted(),
            dropped=onlooker.lens.reader.health(time.time()).dropped,
            promoted_seconds=promoted_seconds,
            resumed_seconds=resumed_seconds,
            waiting=onlooker.waiting,
            per_second=per_second,
        )
        onlooker.lens.database.close()
        return outcome


def section(outcomes: list[Outcome], *, command: str, server: str) -> str:
    """The section of RESULTS.md."""
    rows = "\n".join(
        f"| {one.sent:,} | {one.failed} | {one.counted:,} | {one.dropped} "
        f"| {one.promoted_seconds:.1f} s | {one.resumed_seconds:.1f} s | {one.waiting:,} "
        f"| {one.per_second:.0f} |"
        for one in outcomes
    )
    return f"""## A primary that is killed

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, PostgreSQL {server}. A primary \
with a synchronous standby, and a URL that names both. uvicorn with {WORKERS} workers is asked \
over {CONNECTIONS} connections as often as they are answered, at most {PER_SECOND} times a second, \
and its lens writes every {FLUSH_SECONDS:g} s. The primary is killed (SIGKILL) under load, the \
standby promoted some seconds later, and the server stopped at the end.

| answered | failed | counted | dropped | promoted after | recording resumed after another | \
calls waiting at most | requests a second |
|---|---|---|---|---|---|---|---|
{rows}

Each call that was answered is counted once. What waits, waits as sums per endpoint, minute and \
status, so that it grows with the endpoints that are called and not with the calls.
"""


def check(outcomes: list[Outcome]) -> None:
    """Refuse to write that all is well when it is not."""
    for one in outcomes:
        if one.failed or one.dropped or one.counted != one.sent:
            raise SystemExit(f"failover: not exact: {one}")


def postgres_version() -> str:
    """Of the servers that are started here."""
    with PostgresServer() as server:
        ((version,),) = server.execute("SHOW server_version")
        return str(version)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Kill a primary under load and recount.")
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often ({ROUNDS})")
    options = parser.parse_args()
    lengths, rounds = (QUICK, 1) if options.quick else (FULL, options.rounds)
    outcomes = []
    for number in range(1, rounds + 1):
        print(f"failover: round {number} of {rounds}", flush=True)
        outcomes.append(fail_over(lengths))
    command = "make bench-failover" + ("" if rounds == ROUNDS else f' ARGS="--rounds {rounds}"')
    body = section(outcomes, command=command, server=postgres_version())
    print(body)
    check(outcomes)
    if not options.quick:
        write_section(Path(__file__).with_name("RESULTS.md"), "failover", body)


if __name__ == "__main__":
    main()
