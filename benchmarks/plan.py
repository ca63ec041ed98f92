"""Durations and repetitions of each measurement. Numbers only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThroughputPlan:
    """Of the requests per second.

    Attributes:
        generations: Number of fresh starts of the servers.
        rounds: Per generation; each asks the bare server and some others.
        others_every_rounds: The expensive variants are asked in one of so many rounds.
        run_seconds: Duration of the load on one server at a time.
        warm_up_seconds: The same before anything counts.
    """

    generations: int
    rounds: int
    others_every_rounds: int
    run_seconds: float
    warm_up_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Of everything.

    Attributes:
        processes: Number of fresh starts of the process with most variants: where objects happen
            to lie in memory makes some microseconds at 200 routes.
        inprocess_seconds: For the larger application of that process; half for the other.
        few_seconds: The same of a process with two variants.
        lag_rounds: Measurements of each state.
        lag_seconds: Duration of each.
        settle_seconds: Duration of the phase before, for the tables to be made.
        requests: Of the measurement of memory.
        throughput: Of the requests per second; None leaves them out.
    """

    processes: int
    inprocess_seconds: float
    few_seconds: float
    lag_rounds: int
    lag_seconds: float
    settle_seconds: float
    requests: int
    throughput: ThroughputPlan | None


FULL = Plan(
    processes=6,
    inprocess_seconds=4.0,
    few_seconds=2.0,
    lag_rounds=5,
    lag_seconds=1.6,
    settle_seconds=1.2,
    requests=2_000_000,
    throughput=ThroughputPlan(
        generations=3, rounds=36, others_every_rounds=18, run_seconds=0.06, warm_up_seconds=0.3
    ),
)
QUICK = Plan(
    processes=1,
    inprocess_seconds=2.0,
    few_seconds=1.0,
    lag_rounds=1,
    lag_seconds=2.0,
    settle_seconds=1.5,
    requests=100_000,
    throughput=ThroughputPlan(
        generations=1, rounds=2, others_every_rounds=1, run_seconds=0.3, warm_up_seconds=0.1
    ),
)
SMOKE = Plan(
    processes=1,
    inprocess_seconds=0.0,
    few_seconds=0.0,
    lag_rounds=1,
    lag_seconds=0.05,
    settle_seconds=0.05,
    requests=1_000,
    throughput=None,
)
"""Proves that the programs run; the numbers mean nothing."""
