"""Fifty reports at once, without a key and with one: `make bench-admin-load`.

Without: they are refused, in memory that does not grow. With: the application's own endpoints are
asked at a steady rate, in turn while nobody asks for reports and while fifty do; the medians of the
rounds are compared. Writes its section of RESULTS.md in six minutes; ``--quick`` measures
less. Its numbers are worth something only while the machine does nothing else. Linux only: it
reads ``/proc``.
"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.admin_load_clients import CLIENTS, CONNECTED
from benchmarks.machine import machine, versions
from benchmarks.sections import write_section
from benchmarks.storage import lay_down, resident_kib
from benchmarks.storage_results import percentile
from benchmarks.storage_routes import BUSY, UNUSED, paths
from benchmarks.support.clients import Client
from benchmarks.support.ports import free_port
from benchmarks.support.servers import Server

ROOT = Path(__file__).parents[1]
REPORT = "/lens/report"
KEY = "the-key-of-the-benchmark"
CONNECTIONS, PER_SECOND = 4, 400
"""Of the application's own requests."""

EVERY_SECONDS = 5.0
"""In which a page of the admin asks anew by itself."""

SETTLE_SECONDS = 1.0
"""From when fifty clients have connected, which no server does unnoticed, until anything counts."""

READING_PERCENT, CEASELESS_PERCENT, GROWTH_KIB = 20.0, 50.0, 2_048


@dataclass(frozen=True, slots=True)
class Plan:
    """Amount of work to measure.

    Attributes:
        days: Length of the history.
        refused_seconds: Duration of the refused reports; half as long before that, to warm up.
        rounds: Comparisons of each kind of load that has a budget; of the
            others half as often.
        seconds: Length of each half of a round.
    """

    days: int
    refused_seconds: float
    rounds: int
    seconds: float


FULL = Plan(2, refused_seconds=4.0, rounds=10, seconds=5.0)
QUICK = Plan(1, refused_seconds=1.0, rounds=1, seconds=1.0)


@dataclass(frozen=True, slots=True)
class Refused:
    """Reports without a key: how many, in what time, and resident memory before and after."""

    answers: int
    seconds: float
    before_kib: int
    after_kib: int
    peak_kib: int


@dataclass(frozen=True, slots=True)
class Compared:
    """The application's own requests: milliseconds of each round, idle and under load."""

    idle: list[list[float]]
    loaded: list[list[float]]
    reports: int
    took_ms: list[float]

    def ms(self, rounds: list[list[float]], percent: int) -> float:
        """The median of the rounds' percentiles."""
        return median(percentile(times, percent) for times in rounds)

    @property
    def slower_percent(self) -> float:
        """By how much the p99 is above that of idle rounds."""
        return 100 * (self.ms(self.loaded, 99) / self.ms(self.idle, 99) - 1)


@dataclass(frozen=True, slots=True)
class Loads:
    """Each kind of load beside idle rounds; `own` asks the application itself, not the lens."""

    reading: Compared
    ceaseless: Compared
    together: Compared
    own: Compared


@contextmanager
def fifty(
    port: int, path: str, *, seconds: float, every: float, key: str, how: str
) -> Iterator[list[str]]:
    """Fifty clients in a process of their own; its output is in the list afterwards."""
    arguments = [str(port), path, str(SETTLE_SECONDS + seconds), str(every), key, how]
    argv = [sys.executable, "-m", "benchmarks.admin_load_clients", *arguments]
    output: list[str] = []
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline().strip() == CONNECTED
        time.sleep(SETTLE_SECONDS)
        yield output
        output.append(asking.communicate()[0])
    assert asking.returncode == 0


def own_urls() -> list[str]:
    """The application's own endpoints that are called."""
    return [path.replace("{thing_id}", "7") for path in paths()[:BUSY]]


async def use(port: int, seconds: float) -> list[float]:
    """Call the application's own endpoints for a while; milliseconds of each call."""
    found: list[float] = []
    urls = own_urls()
    gap = CONNECTIONS / PER_SECOND

    async def one(number: int) -> None:
        client = await Client.connect(port)
        begin = time.perf_counter() + gap * number / CONNECTIONS
        for turn in range(round(seconds / gap)):
            await asyncio.sleep(max(0.0, begin + turn * gap - time.perf_counter()))
            question = time.perf_counter()
            assert await client.get(urls[(turn * CONNECTIONS + number) % len(urls)])
            found.append(1_000 * (time.perf_counter() - question))
        await client.close()

    await asyncio.gather(*map(one, range(CONNECTIONS)))
    return found


def refused(server: Server, plan: Plan) -> Refused:
    """Ask for reports without a key, without a pause."""

    def flood(seconds: float) -> int:
        with fifty(server.port, REPORT, seconds=seconds, every=0.0, key="", how="spread") as output:
            pass
        statuses = json.loads(output[0])["statuses"]
        assert set(statuses) == {"403"}, statuses
        return int(statuses["403"])

    flood(plan.refused_seconds / 2)
    before = resident_kib(server.process.pid)
    answers = flood(plan.refused_seconds)
    pid = server.process.pid
    after, peak = resident_kib(pid), resident_kib(pid, "VmHWM")
    return Refused(answers, plan.refused_seconds, before, after, peak)


