"""Results of `benchmarks.storage`, as a section of RESULTS.md. Measures nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from benchmarks.machine import machine, versions
from benchmarks.storage_asking import CLIENTS, PER_SECOND, QUESTIONS, Timed
from benchmarks.storage_history import Laid
from benchmarks.storage_routes import BUSY, UNUSED
from benchmarks.storage_server import FLUSH_SECONDS

P50_MS, P95_MS = 100.0, 200.0
OVERVIEW, OVERVIEW_P50_MS, OVERVIEW_P95_MS = "/lens/", 150.0, 300.0
"""The first page, which shows the most, has budgets of its own."""

FILE_MB, GROWTH_MB = 120.0, 30.0
LABELS = {OVERVIEW: "the overview", "/lens/endpoints": "endpoints page"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One database.

    Attributes:
        cold: The first answer to each question, in milliseconds.
        alone: Answers that nothing was shared for.
        bursts: Answers to all clients asking the same at once.
        busy: Answers to all clients asking without a pause.
        idle_kib: Resident memory of the server before the first question.
        then_kib: After the last one; `peak_kib` at most in between.
        recorded: Requests that it recorded meanwhile.
    """

    name: str
    laid: Laid
    cold: Mapping[str, list[Timed]]
    alone: Mapping[str, list[Timed]]
    bursts: Mapping[str, list[Timed]]
    busy: Mapping[str, list[Timed]]
    busy_seconds: float
    idle_kib: int
    then_kib: int
    peak_kib: int
    recorded: int


@dataclass(frozen=True, slots=True)
class Rival:
    """The package on PyPI: its rows, its answers in milliseconds, its file in bytes."""

    rows: int
    report: list[Timed]
    bytes: int


def section(measured: Sequence[Measured], rival: Rival, *, command: str, days: int) -> str:
    """The section."""
    tables = "\n\n".join(_table(one) for one in measured)
    sizes = "\n".join(_size(one) for one in measured)
    known = versions()
    return f"""## Reports at a billion requests

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python {known["Python"]}, \
FastAPI {known["fastapi"]}, SQLAlchemy {known["sqlalchemy"]}, uvicorn {known["uvicorn"]}. \
{BUSY} endpoints that are called all the time and {UNUSED} that are dead or were never called, \
over {days} days, written by the writer as it writes for an application, and pruned on the way. \
One uvicorn worker answers, and meanwhile records {PER_SECOND} requests a second, which it writes \
every {FLUSH_SECONDS:g} s. Milliseconds through HTTP, to the last byte. Each cell is p50 / p95.

*First* is the very first answer of a process. *Alone* is one question at a time, so far apart \
that no answer is shared: every number is computed anew. *{CLIENTS} at once* is {CLIENTS} clients \
that ask the same at the same moment after a pause; one of them computes. *{CLIENTS} without a \
pause* ask whatever they like as fast as they can, shared and unshared answers mixed.

{tables}

| database | calls | laid down in | size | resident before | after | at most | \
recorded meanwhile |
|---|---|---|---|---|---|---|---|
{sizes}

The same report by the fastapi-lens of PyPI with {rival.rows:,} requests, one row each, on SQLite: \
{_both(rival.report)} ms, {rival.bytes / 1e6:.0f} MB.

### Budgets

| what | budget | measured |  |
|---|---|---|---|
{_budgets(measured)}
"""


def _table(one: Measured) -> str:
    rows = "\n".join(
        f"| {_label(path)} | {one.cold[path][0]:.0f} | {_both(one.alone[path])} "
        f"| {_both(one.bursts[path])} | {_both(one.busy[path])} |"
        for path in QUESTIONS
    )
    answers = sum(map(len, one.busy.values())) / one.busy_seconds
    return f"""### {one.name}

| question | first | alone | {CLIENTS} at once | {CLIENTS} without a pause |
|---|---|---|---|---|
{rows}

Without a pause: {answers:.0f} answers a second."""


def _size(one: Measured) -> str:
    size = "unknown" if one.laid.bytes is None else f"{one.laid.bytes / 1e6:.1f} MB"
    memory = " | ".join(
        f"{kib / 1_024:.1f} MiB" for kib in (one.idle_kib, one.then_kib, one.peak_kib)
    )
    laid = f"{one.laid.calls:,} | {one.laid.seconds:.0f} s | {size}"
    return f"| {one.name} | {laid} | {memory} | {one.recorded:,} |"


def _budgets(measured: Sequence[Measured]) -> str:
    rows: list[str] = []
    for one in measured:
        for name, times in (("alone", one.alone), (f"{CLIENTS} at once", one.bursts)):
            others = [path for path in QUESTIONS if path != OVERVIEW]
            p50, p95 = (max(percentile(times[path], q) for path in others) for q in (50, 95))
            first50, first95 = (percentile(times[OVERVIEW], q) for q in (50, 95))
            rows += [
                _budget(f"{one.name}, {name}: slowest p50", "ms", P50_MS, p50),
                _budget(f"{one.name}, {name}: slowest p95", "ms", P95_MS, p95),
                _budget(f"{one.name}, {name}: p50 of the overview", "ms", OVERVIEW_P50_MS, first50),
                _budget(f"{one.name}, {name}: p95 of the overview", "ms", OVERVIEW_P95_MS, first95),
            ]
        grown = (one.peak_kib - one.idle_kib) * 1_024 / 1e6
        rows.append(_budget(f"{one.name}: memory grown, at most", "MB", GROWTH_MB, grown))
    size = (measured[0].laid.bytes or 0) / 1e6
    return "\n".join([*rows, _budget(f"{measured[0].name}: size of the file", "MB", FILE_MB, size)])


def _budget(what: str, unit: str, limit: float, found: float) -> str:
    verdict = "within" if found <= limit else "**above**"
    return f"| {what} | {limit:g} {unit} | {found:.1f} {unit} | {verdict} |"


def _label(path: str) -> str:
    return (
        "an endpoint's page"
        if path.startswith("/lens/endpoints/")
        else LABELS.get(path, f"`{path}`")
    )


def _both(times: list[Timed]) -> str:
    return f"{percentile(times, 50):.0f} / {percentile(times, 95):.0f}"


def percentile(times: list[Timed], percent: int) -> float:
    """Nearest rank."""
    return sorted(times)[ceil(len(times) * percent / 100) - 1]
