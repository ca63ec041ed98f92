"""The benchmark of recording: measures everything and writes RESULTS.md and chart.svg.

``python -m benchmarks.recording`` (`make bench`) takes less than five minutes when the
environments are made. ``--quick`` takes half a minute, for work on the benchmark itself; its
numbers are rough. Leave the machine alone meanwhile.
"""

import argparse
import asyncio
import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from benchmarks import inprocess, lag, memory, throughput
from benchmarks.environments import Environments
from benchmarks.findings import Findings, verdicts
from benchmarks.inprocess import Cost, middle_of
from benchmarks.machine import machine, versions
from benchmarks.memory import Memory
from benchmarks.plan import FULL, QUICK, SMOKE, Plan
from benchmarks.results import Circumstances, chart, section
from benchmarks.sections import write_section
from benchmarks.throughput import Throughput
from benchmarks.variants import OURS, VARIANTS

FEW = 10
"""Endpoints of an application that only has to run."""

RIVAL_HANGS_AFTER_SECONDS = 60.0
"""No process of applications is measured for so long."""

PROCESSES = {variant.process: variant.environment for variant in VARIANTS.values()}


class Runner(Protocol):
    """Runs one measurement at a time."""

    def costs(self, process: str, *, seconds: float) -> dict[str, dict[str, Any]]:
        """Result of `inprocess.measure`."""
        ...

    def lag(self, state: str, *, seconds: float, settle_seconds: float) -> float:
        """Result of `lag.measure`."""
        ...

    def memory(self, requests: int) -> Memory:
        """Result of `memory.measure`."""
        ...

    def throughput(self, plan: Plan) -> dict[str, Throughput]:
        """Result of `throughput.measure`; empty when the plan leaves it out."""
        ...

    def versions(self) -> dict[str, str]:
        """Of everything that takes part."""
        ...


class InEnvironments:
    """Each measurement in a fresh process of its environment."""

    def __init__(self, environments: Environments) -> None:
        """Take environments that are made."""
        self._in = environments

    def costs(self, process: str, *, seconds: float) -> dict[str, dict[str, Any]]:
        """See `Runner`."""
        task = (PROCESSES[process], "benchmarks.inprocess", process, str(seconds))
        try:
            printed = self._in.run(*task, seconds=RIVAL_HANGS_AFTER_SECONDS)
        except subprocess.TimeoutExpired:
            # A package that goes by our own name does now and then.
            _say("it hangs: once more")
            printed = self._in.run(*task)
        found: dict[str, dict[str, Any]] = json.loads(printed)
        return found

    def lag(self, state: str, *, seconds: float, settle_seconds: float) -> float:
        """See `Runner`."""
        arguments = (state, str(seconds), str(settle_seconds))
        return float(self._in.run(OURS, "benchmarks.lag", *arguments))

    def memory(self, requests: int) -> Memory:
        """See `Runner`."""
        return Memory(**json.loads(self._in.run(OURS, "benchmarks.memory", str(requests))))

    def throughput(self, plan: Plan) -> dict[str, Throughput]:
        """See `Runner`."""
        return {} if plan.throughput is None else throughput.measure(self._in, plan.throughput)

    def versions(self) -> dict[str, str]:
        """See `Runner`."""
        found: dict[str, str] = json.loads(self._in.run(OURS, "benchmarks.machine"))
        return found | self._in.pinned()


class Here:
    """Each measurement in this process, with what is installed here, on a tiny application."""

    def costs(self, process: str, *, seconds: float) -> dict[str, dict[str, Any]]:
        """See `Runner`."""
        return inprocess.measure(process, seconds=seconds, endpoints=FEW)

    def lag(self, state: str, *, seconds: float, settle_seconds: float) -> float:
        """See `Runner`."""
        return asyncio.run(
            lag.measure(state, seconds=seconds, settle_seconds=settle_seconds, endpoints=FEW)
        )

    def memory(self, requests: int) -> Memory:
        """See `Runner`."""
        return asyncio.run(memory.measure(requests, endpoints=FEW, durations=(1_000,)))

    def throughput(self, plan: Plan) -> dict[str, Throughput]:
        """See `Runner`."""
        assert plan.throughput is None, "servers are started in environments only"
        return {}

    def versions(self) -> dict[str, str]:
        """See `Runner`."""
        return versions()


def measure(runner: Runner, plan: Plan) -> Findings:
    """Everything, one after the other; nothing else runs beside."""
    costs: dict[str, dict[str, Cost]] = {}
    for process in PROCESSES:
        _say(f"in-process: {process}")
        starts, seconds = 1, plan.few_seconds
        if process == OURS:
            starts, seconds = plan.processes, plan.inprocess_seconds
        runs = [runner.costs(process, seconds=seconds) for _ in range(starts)]
        for shape in runs[0]:
            known = costs.setdefault(shape, {})
            for name in runs[0][shape]:
                known.setdefault(name, middle_of([Cost(**run[shape][name]) for run in runs]))
    _say("lag of the event loop")
    lags: dict[str, list[float]] = {state: [] for state in lag.STATES}
    for _ in range(plan.lag_rounds):
        for state, found_lags in lags.items():
            found_lags.append(
                runner.lag(state, seconds=plan.lag_seconds, settle_seconds=plan.settle_seconds)
            )
    _say("memory")
    used = runner.memory(plan.requests)
    _say("requests per second")
    return Findings(costs, runner.throughput(plan), lags, used)


def write(found: Findings, about: Circumstances, *, folder: Path) -> None:
    """Put the findings into their files.

    Args:
        found: The measured figures.
        about: When and with what.
        folder: Of RESULTS.md and chart.svg; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_section(folder / "RESULTS.md", "recording", section(found, about))
    (folder / "chart.svg").write_text(chart(found), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what recording costs.")
    parser.add_argument("--quick", action="store_true", help="rough numbers in half a minute")
    parser.add_argument("--smoke", action="store_true", help="run in this process; no numbers")
    parser.add_argument("--out", type=Path, help="folder instead of benchmarks/")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    runner: Runner = Here()
    if not options.smoke:
        environments = Environments()
        environments.make()
        runner = InEnvironments(environments)
    plan = SMOKE if options.smoke else QUICK if options.quick else FULL
    found = measure(runner, plan)
    about = Circumstances(
        date=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        versions=runner.versions(),
        command="make bench" + (" ARGS=--quick" if options.quick else ""),
    )
    folder = options.out or Path(__file__).parent
    write(found, about, folder=folder)
    for verdict in verdicts(found):
        word = {True: "within", False: "ABOVE", None: ""}[verdict.within]
        print(f"{word:7}{verdict.what}: {verdict.measured} ({verdict.budget})")
    print(f"wrote {folder / 'RESULTS.md'} in {time.monotonic() - begun:.0f} s")


def _say(what: str) -> None:
    print(f"bench: {what}", flush=True)


if __name__ == "__main__":
    main()
