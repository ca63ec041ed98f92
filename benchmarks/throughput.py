"""Requests per second of each variant under uvicorn, in per cent of the bare application.

All servers wait side by side while the load generator asks one after the other in short runs,
round after round; a run is compared with the bare server's run of the same round. The servers
are started anew several times, because two processes of the same program differ by a little.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import mean

from benchmarks.apps import Shape, one_route
from benchmarks.environments import Environments
from benchmarks.plan import ThroughputPlan
from benchmarks.support.ports import HOST, free_port
from benchmarks.variants import BARE, LENS, OURS, VARIANTS

CONNECTIONS = 16
SERVER_CPU, LOAD_CPU = "0", "1"
STARTED_WITHIN_SECONDS = 60.0
STOPPED_WITHIN_SECONDS = 20.0
PLAIN = "plain-"
"""Before the name of a variant under uvicorn as it comes alone, without uvloop and httptools."""

TYPICAL = "typical-"
"""Before the name of a variant of the typical application, see `typical`."""

PAIRS = (PLAIN + BARE, PLAIN + LENS, TYPICAL + BARE, TYPICAL + LENS)
NAMES = (*VARIANTS, *PAIRS)
OFTEN = (BARE, "again", "asgi", LENS, "lens_first", *PAIRS)
"""Asked in every round: what they differ by is small."""

RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Throughput:
    """Throughput of one variant.

    Attributes:
        per_second: Mean of requests per second.
        kept: Per cent of the bare application's in the same rounds, by the means. Not by the
            medians: a collection of garbage is in some runs only, and is lost time all the same.
        low: Lower end of the interval that holds `kept` in 95 of 100 cases (bootstrap over
            rounds, percentile method).
        high: Its upper end.
        runs: Number of runs.
        failed: Answers other than 2xx, and errors, over all runs.
    """

    per_second: float
    kept: float
    low: float
    high: float
    runs: int
    failed: int


@dataclass(frozen=True, slots=True)
class Run:
    """One short run of the load generator against one server.

    Attributes:
        round: Of all generations, counted through.
        per_second: Answers with 2xx.
        failed: Other answers, and errors.
    """

    name: str
    round: int
    per_second: float
    failed: int


def measure(environments: Environments, plan: ThroughputPlan) -> dict[str, Throughput]:
    """Drive all variants that the environments have.

    Args:
        environments: Where the servers and the load generator are found.
        plan: Durations of the runs.
    """
    runs: list[Run] = []
    for generation in range(plan.generations):
        with ExitStack() as stack:
            urls = _start_all(environments, stack)
            _drive(environments, [(name, urls[name]) for name in urls], plan.warm_up_seconds)
            order = order_of(list(urls), plan)
            answers = _drive(
                environments, [(name, urls[name]) for _, name in order], plan.run_seconds
            )
            runs.extend(
                Run(
                    name,
                    generation * plan.rounds + number,
                    answer["answered"] / answer["seconds"],
                    round(answer["failed"]),
                )
                for (number, name), answer in zip(order, answers, strict=True)
            )
    return summary_of(runs)


def variant_of(name: str) -> str:
    """The variant that one of `NAMES` stands for."""
    return name.removeprefix(PLAIN).removeprefix(TYPICAL)


def shape_of(name: str) -> Shape:
    """The routes that one of `NAMES` stands for."""
    if not name.startswith(TYPICAL):
        return one_route()
    # Only here: the other servers are measured without SQLModel.
    shape: Shape = import_module("benchmarks.typical").typical_route()
    return shape


def summary_of(runs: Sequence[Run]) -> dict[str, Throughput]:
    """Medians per variant; each run is compared with the bare one of its round."""
    found = {}
    for name in NAMES:
        base = name.removesuffix(variant_of(name)) + BARE
        bare = {run.round: run.per_second for run in runs if run.name == base}
        mine = [run for run in runs if run.name == name]
        if len(mine) > 1:
            pairs = [(run.per_second, bare[run.round]) for run in mine]
            low, high = _interval(pairs)
            per_second = mean(run.per_second for run in mine)
            failed = sum(run.failed for run in mine)
            found[name] = Throughput(per_second, _kept(pairs), low, high, len(mine), failed)
    return found


def _kept(pairs: Sequence[tuple[float, float]]) -> float:
    """Per cent of the second numbers that the first ones are, all together."""
    return 100 * sum(mine for mine, _ in pairs) / sum(bare for _, bare in pairs)


def _interval(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where `_kept` lies in the middle 95 of 100 resamples of the rounds (Efron's bootstrap)."""
    chance = random.Random(len(pairs))  # The same runs give the same interval.
    found = sorted(_kept(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return found[RESAMPLES // 40], found[-RESAMPLES // 40]


def order_of(names: list[str], plan: ThroughputPlan) -> list[tuple[int, str]]:
    """Which server is asked when: round by round, in random order within each."""
    order: list[tuple[int, str]] = []
    for number in range(plan.rounds):
        asked = [name for name in names if name in OFTEN or number % plan.others_every_rounds == 0]
        order.extend((number, name) for name in random.sample(asked, len(asked)))
    return order


def _start_all(environments: Environments, stack: ExitStack) -> Mapping[str, str]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    ports = {}
    for name in NAMES:
        variant = VARIANTS[variant_of(name)]
        if environments.has(variant.environment):
            port = free_port()
            python = environments.python(variant.environment)
            command = [python, "-m", "benchmarks.server", name, str(port), str(folder / name)]
            stack.enter_context(_process(command, environments, folder / f"{name}.log"))
            ports[name] = port
    for name, port in ports.items():
        _wait_for(port, folder / f"{name}.log")
    return {name: f"http://{HOST}:{port}{shape_of(name).middle}" for name, port in ports.items()}


@contextmanager
def _process(command: Sequence[str], environments: Environments, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_pinned(SERVER_CPU), *command],
            env=environments.variables(),
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOPPED_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + STARTED_WITHIN_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"no server at port {port}:\n{log.read_text(errors='replace')}")


def _drive(
    environments: Environments, runs: Sequence[tuple[str, str]], seconds: float
) -> list[dict[str, float]]:
    task = {"runs": runs, "seconds": seconds, "connections": CONNECTIONS}
    python = environments.python(OURS)
    done = subprocess.run(
        [*_pinned(LOAD_CPU), python, "-m", "benchmarks.load_generator", json.dumps(task)],
        env=environments.variables(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _pinned(cpu: str) -> list[str]:
    """The words before a command that keep it on one core, where that can be."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", cpu] if taskset and (os.cpu_count() or 1) > 1 else []
