"""Findings of one run of the benchmark, and their budgets. No I/O, no text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.apps import MANY, ONE
from benchmarks.inprocess import Cost
from benchmarks.memory import Memory
from benchmarks.throughput import PLAIN, TYPICAL, Throughput
from benchmarks.variants import BARE, LENS, LENS_HOOK, LENS_KEY, VARIANTS

ADDED_US = 6.0
CALLERS_US = 0.5
LOST_PERCENT = 2.5
"""Of the typical application."""

NO_BUDGET = "no budget"
LAG_MS = 0.5
GROWTH_KIB = 1_024
"""Memory comes in pages and arenas; half a byte for each request is no growth."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All measurements.

    Attributes:
        costs: In-process, by application and variant.
        throughput: End to end by variant; empty when it was left out.
        lags: 99th percentiles of the event loop's lag in milliseconds by state.
        memory: Before and after.
    """

    costs: Mapping[str, Mapping[str, Cost]]
    throughput: Mapping[str, Throughput]
    lags: Mapping[str, Sequence[float]]
    memory: Memory

    @property
    def lag_added(self) -> float:
        """Milliseconds above the bare application while flushing, by the medians."""
        return median(self.lags["flushing"]) - median(self.lags[BARE])

    @property
    def grown_kib(self) -> int:
        """Resident memory at the end less that after the warm-up."""
        return self.memory.after - self.memory.before


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict: a measured value, its budget, and whether the budget is kept, in words.

    Attributes:
        within: True when the budget is kept; None where there is none.
    """

    what: str
    budget: str
    measured: str
    within: bool | None


def verdicts(found: Findings) -> list[Verdict]:
    """Everything that was measured of the recording path."""
    judged = [_added(found, ONE), _added(found, MANY)]
    measured = [name for name in (LENS_HOOK, LENS_KEY) if name in found.costs[ONE]]
    judged += [_added_by_callers(found, name) for name in measured]
    for name, what, most in (
        (TYPICAL + LENS, "a typical application", LOST_PERCENT),
        (PLAIN + LENS, "an endpoint that does nothing, under plain uvicorn", None),
        (LENS, "an endpoint that does nothing", None),
    ):
        if name in found.throughput:
            lost = 100 - found.throughput[name].kept
            judged.append(
                Verdict(
                    f"requests per second lost, {what}",
                    NO_BUDGET if most is None else f"at most {most:g} %",
                    f"{lost:.1f} %",
                    None if most is None else lost <= most,
                )
            )
    added, grown = found.lag_added, found.grown_kib
    return [
        *judged,
        Verdict(
            "event-loop lag (p99) added while 200 endpoints are written",
            f"at most {LAG_MS:g} ms",
            f"{added:.2f} ms",
            added <= LAG_MS,
        ),
        Verdict(
            f"resident memory grown over {found.memory.requests:,} requests",
            f"none (at most {GROWTH_KIB:,} KiB)",
            f"{grown:,} KiB",
            grown <= GROWTH_KIB,
        ),
    ]


def _added(found: Findings, shape: str) -> Verdict:
    cost = found.costs[shape][LENS]
    return Verdict(
        f"added per request, {shape}",
        f"at most {ADDED_US:g} µs",
        f"{cost.added:.1f} µs",
        cost.added <= ADDED_US,
    )


def _added_by_callers(found: Findings, name: str) -> Verdict:
    added = found.costs[ONE][name].added - found.costs[ONE][LENS].added
    return Verdict(
        f"added to that by {VARIANTS[name].label.partition(', ')[2]}, {ONE}",
        f"at most {CALLERS_US:g} µs",
        f"{added:.2f} µs",
        added <= CALLERS_US,
    )
