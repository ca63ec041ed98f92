"""Two-host benchmark: sums and the workers' table when one host is cut off from the other.

``python -m benchmarks.hosts`` (`make bench-hosts`) starts a server on each of two hosts that differ
in name and by 90 s in time, sends both a steady stream of requests, cuts the network of one for
75 s, and compares. It takes two minutes and writes its section of RESULTS.md.
"""

import argparse
import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import make_url

from benchmarks.failover import postgres_version
from benchmarks.machine import machine
from benchmarks.outages import PATIENCE_SECONDS, ROOT
from benchmarks.sections import write_section
from benchmarks.support.clients import Client
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.proxy import Proxy
from benchmarks.support.servers import Server, uvicorn
from fastapi_lens import LensConfig
from fastapi_lens.errors import StorageError
from fastapi_lens.reporting.model import Window, Worker
from fastapi_lens.runtime.lens import Lens

AHEAD_SECONDS = 90
PER_SECOND = 50
"""Requests to each host."""

FLUSH_SECONDS = 1
LOOK_EVERY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Lengths:
    """Duration of each part, in seconds."""

    before: float
    cut: float
    after: float


# A worker is silent after a minute.
FULL = Lengths(before=10.0, cut=75.0, after=15.0)
QUICK = Lengths(before=3.0, cut=5.0, after=5.0)


class Host:
    """A server with a name and a clock, and a stream of requests to it."""

    def __init__(self, folder: Path, name: str, url: str, *, ahead_seconds: float) -> None:
        """Start the server and wait until it answers."""
        env = {
            "PYTHONPATH": str(ROOT),
            "HOSTED_NAME": name,
            "HOSTED_AHEAD_SECONDS": str(ahead_seconds),
            "LENS_DATABASE_URL": url,
            "LENS_FLUSH_INTERVAL": str(FLUSH_SECONDS),
        }
        args = ["--log-level", "warning", "--timeout-keep-alive", "600"]
        self.server: Server = uvicorn("benchmarks.hosted:app", cwd=folder, env=env, args=args)
        self.server.wait()
        self.answered = 0
        self._ended = threading.Event()
        self._stream = threading.Thread(target=lambda: asyncio.run(self._ask()))
        self._stream.start()

    def end_stream(self) -> None:
        """Send no more requests."""
        self._ended.set()
        self._stream.join()

    async def _ask(self) -> None:
        client = await Client.connect(self.server.port)
        while not self._ended.is_set():
            if await client.get("/things/7") is None:
                raise SystemExit("hosts: a request failed")
            self.answered += 1
            await asyncio.sleep(1 / PER_SECOND)
        await client.close()


@dataclass(frozen=True, slots=True)
class Line:
    """One line per host of the workers' table, at a time."""

    seconds: float
    phase: str
    told: tuple[str, ...]


class Story:
    """Changes of the workers' table over time."""

    def __init__(self, lens: Lens) -> None:
        """Note nothing yet."""
        self._lens = lens
        self._begun = time.monotonic()
        self.lines: list[Line] = []

    def watch(self, phase: str, seconds: float) -> None:
        """Look at the table for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            told = tuple(map(_told, self._workers()))
            if not self.lines or (phase, told) != (self.lines[-1].phase, self.lines[-1].told):
                self.lines.append(Line(time.monotonic() - self._begun, phase, told))
            time.sleep(LOOK_EVERY_SECONDS)

    def _workers(self) -> list[Worker]:
        return sorted(self._lens.reader.workers(time.time()), key=lambda one: one.host)


def _told(worker: Worker) -> str:
    text = f"{worker.host} {worker.state.value}"
    if worker.clock_is_off:
        text += f", clock {worker.clock_ahead_seconds:.0f} s ahead"
    return text


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answers, final counts, and the workers' table in between."""

    sent: int
    counted: int
    dropped: int
    resumed_seconds: float
    lines: list[Line]


def run(lengths: Lengths) -> Outcome:
    """Two hosts, one of them behind a network that is cut."""
    with TemporaryDirectory() as folder, PostgresServer() as postgres:
        url = make_url(postgres.create_database())
        lens = Lens(LensConfig(database_url=str(url), app_name="troubled"))
        lens.prepare()
        with Proxy(postgres.port) as proxy:
            cuttable = str(url.set(port=proxy.port))
            hosts = [
                Host(Path(folder), "east", str(url), ahead_seconds=AHEAD_SECONDS),
                Host(Path(folder), "west", cuttable, ahead_seconds=0),
            ]
            story = Story(lens)
            story.watch("before", lengths.before)
            proxy.stall()
            story.watch("cut", lengths.cut)
            # The connections that there were have ended meanwhile.
            proxy.cut()
            proxy.go_on()
            due = sum(host.answered for host in hosts)
            resumed_seconds = _wait_for(lens, due)
            story.watch("after", lengths.after)
            for host in hosts:
                host.end_stream()
                host.server.stop()
            story.watch("stopped", 1.0)
        sent = sum(host.answered for host in hosts)
        dropped = lens.reader.health(time.time()).dropped
        outcome = Outcome(sent, _counted(lens), dropped, resumed_seconds, story.lines)
        lens.database.close()
        return outcome


def _counted(lens: Lens) -> int:
    try:
        found = lens.reader.endpoints(window=Window(), now=time.time())
    except StorageError:
        return 0
    return sum(one.usage.calls for one in found)


def _wait_for(lens: Lens, calls: int) -> float:
    """Seconds until so many calls are counted, or until patience ends."""
    begun = time.monotonic()
    while _counted(lens) < calls and time.monotonic() - begun < PATIENCE_SECONDS:
        time.sleep(LOOK_EVERY_SECONDS)
    return time.monotonic() - begun


def section(outcome: Outcome, lengths: Lengths, *, server: str) -> str:
    """The section of RESULTS.md."""
    rows = "\n".join(
        f"| {line.seconds:.0f} s | {line.phase} | {'; '.join(line.told)} |"
        for line in outcome.lines
    )
    return f"""## Two hosts, one of them cut off

`make bench-hosts`, {datetime.now(UTC).date().isoformat()}, {machine()}, PostgreSQL {server}. Two \
servers with names and clocks of their own ({AHEAD_SECONDS} s apart) are asked {PER_SECOND} times \
a second each. The network between one of them and the database is cut for {lengths.cut:g} s.

Answered: {outcome.sent:,} requests. Counted in the end: {outcome.counted:,}, dropped: \
{outcome.dropped}. Everything that had waited was counted {outcome.resumed_seconds:.1f} s after \
the network was back. What the table of workers told:

| at | network | workers |
|---|---|---|
{rows}
"""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Cut one of two hosts off and recount.")
    parser.add_argument("--quick", action="store_true", help="a short cut; writes nothing")
    options = parser.parse_args()
    lengths = QUICK if options.quick else FULL
    outcome = run(lengths)
    body = section(outcome, lengths, server=postgres_version())
    print(body)
    if outcome.dropped or outcome.counted != outcome.sent:
        raise SystemExit("hosts: not exact")
    if not options.quick:
        write_section(Path(__file__).with_name("RESULTS.md"), "hosts", body)


if __name__ == "__main__":
    main()
