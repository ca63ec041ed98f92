"""Cost of the request log per request: ``python -m benchmarks.log_cost`` (`make bench-log`).

The lens is measured beside itself without the one statement that asks the log, around an
application that answers from a `Table`, because FastAPI's own 40 µs would hide some tenths of one.
Takes half a minute and writes its section of RESULTS.md; ``--quick`` measures less and writes none.
"""

import argparse
import asyncio
import gc
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.apps import build, one_route
from benchmarks.direct import running
from benchmarks.inprocess import Caller
from benchmarks.machine import machine, versions
from benchmarks.sections import write_section
from benchmarks.table import Table
from benchmarks.unlogged import unlogged
from benchmarks.variants import BARE, VARIANTS
from fastapi_lens import LensConfig, LensMiddleware

SECONDS, QUICK_SECONDS = 24.0, 1.0
BLOCK_SECONDS = 0.004
FEWEST_ROUNDS = 8
BUDGET_US = 1.0

WITHOUT = "without its log"
AGAIN = "without its log, once more (the noise)"
NOT_KEPT = "no request is sampled"
DEFAULT = "one request in a hundred is kept (the default)"

Rounds = Sequence[Mapping[str, float]]
"""Microseconds of a request, by what was measured, of each round."""


async def measure(*, seconds: float, folder: Path) -> Rounds:
    """Call all of them in turn, in random order.

    Args:
        seconds: Duration after the warm-up.
        folder: For the databases.
    """
    shape = one_route()
    below = Table(build(VARIANTS[BARE], shape, folder), statuses=(200,))
    kinds: Sequence[tuple[str, type[Any], float]] = (
        (WITHOUT, unlogged(LensMiddleware), 0.0),
        (AGAIN, unlogged(LensMiddleware), 0.0),
        (NOT_KEPT, LensMiddleware, 0.0),
        (DEFAULT, LensMiddleware, LensConfig().log_sample_rate),
    )
    apps = {
        name: kind(below, LensConfig(db_path=str(folder / f"{at}.db"), log_sample_rate=rate))
        for at, (name, kind, rate) in enumerate(kinds)
    }
    async with AsyncExitStack() as stack:
        callers: dict[str, Caller] = {}
        for name, app in apps.items():
            await stack.enter_async_context(running(app))
            callers[name] = Caller(app, shape.middle, block_seconds=BLOCK_SECONDS)
            await callers[name].warm_up()
        gc.collect()
        rounds: list[Mapping[str, float]] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(rounds) < FEWEST_ROUNDS:
            order = random.sample(list(callers), len(callers))
            rounds.append({name: await callers[name].block() for name in order})
        return rounds


def section(rounds: Rounds, *, command: str) -> str:
    """The section."""
    known = versions()
    rows = [f"| {WITHOUT} | {median(taken[WITHOUT] for taken in rounds):.2f} | |"]
    for name in (AGAIN, NOT_KEPT, DEFAULT):
        low, middle, high = added(rounds, name)
        total = median(taken[name] for taken in rounds)
        rows.append(f"| {name} | {total:.2f} | {middle:.2f} ({low:.2f} to {high:.2f}) |")
    table = "\n".join(rows)
    _, found, _ = added(rounds, NOT_KEPT)
    return f"""## The request log

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python {known["Python"]}, \
FastAPI {known["fastapi"]}. The lens around an application that costs next to nothing, in-process, \
beside itself without the one statement that asks the request log. Microseconds of a request: \
medians of {len(rounds):,} rounds of blocks of {BLOCK_SECONDS * 1_000:g} ms in random order, and \
of the differences within each round, in brackets their quartiles.

| the lens | a request | added by the log |
|---|---|---|
{table}

| what | budget | measured |  |
|---|---|---|---|
| added by the request log to a request that it does not keep | at most {BUDGET_US:g} µs | \
{found:.2f} µs | {"within" if found <= BUDGET_US else "**above**"} |
"""


def added(rounds: Rounds, name: str) -> list[float]:
    """Quartiles of what is added to the lens without its log, in microseconds."""
    return quantiles((taken[name] - taken[WITHOUT] for taken in rounds), n=4)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what the request log costs.")
    parser.add_argument("--quick", action="store_true", help="rough numbers, and no file")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        seconds = QUICK_SECONDS if options.quick else SECONDS
        rounds = asyncio.run(measure(seconds=seconds, folder=Path(name)))
    body = section(rounds, command="make bench-log")
    print(body)
    if not options.quick:
        write_section(Path(__file__).parent / "RESULTS.md", "log", body)


if __name__ == "__main__":
    main()
