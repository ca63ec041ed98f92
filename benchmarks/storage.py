"""Speed of reports at a billion requests, while more are recorded: `make bench-storage`.

Lays the history down on SQLite and on PostgreSQL at once, each in a process of its own, starts
uvicorn on either and asks through HTTP. ``--quick`` lays down 40 days and asks less; the section
of RESULTS.md says which it was. Takes ten minutes, and its numbers are worth something only while
the machine does nothing else. Linux only: it reads ``/proc``.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.environments import Environments
from benchmarks.sections import write_section
from benchmarks.storage_asking import Timed, ask, ask_alone
from benchmarks.storage_history import DAYS, Laid
from benchmarks.storage_results import Measured, Rival, section
from benchmarks.support.ports import free_port
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.servers import Server
from benchmarks.variants import PYPI

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """Amount of work to measure.

    Attributes:
        days: Length of the history.
        rounds: Repetitions of each question, one client at a time.
        bursts: Repetitions of each question by all clients at once.
        busy_seconds: Duration of the mixed load by all clients.
        rival_rows: Requests in the database of the package on PyPI.
        rival_rounds: Repetitions of its report.
    """

    days: int
    rounds: int
    bursts: int
    busy_seconds: float
    rival_rows: int
    rival_rounds: int


FULL = Plan(DAYS, rounds=20, bursts=4, busy_seconds=15.0, rival_rows=1_000_000, rival_rounds=5)
QUICK = Plan(40, rounds=5, bursts=1, busy_seconds=3.0, rival_rows=100_000, rival_rounds=3)


def lay_down(url: str, now: float, days: int) -> Laid:
    """Fill a database in a process of its own.

    Raises:
        subprocess.CalledProcessError: It could not be filled.
    """
    argv = [sys.executable, "-m", "benchmarks.storage_history", url, str(now), str(days)]
    done = subprocess.run(argv, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return Laid(**json.loads(done.stdout))


def measure(name: str, url: str, laid: Laid, plan: Plan, folder: Path) -> Measured:
    """Serve a database and ask."""
    print(f"bench: asking {name}", flush=True)
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.storage_server", url, str(port)]
    with Server(argv, port=port, cwd=folder, env={"PYTHONPATH": str(ROOT)}) as server:
        return asyncio.run(_measured(name, laid, plan, server))


async def _measured(name: str, laid: Laid, plan: Plan, server: Server) -> Measured:
    async with ask(server.port) as asking:
        await asyncio.sleep(3 * asking.flush_seconds)
        idle = resident_kib(server.process.pid)
        cold = await asking.each_once()
        alone = await asking.alone(plan.rounds)
        bursts = await asking.bursts(plan.bursts)
        busy = await asking.busily(plan.busy_seconds)
        await asyncio.sleep(asking.flush_seconds)
        return Measured(
            name=name,
            laid=laid,
            cold=cold,
            alone=alone,
            bursts=bursts,
            busy=busy,
            busy_seconds=plan.busy_seconds,
            idle_kib=idle,
            then_kib=resident_kib(server.process.pid),
            peak_kib=resident_kib(server.process.pid, "VmHWM"),
            recorded=asking.recorded,
        )


def rival(plan: Plan, folder: Path) -> Rival:
    """The same report by the package on PyPI, in its environment."""
    print("bench: asking the fastapi-lens of PyPI", flush=True)
    environments, port = Environments(), free_port()
    environments.make()
    arguments = [str(folder), str(port), str(plan.rival_rows)]
    argv = [environments.python(PYPI), "-m", "benchmarks.storage_rival", *arguments]
    server = Server(argv, port=port, cwd=folder, env=environments.variables())
    try:
        server.wait(seconds=600.0)
        report: list[Timed] = asyncio.run(ask_alone(port, "/lens/report", plan.rival_rounds))
    finally:
        server.stop()
    return Rival(plan.rival_rows, report, (folder / "rival.db").stat().st_size)


def resident_kib(pid: int, name: str = "VmRSS") -> int:
    """Resident memory of a process in KiB: now, or with ``VmHWM`` at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (found,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(found.split()[1])


def run(plan: Plan) -> tuple[list[Measured], Rival]:
    """Everything, one after the other but for the histories."""
    with TemporaryDirectory() as name, PostgresServer() as postgres:
        folder, now = Path(name), time.time()
        file = folder / "lens.db"
        urls = {"SQLite": f"sqlite:///{file}", "PostgreSQL": postgres.create_database()}
        print(f"bench: laying down {plan.days} days on {' and '.join(urls)}", flush=True)
        with ThreadPoolExecutor() as pool:
            laid = pool.map(lambda url: lay_down(url, now, plan.days), urls.values())
            laid_by = dict(zip(urls, laid, strict=True))
        measured = [measure(name, url, laid_by[name], plan, folder) for name, url in urls.items()]
        return measured, rival(plan, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure reports at a billion requests.")
    parser.add_argument("--quick", action="store_true", help="40 days and rough numbers")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="of RESULTS.md")
    options = parser.parse_args(arguments)
    measured, other = run(QUICK if options.quick else FULL)
    command = "make bench-storage" + (" ARGS=--quick" if options.quick else "")
    days = (QUICK if options.quick else FULL).days
    body = section(measured, other, command=command, days=days)
    write_section(options.out / "RESULTS.md", "storage", body)
    print(body)


if __name__ == "__main__":
    main()
