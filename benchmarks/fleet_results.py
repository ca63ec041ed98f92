"""Measurements of fleets, their budgets, and their section of RESULTS.md.

Measures nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from benchmarks.findings import Verdict
from benchmarks.fleet_watch import Look
from benchmarks.fleet_workers import Told
from benchmarks.lag import p99
from benchmarks.machine import machine

CPU_PERCENT = 10.0
FLUSH_MS = 5.0
LAG_ADDED_MS = 2.0
GROWN_SECONDS = 1.0
"""The drain keeps up if its lag in the second half of a measurement is at most so much longer."""

PROCESSES = 4
THREADS = 8
"""Of each process; more would only wait for its interpreter."""

LAG_ENDPOINTS = 200
LAG_WORKERS = 65
"""The one that drains, and 64 others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one benchmark: sizes, durations, and the fleet that is judged.

    Attributes:
        workers: Sizes of the fleets.
        endpoints: Of each worker, all called in each interval.
        compared: The sizes at which the first edition's writer is measured, too.
        judged: The fleet that has to keep up: workers and endpoints.
        interval: Seconds between two flushes.
        seconds: Of one measurement; twice that for the fleet that is judged.
        flushes: Of which the CPU of one flush is the median.
    """

    workers: Sequence[int]
    endpoints: Sequence[int]
    compared: Sequence[int]
    judged: tuple[int, int]
    interval: float
    seconds: float
    flushes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measurements of one fleet.

    Attributes:
        seconds: Of the measurement.
        first: Figures of the first worker, which drains.
        others: Figures of all others together.
        server_cpu: Seconds of CPU of the database server.
        machine_cpu: Of everything that ran on the machine.
        looks: At the database, in their order.
    """

    workers: int
    endpoints: int
    is_first_edition: bool
    seconds: float
    first: Told
    others: Told
    server_cpu: float
    machine_cpu: float
    looks: Sequence[Look]

    @property
    def told(self) -> Told:
        """The totals of all workers."""
        return Told.sum_of((self.first, self.others))

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU of all workers, per flush: to flush and to drain."""
        return self.told.cpu / max(1, self.told.flushes) * 1_000

    @property
    def server_ms(self) -> float:
        """Milliseconds of CPU of the server, per flush."""
        return self.server_cpu / max(1, self.told.flushes) * 1_000

    @property
    def halves(self) -> tuple[float, float]:
        """The longest lag of the drain in each half of the measurement."""
        half = len(self.looks) // 2
        return (
            max(look.lag for look in self.looks[: half + 1]),
            max(look.lag for look in self.looks[half:]),
        )

    @property
    def interval(self) -> float:
        """Seconds between two flushes at the end, the median of the workers."""
        return median(self.told.intervals)

    def keeps_up(self, interval: float) -> bool:
        """True if the lag does not grow and no interval is longer than the given one."""
        earlier, later = self.halves
        return later <= earlier + GROWN_SECONDS and max(self.told.intervals) <= interval


@dataclass(frozen=True, slots=True)
class Findings:
    """All measurements.

    Attributes:
        fleets: Those of today's writer, then those of the first edition's.
        flush_ms: Of each flush of one worker that does not drain, in milliseconds of CPU.
        draining_ms: The event loop's lags in the process that drains for 64 others.
        idle_ms: The same of a process beside it that does nothing.
    """

    fleets: Sequence[Measured]
    flush_ms: Sequence[float]
    draining_ms: Sequence[float]
    idle_ms: Sequence[float]

    def fleet(self, workers: int, endpoints: int, *, is_first_edition: bool = False) -> Measured:
        """One of the fleets."""
        wanted = (workers, endpoints, is_first_edition)
        return next(
            one
            for one in self.fleets
            if (one.workers, one.endpoints, one.is_first_edition) == wanted
        )


def verdicts(found: Findings, plan: Plan) -> list[Verdict]:
    """The budgets."""
    judged = found.fleet(*plan.judged)
    earlier, later = judged.halves
    longest = max(judged.told.intervals)
    share = max(shares(found).values())
    flush, lag = median(found.flush_ms), p99(found.draining_ms) - p99(found.idle_ms)
    return [
        Verdict(
            f"{judged.workers} workers, {judged.endpoints} endpoints: the drain keeps up, and "
            f"nobody flushes less often than every {plan.interval:g} s",
            f"lag grows by at most {GROWN_SECONDS:g} s",
            f"longest lag {earlier:.1f} s, then {later:.1f} s; interval {longest:.1f} s at most",
            judged.keeps_up(plan.interval),
        ),
        Verdict(
            "CPU of all workers together, of the first edition's, by the flush",
            f"at most {CPU_PERCENT:g} %",
            f"{share:.1f} % where it is most",
            share <= CPU_PERCENT,
        ),
        Verdict(
            f"CPU of a flush of {max(plan.endpoints)} endpoints in the application's process, not "
            "draining",
            f"at most {FLUSH_MS:g} ms",
            f"{flush:.1f} ms",
            flush <= FLUSH_MS,
        ),
        Verdict(
            f"event-loop lag (p99) added by draining for {LAG_WORKERS - 1} others, "
            f"{LAG_ENDPOINTS} endpoints",
            f"at most {LAG_ADDED_MS:g} ms",
            f"{lag:.2f} ms",
            lag <= LAG_ADDED_MS,
        ),
    ]


def shares(found: Findings) -> Mapping[tuple[int, int], float]:
    """CPU of the workers per flush in percent of the first edition's, by workers and endpoints."""
    return {
        (old.workers, old.endpoints): found.fleet(old.workers, old.endpoints).cpu_ms
        / old.cpu_ms
        * 100
        for old in found.fleets
        if old.is_first_edition
    }


