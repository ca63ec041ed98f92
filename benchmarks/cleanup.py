"""Response times of the cleanup page with 1,000 endpoints: `make bench-cleanup`.

Lays two years down on SQLite, with callers and without, and serves them with uvicorn. The page is
asked for first by a process that has answered nothing, then again while nothing changes, and after
each flush of new counts. ``--quick`` asks less and writes no file. Takes two minutes, and its
numbers are worth something only while the machine does nothing else.
"""

import argparse
import http.client
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from benchmarks.budgets import budget_row
from benchmarks.machine import machine, versions
from benchmarks.pages_app import APP, lay_down_endpoints, paths, serving
from benchmarks.sections import write_section
from benchmarks.storage_history import DAY, HOUR
from benchmarks.storage_results import percentile
from benchmarks.support.ports import HOST
from benchmarks.support.servers import Server
from fastapi_lens import LensConfig
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id, release_id
from fastapi_lens.storage.schema.models import CallerKind, Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    OBSERVED,
    RELEASE,
    STATUS,
    USE,
)

ENDPOINTS = 1_000
DAYS, DAY_ROWS, SILENT_DAYS = 800, 400, 390
"""Days since the application is watched, those whose calls are kept by day, and the longest
silence."""

HOLES_AGO = (300, 299, 120)
GAPS = (1, 1, 7, 30)
"""Days between two uses; endpoints take turns."""

NEVER, SILENT, OF = 1, 2, 10
"""Of ten endpoints, one was never called, and two are silent."""

CALLERS, MOST_CALLERS = 60, 8
"""Callers of the application, and the most of one endpoint."""

SEED = 3
SETTLE_SECONDS = 2.0
FLUSH_SECONDS = LensConfig().flush_interval + 0.5
PAGE, EVIDENCE = "/lens/cleanup", "/lens/report/evidence"
COLD_MS, WARM_MS, PAGE_BYTES = 150.0, 20.0, 60_000
"""Budgets: of the first answer of a process, of one to which nothing has changed, and of its bytes
on the wire."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Number of processes, and of requests to each."""

    processes: int
    requests: int


FULL, QUICK = Plan(5, 8), Plan(2, 3)


@dataclass(frozen=True, slots=True)
class Times:
    """Times in milliseconds.

    Attributes:
        cold: The first page of each process.
        flushed: Pages after new counts.
        warm: Pages to which nothing has changed.
        evidence: The evidence of all endpoints as JSON, after new counts.
        bytes: Of the page on the wire.
    """

    cold: list[float]
    flushed: list[float]
    warm: list[float]
    evidence: list[float]
    bytes: int


def lay_down(url: str, *, has_callers: bool, now: float) -> None:
    """Fill an empty database with endpoints that have been watched for two years.

    Raises:
        StorageError: The database cannot be written.
    """
    lay_down_endpoints(url, endpoints=ENDPOINTS, since=now - DAYS * DAY)
    database = Database(url)
    with database.write() as connection:
        _observe(connection, now)
        if has_callers:
            connection.execute(sa.insert(CALLER), list(_callers(now)))
        chance = Random(SEED)
        for number, path in enumerate(paths(ENDPOINTS)):
            if number % OF >= NEVER:
                _use(connection, number, path, chance, now, has_callers=has_callers)
    database.close()


