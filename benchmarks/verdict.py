"""Accuracy of verdicts on endpoints: ``python -m benchmarks.verdict`` (`make bench-verdict`).

Simulates four and a half years of endpoints that behave in known ways, observed throughout or with
holes, with and without a ledger of callers, and counts wrong verdicts beside those of rules that
know the last call alone. Takes some minutes on two cores and writes its section of RESULTS.md;
``--quick`` takes one seed and two observations and writes nothing, and so does ``--behaviours``,
which takes the behaviours from a file (see `verdict_behaviours`).
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.sections import write_section
from benchmarks.verdict_behaviours import HELD_OUT, MAIN, BehavioursError, load
from benchmarks.verdict_results import section
from benchmarks.verdict_world import OBSERVATIONS, Outcome, Run, outcomes_of

SEEDS, QUICK_SEEDS = (1, 2, 3), (1,)
QUICK_OBSERVATIONS = OBSERVATIONS[:2]


def runs_of(
    behaviours: Sequence[str], observations: Sequence[str], seeds: Sequence[int]
) -> list[Run]:
    """All combinations."""
    return [
        Run(name, observation, has_ledger, seed)
        for name in behaviours
        for observation in observations
        for has_ledger in (False, True)
        for seed in seeds
    ]


def simulate(runs: Sequence[Run], *, processes: int) -> list[Outcome]:
    """The outcomes of all runs, in their order."""
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(processes) as pool:
        for number, found in enumerate(pool.map(outcomes_of, runs), start=1):
            print(f"verdict: {number} of {len(runs)} runs", flush=True)
            outcomes += found
    return outcomes


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Simulate endpoints, and judge the verdicts.")
    parser.add_argument("--quick", action="store_true", help="one seed, and no file")
    parser.add_argument("--behaviours", metavar="FILE.py", help="judge these alone, and no file")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    behaviours = [options.behaviours] if options.behaviours else [MAIN, HELD_OUT]
    try:
        # Here, because an error in another process comes with the frames of both.
        for name in behaviours:
            load(name)
    except BehavioursError as error:
        parser.error(str(error))
    observations = QUICK_OBSERVATIONS if options.quick else OBSERVATIONS
    seeds = QUICK_SEEDS if options.quick else SEEDS
    outcomes = simulate(runs_of(behaviours, observations, seeds), processes=options.processes)
    body = section(outcomes, command="make bench-verdict")
    print(body)
    if not options.quick and not options.behaviours:
        write_section(Path(__file__).parent / "RESULTS.md", "verdict", body)


if __name__ == "__main__":
    main()