def section(found: Findings, plan: Plan, *, command: str, load: float) -> str:
    """The section of RESULTS.md.

    Args:
        found: The measured figures.
        plan: The planned run.
        command: Command line of the measurement.
        load: The machine's load average before.
    """
    rows = "\n".join(_row(one, plan) for one in found.fleets)
    budgets = "\n".join(
        f"| {one.what} | {one.budget} | {one.measured} "
        f"| {'within' if one.within else '**above**'} |"
        for one in verdicts(found, plan)
    )
    compared = "\n".join(
        f"| {workers} | {endpoints} | {share:.1f} % |"
        for (workers, endpoints), share in shares(found).items()
    )
    idle, draining = p99(found.idle_ms), p99(found.draining_ms)
    return f"""## A fleet of workers on one PostgreSQL

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}; load average before: {load:.1f}. \
Database and workers share the machine. Every worker is called at each of its endpoints between \
two flushes, which are {plan.interval:g} s apart as long as the drain keeps up. The first worker \
is alone in its process, and drains; the others share {PROCESSES} processes of {THREADS} threads, \
their connections, and the registration of the endpoints. All else each of them does for itself.

*CPU* is what the workers' threads have used, in milliseconds per flush: in the flush itself, and \
for what else they do, which is to drain, or to look who drains. That of the server is given per \
flush, too; the next columns have the same in percent of one core, and what all other programs on \
the machine have used meanwhile, which slows everything here. *Age* is how far a page is behind, \
for the worker whose latest calls are the oldest. *Lag* is how long the oldest batch in the inbox \
has waited there.

| writer | workers | endpoints | flushes a second | interval | CPU: flush | drain | server | \
workers, % | server, % | others, % | age: median | at most | lag: median | at most | \
batches waiting at most | flushes failed |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
{rows}

CPU of all workers together for each flush, in percent of the first edition's:

| workers | endpoints | |
|---|---|---|
{compared}

The event loop of the process that drains for {LAG_WORKERS - 1} others woke {draining:.2f} ms late \
(p99), that of a process that does nothing {idle:.2f} ms.

### Budgets

| what | budget | measured |  |
|---|---|---|---|
{budgets}
"""


def _row(one: Measured, plan: Plan) -> str:
    told, ages, lags = one.told, [look.age for look in one.looks], [look.lag for look in one.looks]
    # The first worker drains after its own flushes, too.
    flush_cpu = one.others.flush_cpu if one.others.flushes else one.first.flush_cpu
    flush = flush_cpu / max(1, one.others.flushes or one.first.flushes)
    drain = max(0.0, told.cpu / max(1, told.flushes) - flush)
    percent = 100 / one.seconds
    other = max(0.0, one.machine_cpu - told.cpu - one.server_cpu)
    cells = (
        "first edition" if one.is_first_edition else "today",
        f"{one.workers:,}",
        str(one.endpoints),
        f"{told.flushes / one.seconds:.1f} of {one.workers / plan.interval:.1f}",
        f"{one.interval:.1f} s",
        f"{flush * 1_000:.1f}",
        f"{drain * 1_000:.1f}",
        f"{one.server_ms:.1f}",
        f"{told.cpu * percent:.0f}",
        f"{one.server_cpu * percent:.0f}",
        f"{other * percent:.0f}",
        f"{median(ages):.1f} s",
        f"{max(ages):.1f} s",
        f"{median(lags):.1f} s",
        f"{max(lags):.1f} s",
        f"{max(look.waiting for look in one.looks):,}",
        str(told.failed),
    )
    return f"| {' | '.join(cells)} |"
