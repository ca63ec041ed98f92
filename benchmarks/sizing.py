"""Size and write rate of the database: the sizing of docs/storage.md.

``python -m benchmarks.sizing`` (`make bench-sizing`) writes six hours of 50 endpoints through the
writer of the package, in two flushes a minute, looks how large the tables have become, and reckons
from that what other numbers of endpoints and workers come to. It takes a minute and replaces its
part of docs/storage.md; ``--quick`` writes half an hour, and no file.
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from benchmarks.machine import machine
from benchmarks.sections import write_section
from benchmarks.support.mariadb import MariadbServer
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.writing import Writer
from fastapi_lens.admin.display import formats
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.caller_deletion import USE_WEEK_SECONDS
from fastapi_lens.storage.retention.pruner import KEPT_SECONDS
from fastapi_lens.storage.schema.identities import caller_id, endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import CallerKind, Tier
from fastapi_lens.storage.schema.tables import BUCKET, CALLER, ENDPOINT, STATUS, USE, USE_WEEK
from fastapi_lens.storage.writing.batches import (
    Batch,
    CallerCalls,
    CallerFacts,
    Delta,
    EndpointFacts,
)
from fastapi_lens.storage.writing.callers import MOST_CALLERS, MOST_IN_WEEKS
from scripts import mariadb

ROOT = Path(__file__).parents[1]
ENDPOINTS = 50
CALLS_PER_MINUTE = 30
"""Of each endpoint: 43,200 a day, and 2.2 million of all of them."""

STATUSES = (200, 404, 500)
"""The first one most of the time, the others now and then."""

FIRST_MINUTE = 29_550_240
"""The beginning of a day."""

FLUSHES_PER_MINUTE = 2

STATUS_DAYS = 40
"""Days that are written for the size of the tables that grow by day."""

MANY_ENDPOINTS = (50, 500, 5_000)
MOST_MANY = 300
"""Endpoints of the table of callers."""

CALLER_WEEKS = 12
"""Weeks of callers that are written."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Sizes measured on one kind of database.

    Attributes:
        name: Of the database.
        histogram: Bytes of a histogram, by tier.
        row: Bytes of a row of sums beside its histogram.
        status: Bytes of a row of a status code.
        endpoint: Bytes of an endpoint's own row.
        use: Bytes of the row of a caller of an endpoint.
        use_week: Bytes of a row of its calls in a week.
        caller: Bytes of a caller's own row.
    """

    name: str
    histogram: Mapping[Tier, float]
    row: float
    status: float
    endpoint: float
    use: float
    use_week: float
    caller: float

    def row_bytes(self, tier: Tier) -> float:
        """Bytes of a row of a tier."""
        return self.row + self.histogram[tier]

    def per_day(self, tier: Tier) -> float:
        """Bytes that an endpoint brings in a day, if it is called all day."""
        return self.row_bytes(tier) * Tier.DAY / tier

    @property
    def per_endpoint(self) -> float:
        """Bytes of an endpoint that was called all the time for 400 days."""
        days = (KEPT_SECONDS[Tier.DAY] or 0) / Tier.DAY
        return (
            sum(self.row_bytes(tier) * kept_rows(tier) for tier in Tier)
            + self.status * len(STATUSES) * days
            + self.endpoint
        )


def kept_rows(tier: Tier) -> float:
    """Rows of an endpoint that is called all the time, after 400 days."""
    return (KEPT_SECONDS[tier] or KEPT_SECONDS[Tier.DAY] or 0) / tier


def facts() -> list[EndpointFacts]:
    """Endpoints as an application has them."""
    return [
        EndpointFacts(
            id=endpoint_id("sizing", "GET", path),
            app="sizing",
            method="GET",
            path=path,
            name=f"app.routers.things.read_thing_{number}",
            source=f"app/routers/things.py:{number}",
            summary="One thing of the many that there are.",
            tags=("things",),
            seen_at_us=FIRST_MINUTE * 60_000_000,
        )
        for number in range(ENDPOINTS)
        for path in [f"/api/v1/organisations/{{organisation_id}}/things-{number}/{{thing_id}}"]
    ]


def delta(
    fact: EndpointFacts, minute: int, chance: random.Random, *, calls: int, status: int = 200
) -> Delta:
    """Calls of one endpoint, which has a latency of its own."""
    usual = 9 + fact.id % 5 / 2
    durations = [round(chance.lognormvariate(usual, 0.5)) for _ in range(calls)]
    return Delta(
        endpoint_id=fact.id,
        minute=minute,
        status=status,
        calls=calls,
        duration_us=sum(durations),
        max_us=max(durations),
        first_at_us=minute * 60_000_000,
        last_at_us=minute * 60_000_000 + 59_000_000,
        histogram=Histogram.from_counts(Counter(bucket_index(us * 1_000) for us in durations)),
    )


def busy_minutes(minutes: int) -> Iterator[list[Delta]]:
    """Deltas of each flush while everything is called all the time."""
    chance = random.Random(1)
    for minute in range(FIRST_MINUTE, FIRST_MINUTE + minutes):
        for _ in range(FLUSHES_PER_MINUTE):
            calls = CALLS_PER_MINUTE // FLUSHES_PER_MINUTE
            yield [delta(fact, minute, chance, calls=calls) for fact in facts()]


def many_days(days: int) -> Iterator[list[Delta]]:
    """Two flushes on each day, with every status of every endpoint."""
    chance = random.Random(2)
    for half_day in range(2 * days):
        minute = FIRST_MINUTE + 720 * half_day
        yield [
            delta(fact, minute, chance, calls=3, status=status)
            for fact in facts()
            for status in STATUSES
        ]


def called_by_many() -> Iterator[Batch]:
    """Some weeks of few callers, as many as their weeks are kept of; then as many as there may be.

    So each endpoint has its full number of callers, and the most weeks.
    """
    callers = [
        CallerFacts(caller_id("sizing", CallerKind.HOOK, name), CallerKind.HOOK, name)
        for name in (f"service-{number}.team-{number % 9}" for number in range(MOST_CALLERS))
    ]
    for week in range(CALLER_WEEKS + 1):
        some = callers if week == CALLER_WEEKS else callers[:MOST_IN_WEEKS]
        day = FIRST_MINUTE // 1_440 + 7 * week
        at_us = day * 86_400_000_000
        yield Batch(
            week + 1,
            is_attributed=True,
            callers=tuple(
                CallerCalls(fact.id, one.id, day, 3_000, 0, 0, at_us, at_us)
                for fact in facts()
                for one in some
            ),
            names=tuple(some),
        )


def write(database: Database, flushes: Iterable[list[Delta]]) -> None:
    """Write flushes of one worker."""
    write_batches(database, (Batch(seq, tuple(flush)) for seq, flush in enumerate(flushes, 1)))


def write_batches(database: Database, batches: Iterable[Batch]) -> None:
    """Write batches of one worker."""
    worker = WorkerFacts("sizing", "sizing", "host", 1, "1.0", FIRST_MINUTE * 60_000_000, 5_000)
    writer = Writer(database, worker)
    writer.register(facts(), applied=0, now_us=FIRST_MINUTE * 60_000_000)
    for batch in batches:
        writer.write(batch)


_TABLE_BYTES = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat "
    "WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = :name)",
    "postgresql": "SELECT pg_total_relation_size(CAST(:name AS regclass))",
    "mysql": "SELECT data_length + index_length FROM information_schema.tables "
    "WHERE table_schema = database() AND table_name = :name",
}
"""Queries of a table's size with its indexes."""


