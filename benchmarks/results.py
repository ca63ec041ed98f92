"""Findings to Markdown and SVG. Measures nothing and writes no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.apps import MANY, ONE
from benchmarks.chart import Bar, bar_chart
from benchmarks.findings import ADDED_US, Findings, verdicts
from benchmarks.throughput import NAMES, PLAIN, TYPICAL, variant_of
from benchmarks.variants import BARE, LENS, VARIANTS

NOT_MEASURED = "not measured"
WITHIN = {True: "within", False: "**above**", None: ""}
STATES = {
    BARE: "bare FastAPI",
    "idle": "fastapi_lens, writing nothing",
    "flushing": "fastapi_lens, writing 200 endpoints every second",
}

INPROCESS = (
    "The application is called directly, without a server or a client. Blocks of requests of 20 "
    "ms (3 ms for the packages that run in processes of their own) follow each other in random "
    "order, and each is compared with the bare application's block of the same round; the table "
    "has the median of these differences, in brackets their quartiles (of several processes, the "
    "median of each). Each process has a bare application of its own: one those that lie around "
    "one and the same application (the no-op ASGI middleware and fastapi_lens), one each fastapi- "
    "radar and the fastapi-lens of PyPI, and one the rest, which have an application each. What "
    "writes in a thread or a task of its own is not in these medians, but in the requests per "
    "second."
)
THROUGHPUT = (
    "One uvicorn worker per variant (uvloop, httptools, no access log) on one core, a load "
    "generator of ours with 16 connections on the other, which asks anew on each as soon as it has "
    "its answer. Runs of 60 ms in random order, all compared with the bare server's runs of the "
    "same rounds, so that what slows the machine for a second slows all; the table has means, in "
    "brackets the interval that holds the true one in 95 of 100 cases, as far as this machine's "
    "noise is alike from round to round. All servers are started three times: two "
    "processes of one program differ by up to 2 %. Plain uvicorn is that without uvloop and "
    "httptools, compared with the bare application under the same. The endpoint returns one "
    "number. The typical application imports SQLModel and has three tables of its own; its "
    "endpoint has a dependency, three checked parameters, and returns three orders of five lines "
    "each through their models. The garbage collector is set alike in all applications: as CPython "
    "sets it. The budget of 2.5 % is that of the typical application. What the lens adds is some "
    "microseconds whatever the endpoint does, so that one that does nothing loses the largest "
    "share: it has no budget."
)
LAG = (
    "A task sleeps 1 ms at a time and notes how late it wakes, while every one of 200 endpoints "
    "is called once a second. The table has the 99th percentile of each run in milliseconds."
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When, where and with what.

    Attributes:
        date: ISO.
        machine: One line.
        versions: Of each package.
        command: That made it.
    """

    date: str
    machine: str
    versions: Mapping[str, str]
    command: str


def section(found: Findings, about: Circumstances) -> str:
    """The Markdown of everything that was measured."""
    parts = [
        "## Recording",
        f"Measured {about.date} by `{about.command}` on {about.machine}.",
        _table(["package", "version"], [[name, text] for name, text in about.versions.items()]),
        "### Budgets",
        _table(
            ["what", "budget", "measured", ""],
            [[one.what, one.budget, one.measured, WITHIN[one.within]] for one in verdicts(found)],
        ),
        "![Microseconds added per request](chart.svg)",
        "### Microseconds per request, in-process",
        INPROCESS,
        _costs(found),
        "### Requests per second, end to end",
        THROUGHPUT,
        _throughput(found),
        "### Lag of the event loop",
        LAG,
        _table(
            ["", "runs", "median"],
            [
                [label, ", ".join(f"{lag:.2f}" for lag in found.lags[state]), _ms(found, state)]
                for state, label in STATES.items()
            ],
        ),
        "### Memory",
        _memory(found),
    ]
    return "\n\n".join(parts)


def chart(found: Findings) -> str:
    """Microseconds added per request with one route, as SVG; the cheapest first."""
    costs = found.costs[ONE]
    bars = [
        Bar(variant.label.strip("*"), costs[name].added, ours=name.startswith(LENS))
        for name, variant in VARIANTS.items()
        if name in costs and name not in (BARE, "again")
    ]
    return bar_chart(
        sorted(bars, key=lambda bar: bar.value),
        title="Added to each request, in-process",
        unit="Microseconds",
        budget=ADDED_US,
    )


def _costs(found: Findings) -> str:
    rows = []
    for name, variant in VARIANTS.items():
        cells = [variant.label]
        for shape in (ONE, MANY):
            cost = found.costs[shape].get(name)
            if cost is None:
                cells += [NOT_MEASURED, ""]
            elif name == BARE:
                cells += ["", f"{cost.total:,.1f}"]
            else:
                spread = f"{cost.added:,.1f} ({cost.low:,.1f} to {cost.high:,.1f})"
                cells += [spread, f"{cost.total:,.1f}"]
        rows.append(cells)
    return _table(["", f"added, {ONE}", "in all", f"added, {MANY}", "in all"], rows)


def _throughput(found: Findings) -> str:
    rows = []
    for name in NAMES:
        seen = found.throughput.get(name)
        label = VARIANTS[variant_of(name)].label
        if name.startswith(PLAIN):
            label += ", plain uvicorn"
        elif name.startswith(TYPICAL):
            label += ", typical application"
        if seen is None:
            rows.append([label, NOT_MEASURED, "", "", ""])
        else:
            kept = f"{seen.kept:.1f} ({seen.low:.1f} to {seen.high:.1f})"
            rows.append([label, f"{seen.per_second:,.0f}", kept, str(seen.runs), str(seen.failed)])
    return _table(["", "requests per second", "% of bare", "runs", "failed"], rows)


def _memory(found: Findings) -> str:
    used = found.memory
    return (
        f"VmRSS after a warm-up that fills every histogram: {used.before:,} KiB; after "
        f"{used.requests:,} further requests to 200 endpoints with six status codes, written to "
        f"SQLite every second: {used.after:,} KiB. One request in a hundred goes through FastAPI; "
        "the others are answered by a table that leaves in the scope what FastAPI leaves there, "
        "else it would take twenty minutes."
    )


def _ms(found: Findings, state: str) -> str:
    return f"{median(found.lags[state]):.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