def _observe(connection: sa.Connection, now: float) -> None:
    today, release = int(now) // DAY, release_id(APP, "")
    hours = range((today - DAYS) * 24, int(now) // HOUR + 1)
    connection.execute(
        sa.insert(RELEASE), {"id": release, "app": APP, "name": "", "first_at": 1, "last_at": 1}
    )
    connection.execute(
        sa.insert(OBSERVED),
        [
            {"release_id": release, "hour": hour, "minutes": (1 << 60) - 1}
            for hour in hours
            if today - hour // 24 not in HOLES_AGO
        ],
    )


def _callers(now: float) -> Iterator[dict[str, Any]]:
    times = {"first_at": round((now - DAYS * DAY) * 1e6), "last_at": round(now * 1e6)}
    for number in range(CALLERS):
        kind = CallerKind.HOOK.value
        yield {"id": 1 + number, "app": APP, "kind": kind, "name": f"service {number}", **times}


def _use(
    connection: sa.Connection,
    number: int,
    path: str,
    chance: Random,
    now: float,
    *,
    has_callers: bool,
) -> None:
    """The days and weeks of one endpoint, its row, and its callers."""
    today, identity = int(now) // DAY, endpoint_id(APP, "GET", path)
    is_silent = number % OF < NEVER + SILENT
    gap, last = GAPS[number % len(GAPS)], today - is_silent * chance.randint(8, SILENT_DAYS)
    days = list(range(last, today - DAY_ROWS, -gap))
    weeks = {day // 7 for day in range(today - DAY_ROWS, today - DAYS + 10, -gap)}
    last_us = min(last * DAY + DAY // 2, int(now)) * 1_000_000
    status = {"endpoint_id": identity, "status": 200, "calls": 3}
    connection.execute(sa.insert(STATUS), [{**status, "day": day} for day in days])
    week = {"tier": Tier.WEEK.value, "endpoint_id": identity, "calls": 9}
    connection.execute(sa.insert(BUCKET), [{**week, "bucket": one} for one in weeks])
    chosen = chance.sample(range(1, CALLERS + 1), chance.randint(1, MOST_CALLERS))
    times = dict.fromkeys(("last_called_at", "last_used_at"), last_us)
    called = {"first_called_at": round((now - DAYS * DAY) * 1e6), "total_calls": 3 * len(days)}
    ledger = {"attributed_until": last_us, "callers": len(chosen)} if has_callers else {}
    connection.execute(
        sa.update(ENDPOINT).where(ENDPOINT.c.id == identity).values(**times, **called, **ledger)
    )
    use = {"endpoint_id": identity, "calls": 90, "first_at": called["first_called_at"]}
    use |= {"first_day": today - DAYS, "last_day": last, "last_at": last_us, "max_gap": gap}
    if has_callers:
        rows = [{**use, "caller_id": one, "days": DAY_ROWS // gap} for one in chosen]
        connection.execute(sa.insert(USE), rows)


def ask(url: str, folder: Path, plan: Plan) -> Times:
    """Ask several processes one after the other."""
    found, size = Times([], [], [], [], 0), 0
    for _ in range(plan.processes):
        with serving(url, endpoints=ENDPOINTS, folder=folder) as server:
            time.sleep(SETTLE_SECONDS)
            # So that neither templates nor the session are part of the first answer.
            _timed(server, "/lens/settings")
            first, size = _timed(server, PAGE)
            found.cold.append(first)
            found.warm.extend(_timed(server, PAGE)[0] for _ in range(plan.requests))
            for path in (PAGE, EVIDENCE):
                _timed(server, paths(ENDPOINTS)[-1].replace("{thing_id}", "7"))
                time.sleep(FLUSH_SECONDS)
                times = found.flushed if path == PAGE else found.evidence
                times.append(_timed(server, path)[0])
    return Times(found.cold, found.flushed, found.warm, found.evidence, size)


def _timed(server: Server, path: str) -> tuple[float, int]:
    """Milliseconds until the last byte, and the bytes of the body on the wire."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    took = 1_000 * (time.perf_counter() - began)
    connection.close()
    assert answer.status == http.client.OK, (path, answer.status)
    return took, len(body)


def run(plan: Plan) -> dict[str, Times]:
    """Both, one after the other."""
    found: dict[str, Times] = {}
    with TemporaryDirectory() as name:
        for what, has_callers in (("callers not recorded", False), ("callers recorded", True)):
            print(f"bench: {what}", flush=True)
            url = f"sqlite:///{Path(name) / f'{has_callers}.db'}"
            lay_down(url, has_callers=has_callers, now=time.time())
            found[what] = ask(url, Path(name), plan)
    return found


def section(found: dict[str, Times], *, command: str) -> str:
    """The section of RESULTS.md."""
    known = versions()
    columns = ("cold", "after a flush", "nothing has changed", "evidence as JSON")
    lines = "\n".join(
        f"| {what} | "
        + " | ".join(
            _cell(each) for each in (times.cold, times.flushed, times.warm, times.evidence)
        )
        + f" | {times.bytes:,} |"
        for what, times in found.items()
    )
    cold = max(percentile(one.cold, 50) for one in found.values())
    warm = max(percentile(one.warm, 50) for one in found.values())
    most = max(one.bytes for one in found.values())
    budgets = "\n".join(
        (
            budget_row("cold, p50", cold, COLD_MS, "ms"),
            budget_row("warm, p50", warm, WARM_MS, "ms"),
            budget_row("transferred", most, PAGE_BYTES, "bytes"),
        )
    )
    return f"""## The cleanup page with {ENDPOINTS:,} endpoints

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python {known["Python"]}, \
FastAPI {known["fastapi"]}, uvicorn {known["uvicorn"]}. {ENDPOINTS:,} endpoints on SQLite, watched \
for {DAYS} days, {NEVER} in {OF} never called and {SILENT} in {OF} silent for up to {SILENT_DAYS} \
days; with callers, each has up to {MOST_CALLERS} of {CALLERS}. Milliseconds over HTTP to the last \
byte, p50 / most. *Cold* is the first answer with verdicts of a process.

| | {" | ".join(columns)} | bytes |
|---|{"---|" * (len(columns) + 1)}
{lines}

| what | budget | measured |  |
|---|---|---|---|
{budgets}
"""


def _cell(times: list[float]) -> str:
    return f"{percentile(times, 50):.0f} / {max(times):.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the cleanup page.")
    parser.add_argument("--quick", action="store_true", help="rough numbers, and no file")
    options = parser.parse_args(arguments)
    body = section(run(QUICK if options.quick else FULL), command="make bench-cleanup")
    print(body)
    if not options.quick:
        write_section(Path(__file__).parent / "RESULTS.md", "cleanup", body)


if __name__ == "__main__":
    main()