def table_bytes(connection: Connection, table: sa.Table, dialect: str) -> int:
    """Size of a table and its indexes."""
    if dialect == "mysql":
        connection.exec_driver_sql(f"ANALYZE TABLE {table.name}").all()
    query = sa.text(_TABLE_BYTES[dialect])
    return int(connection.execute(query, {"name": table.name}).scalar_one())


def bytes_per_row(database: Database, table: sa.Table) -> float:
    """Average size of a row, with its share of the table's overhead."""
    with database.read() as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        return table_bytes(connection, table, database.dialect.name) / rows


def histogram_bytes(database: Database, tier: Tier | None = None) -> float:
    """The length of a histogram, on average."""
    length = sa.select(sa.func.avg(sa.func.length(BUCKET.c.histogram)))
    if tier is not None:
        length = length.where(BUCKET.c.tier == tier.value)
    with database.read() as connection:
        return float(connection.execute(length).scalar_one())


def measure(name: str, urls: tuple[str, str, str], *, minutes: int, days: int) -> Measured:
    """Write into two empty databases through the writer, and look at the tables."""
    with closing(Database(urls[0])) as database:
        migrate(database)
        write(database, busy_minutes(minutes))
        row = bytes_per_row(database, BUCKET) - histogram_bytes(database)
        histogram = {tier: histogram_bytes(database, tier) for tier in Tier}
    with closing(Database(urls[1])) as database:
        migrate(database)
        write(database, many_days(days))
        status, endpoint = bytes_per_row(database, STATUS), bytes_per_row(database, ENDPOINT)
    with closing(Database(urls[2])) as database:
        migrate(database)
        write_batches(database, called_by_many())
        use, use_week, caller = (bytes_per_row(database, one) for one in (USE, USE_WEEK, CALLER))
    return Measured(
        name=name,
        histogram=histogram,
        row=row,
        status=status,
        endpoint=endpoint,
        use=use,
        use_week=use_week,
        caller=caller,
    )