def compared(
    server: Server, plan: Plan, *, every: float, how: str = "spread", path: str = REPORT
) -> Compared:
    """Ask the application alone and beside fifty who ask for something, in turn."""
    idle: list[list[float]] = []
    loaded: list[list[float]] = []
    took_ms: list[float] = []
    for _ in range(plan.rounds):
        idle.append(asyncio.run(use(server.port, plan.seconds)))
        with fifty(
            server.port, path, seconds=plan.seconds, every=every, key=KEY, how=how
        ) as output:
            loaded.append(asyncio.run(use(server.port, plan.seconds)))
        answer = json.loads(output[0])
        assert set(answer["statuses"]) == {"200"}, answer["statuses"]
        took_ms += answer["took_ms"]
    return Compared(idle, loaded, len(took_ms), took_ms)


def section(flood: Refused, loads: Loads, *, command: str, days: int) -> str:
    """The section."""
    known = versions()
    rounds, fewer = len(loads.reading.idle), len(loads.together.idle)
    grown = flood.after_kib - flood.before_kib
    rows = [
        ("refused without a key: memory grown", GROWTH_KIB / 1_024, grown / 1_024, "MiB"),
        (
            f"p99 of the application's own requests while {CLIENTS} read, above idle",
            READING_PERCENT,
            loads.reading.slower_percent,
            "%",
        ),
        (
            f"the same while {CLIENTS} ask without a pause",
            CEASELESS_PERCENT,
            loads.ceaseless.slower_percent,
            "%",
        ),
    ]
    budgets = "\n".join(
        f"| {what} | at most {limit:g} {unit} | {found:.1f} {unit} | "
        f"{'within' if found <= limit else '**above**'} |"
        for what, limit, found, unit in rows
    )
    return f"""## Fifty reports at once

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python {known["Python"]}, \
FastAPI {known["fastapi"]}, uvicorn {known["uvicorn"]}. One uvicorn worker, {BUSY + UNUSED} \
endpoints with a history of {days} days on SQLite, a flush every 5 s. The application's own \
endpoints get {PER_SECOND} requests a second all the while.

**Without a key**, {CLIENTS} clients ask for `/lens/report` without a pause: {flood.answers:,} \
refusals in {flood.seconds:g} s. Resident memory of the server: {flood.before_kib / 1_024:.1f} MiB \
before, {flood.after_kib / 1_024:.1f} MiB after, {flood.peak_kib / 1_024:.1f} MiB at most ever.

**With a key**, in turn with rounds in which nobody asks. *Reading*: each of {CLIENTS} clients \
asks every {EVERY_SECONDS:g} s, as an open page does. *Without a pause*: each asks again as soon \
as it has an answer. *At the same moment*: all {CLIENTS} ask at once, every second. Fifty requests \
that come at one moment hold up an event loop whatever they ask for, so the last row has the same \
for an endpoint of the application. Milliseconds of the application's own requests: medians of \
{rounds} and {fewer} rounds of {FULL.seconds:g} s each. The {CLIENTS} have connected \
{SETTLE_SECONDS:g} s before each round of load.

| {CLIENTS} clients | answers | p50 idle | p50 then | p99 idle | p99 then |  | each, p50 / p99 |
|---|---|---|---|---|---|---|---|
{_row("reading", loads.reading)}
{_row("without a pause", loads.ceaseless)}
{_row("at the same moment", loads.together)}
{_row("at the same moment, no report", loads.own)}

### Budgets

| what | budget | measured |  |
|---|---|---|---|
{budgets}
"""


def _row(name: str, one: Compared) -> str:
    idle, loaded = ([one.ms(rounds, q) for q in (50, 99)] for rounds in (one.idle, one.loaded))
    return (
        f"| {name} | {one.reports} | {idle[0]:.2f} | {loaded[0]:.2f} | {idle[1]:.2f} | "
        f"{loaded[1]:.2f} | {one.slower_percent:+.0f} % | "
        f"{percentile(one.took_ms, 50):.0f} / {percentile(one.took_ms, 99):.0f} |"
    )


def run(plan: Plan) -> tuple[Refused, Loads]:
    """Everything, one after the other."""
    fewer = replace(plan, rounds=math.ceil(plan.rounds / 2))
    with TemporaryDirectory() as name:
        url = f"sqlite:///{name}/lens.db"
        lay_down(url, time.time(), plan.days)
        port = free_port()
        argv = [sys.executable, "-m", "benchmarks.admin_load_server", url, str(port), KEY]
        with Server(argv, port=port, cwd=Path(name), env={"PYTHONPATH": str(ROOT)}) as server:
            asyncio.run(use(port, plan.seconds))
            flood = refused(server, plan)
            loads = Loads(
                reading=compared(server, plan, every=EVERY_SECONDS),
                ceaseless=compared(server, plan, every=0.0),
                together=compared(server, fewer, every=1.0, how="together"),
                own=compared(server, fewer, every=1.0, how="together", path=own_urls()[0]),
            )
    return flood, loads


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure fifty reports at once.")
    parser.add_argument("--quick", action="store_true", help="rough numbers, and no file")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    body = section(*run(plan), command="make bench-admin-load", days=plan.days)
    print(body)
    if not options.quick:
        write_section(Path(__file__).parent / "RESULTS.md", "admin-load", body)


if __name__ == "__main__":
    main()
