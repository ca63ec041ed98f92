"""Accuracy of "what changed": ``python -m benchmarks.changes`` (`make bench-changes`).

Simulates quiet weeks and planted changes, and counts false alarms, detections and delays. Takes
some minutes on two cores and writes its section of RESULTS.md; ``--quick`` takes three weeks and
few endpoints and writes nothing.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TypeVar

from benchmarks.changes_results import section
from benchmarks.changes_world import (
    HELD_OUT,
    MAIN,
    WEEK,
    Endpoint,
    Found,
    Noise,
    Plant,
    World,
    alarms,
    delay,
)
from benchmarks.sections import write_section
from fastapi_lens.changes.change import Kind
from fastapi_lens.changes.usual import BASELINE_DAYS

SEEDS = (1, 2)
FACTORS = (1.1, 1.2, 1.3, 1.5, 2.0)
CALLS = (100, 500, 5_000)
SHARES = (0.0, 0.002, 0.01, 0.05)
POINTS = (0.01, 0.03, 0.05, 0.1)
TIMES = (1.3, 2.0)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Size:
    """Extent of a simulation.

    Attributes:
        weeks: Quiet ones.
        endpoints: Of a quiet week.
        planted: Endpoints of each planted change.
        closely: The same, of 30 % slower at 500 calls a day and more, because of 56 endpoints a
            share is known to 4 points only.
        held_out: Endpoints of a quiet week, of noise that was held out.
    """

    weeks: int = 30
    endpoints: int = 50
    planted: int = 56
    closely: int = 280
    held_out: int = 10


QUICK = Size(weeks=3, endpoints=8, planted=4, closely=4, held_out=4)


@dataclass(frozen=True, slots=True)
class Quiet:
    """One endpoint in quiet weeks."""

    noise: Noise
    seed: int
    number: int
    weeks: int


@dataclass(frozen=True, slots=True)
class Planted:
    """One endpoint, with one of several planted changes at a time.

    Attributes:
        noise: Of its history.
        calls: A day.
        number: Of the endpoint.
        plants: The changes by their name in tables; their moment is set by the number.
        share: Of failed calls before; None where durations change.
    """

    noise: Noise
    calls: int
    number: int
    plants: tuple[tuple[str, Plant], ...]
    share: float | None = None


def quiet(one: Quiet) -> list[Found]:
    """The false alarms of an endpoint."""
    seed = f"{one.noise.name} {one.seed} {one.number}"
    world = World(Endpoint.drawn(Random(seed), one.noise), one.noise, seed)
    world.draw(BASELINE_DAYS + WEEK * (1 + one.weeks))
    found = alarms(world.history(), one.weeks)
    return [Found(one.noise.name, "", one.seed, tuple((week, each.kind) for week, each in found))]


def planted(one: Planted) -> list[Found]:
    """The delays of planted changes."""
    seed = f"{one.noise.name} {one.calls} {one.share} {one.number}"
    endpoint = Endpoint.drawn(Random(seed), one.noise, one.calls)
    if one.share is not None:
        endpoint = replace(endpoint, share=one.share)
    world = World(endpoint, one.noise, seed, has_durations=one.share is None)
    # At any quarter of a week, and two days more.
    quarter = 4 * BASELINE_DAYS + one.number % (4 * WEEK)
    world.draw(quarter // 4 + 3)
    base = world.history()
    kind = Kind.SLOWER if one.share is None else Kind.FAILING_MORE
    found: list[Found] = []
    for what, given in one.plants:
        plant = replace(given, quarter=quarter)
        late = delay(world.history(plant, base), plant, kind, most=8)
        found.append(Found(one.noise.name, f"{what}|{one.calls}", 1, delay=late))
    return found


def quiet_runs(size: Size) -> list[Quiet]:
    """Endpoints of quiet weeks: the main noise with all seeds, the others with one."""
    main = [
        Quiet(noise, seed, number, size.weeks)
        for noise in MAIN
        for seed in SEEDS
        for number in range(size.endpoints)
    ]
    return main + [
        Quiet(noise, 1, number, max(1, size.weeks // 3))
        for noise in HELD_OUT
        for number in range(size.held_out)
    ]


def planted_runs(size: Size) -> list[Planted]:
    """Endpoints with planted changes: of all sizes under the main noise, of 30 % under others."""
    main = MAIN[0]
    slower = tuple(
        (f"all calls {factor - 1:.0%} slower", Plant(0, slower=factor)) for factor in FACTORS
    )
    tail = ("1 call in 10 takes 3 times as long", Plant(0, tail=3.0))
    runs = [
        Planted(main, calls, number, (*slower, tail))
        for calls in CALLS
        for number in range(size.planted)
    ]
    for share in SHARES:
        plants = [
            (f"5xx of {share:.1%}, {each:+.0%} points", Plant(0, points=each)) for each in POINTS
        ]
        if share:
            plants += [
                (f"5xx of {share:.1%}, {each:g} times", Plant(0, share=each)) for each in TIMES
            ]
        runs += [
            Planted(main, calls, number, tuple(plants), share)
            for calls in CALLS
            for number in range(size.planted)
        ]
    third = (slower[2],)
    runs += [
        Planted(main, calls, number, third)
        for calls in CALLS[1:]
        for number in range(size.planted, size.closely)
    ]
    return runs + [
        Planted(noise, 500, number, third)
        for noise in HELD_OUT
        for number in range(size.planted // 2)
    ]


def measure(
    name: str, work: Callable[[_T], list[Found]], runs: Sequence[_T], *, processes: int
) -> list[Found]:
    """The findings of all runs, in their order."""
    found: list[Found] = []
    with ProcessPoolExecutor(processes) as pool:
        for number, result in enumerate(pool.map(work, runs, chunksize=4), start=1):
            found += result
            if not number % 50:
                print(f"{name}: {number} of {len(runs)} runs", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Simulate endpoints, and look for changes.")
    parser.add_argument("--quick", action="store_true", help="three weeks, and no file")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else Size()
    false = measure("quiet", quiet, quiet_runs(size), processes=options.processes)
    late = measure("planted", planted, planted_runs(size), processes=options.processes)
    body = section(false, late, weeks=size.weeks, command="make bench-changes")
    print(body)
    if not options.quick:
        write_section(Path(__file__).parent / "RESULTS.md", "changes", body)


if __name__ == "__main__":
    main()