def section(found: list[Measured], *, command: str) -> str:
    """The part of docs/storage.md."""
    return f"""`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}. \
{ENDPOINTS} endpoints, each called {CALLS_PER_MINUTE} times a minute.

An endpoint that is called all the time takes, in bytes:

| tier | kept | rows | {" | ".join(f"a row, {one.name} | a day, {one.name}" for one in found)} |
|---|---|---|{"---|" * 2 * len(found)}
{_tiers(found)}

At steady state, with the default retention, all endpoints called all the time, {len(STATUSES)} \
status codes each, and 400 days of weeks:

| endpoints | rows | {" | ".join(f"size, {one.name}" for one in found)} |
|---|---|{"---|" * len(found)}
{_sizes(found)}

Callers, if they are recorded, in bytes, and {MOST_MANY:,} endpoints with the most callers that \
are kept:

| rows | {" | ".join(f"a row, {one.name} | at most, {one.name}" for one in found)} |
|---|{"---|" * 2 * len(found)}
{_callers(found)}

The number of workers does not change the size, and hardly changes what is written: \
`make bench-fleet` measures that ([results](../benchmarks/RESULTS.md)).
"""


def _tiers(found: list[Measured]) -> str:
    lines = []
    for tier in Tier:
        kept = KEPT_SECONDS[tier]
        until = "for ever" if kept is None else formats.span(kept)
        sizes = " | ".join(
            f"{one.row_bytes(tier):,.0f} | {one.per_day(tier):,.0f}" for one in found
        )
        lines.append(f"| {tier.name.lower()} | {until} | {kept_rows(tier):,.0f} | {sizes} |")
    statuses = " | ".join(f"{one.status:,.0f} | {one.status:,.0f}" for one in found)
    lines.append(f"| status code | 400 days | 400 | {statuses} |")
    return "\n".join(lines)


def _sizes(found: list[Measured]) -> str:
    rows = sum(kept_rows(tier) for tier in Tier) + len(STATUSES) * 400 + 1
    return "\n".join(
        f"| {endpoints:,} | {endpoints * rows:,.0f} "
        f"| {' | '.join(f'{endpoints * one.per_endpoint / 1e6:,.0f} MB' for one in found)} |"
        for endpoints in MANY_ENDPOINTS
    )


def _callers(found: list[Measured]) -> str:
    weeks = USE_WEEK_SECONDS // Tier.WEEK
    kinds = (
        (f"callers of an endpoint, {MOST_CALLERS}", "use", MOST_CALLERS),
        (f"weeks of {MOST_IN_WEEKS} callers, {weeks} each", "use_week", MOST_IN_WEEKS * weeks),
    )
    lines = [
        f"| {says} | "
        + " | ".join(
            f"{getattr(one, name):,.0f} | {MOST_MANY * rows * getattr(one, name) / 1e6:,.1f} MB"
            for one in found
        )
        + " |"
        for says, name, rows in kinds
    ]
    callers = " | ".join(f"{one.caller:,.0f} | " for one in found)
    return "\n".join([*lines, f"| callers themselves | {callers}|"])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure how large the database becomes.")
    parser.add_argument("--quick", action="store_true", help="half an hour; writes no file")
    quick = parser.parse_args().quick
    lengths = {"minutes": 30, "days": 4} if quick else {"minutes": 360, "days": STATUS_DAYS}
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        names = ("busy", "days", "callers")
        busy, days, callers = (f"sqlite:///{folder}/{name}.db" for name in names)
        found = [measure("SQLite", (busy, days, callers), **lengths)]
        servers: list[type[PostgresServer | MariadbServer]] = [PostgresServer]
        # Where there is none, its column is left out.
        servers += [MariadbServer] if mariadb.find() else []
        for kind in servers:
            server = stack.enter_context(kind())
            busy, days, callers = (server.create_database() for _ in names)
            found.append(measure(server.name, (busy, days, callers), **lengths))
    for one in found:
        print(one)
    body = section(found, command="make bench-sizing")
    if not quick:
        write_section(ROOT / "docs" / "storage.md", "sizing", body)
    print(body)


if __name__ == "__main__":
    main()
