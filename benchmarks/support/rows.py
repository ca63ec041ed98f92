"""A database that misbehaves, deltas to write, and what has to stand in the rows after them.

The sums are counted here once more, row by row, without the code that is tested.
"""

import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import StorageError
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import caller_id, endpoint_id
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS, USE
from fastapi_lens.storage.writing.batches import (
    Batch,
    CallerCalls,
    CallerFacts,
    Delta,
    EndpointFacts,
)
from fastapi_lens.storage.writing.registrar import Registrar
from fastapi_lens.verdict.history import REFUSED

APP = "orders"
MINUTE = 29_550_000
"""The minute of 2026-03-09 00:00 UTC."""


class FlakyDatabase(Database):
    """A database that can be down, or lose the acknowledgement of a commit.

    Attributes:
        down: Refuse everything.
        loses: Asked after each commit, which is reported as failed when the answer is true.
        has_read: Called after each transaction that has read.
    """

    def __init__(self, url: str, loses: Callable[[], bool] = lambda: False) -> None:
        """Work as any other until it is told otherwise."""
        super().__init__(url)
        self.down = False
        self.loses = loses
        self.has_read: Callable[[], None] = lambda: None

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that reads, unless the database is down."""
        self._refuse_when_down()
        with super().read() as connection:
            yield connection
        self.has_read()

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that writes, whose commit may seem to have failed."""
        self._refuse_when_down()
        with super().write() as connection:
            yield connection
        if self.loses():
            raise StorageError("the acknowledgement of the commit got lost")

    def _refuse_when_down(self) -> None:
        if self.down:
            raise StorageError("connection refused")


def facts(path: str, method: str = "GET", app: str = APP, **more: Any) -> EndpointFacts:
    """An endpoint."""
    return EndpointFacts(endpoint_id(app, method, path), app, method, path, **more)


def worker(name: str = "w1", app: str = APP, started_at: float = 1.0) -> WorkerFacts:
    """A worker, started at so many epoch seconds."""
    return WorkerFacts(name, app, "host-1", 4711, "1.4.2", round(started_at * 1_000_000), 5_000)


def make_endpoints(database: Database, number: int = 4) -> None:
    """Endpoints with the ids that `random_delta` draws from."""
    endpoints = [replace(facts(f"/{each}"), id=each) for each in range(1, number + 1)]
    Registrar(database, worker("setup")).register(endpoints, applied=0, now_us=1)


def delta(
    endpoint: int,
    durations_us: Iterable[int] = (1_000,),
    *,
    minute: int = MINUTE,
    status: int = 200,
) -> Delta:
    """Calls that all lie in the first second of a minute."""
    durations = list(durations_us)
    return Delta(
        endpoint_id=endpoint,
        minute=minute,
        status=status,
        calls=len(durations),
        duration_us=sum(durations),
        max_us=max(durations),
        first_at_us=minute * 60_000_000 + min(durations),
        last_at_us=minute * 60_000_000 + max(durations),
        histogram=Histogram.from_counts(Counter(bucket_index(us * 1_000) for us in durations)),
    )


def random_delta(chance: random.Random, endpoints: int) -> Delta:
    """Any of a few endpoints, in one of some minutes around the turn of a week."""
    durations = [
        chance.randrange(10 ** chance.randrange(1, 8)) for _ in range(chance.randrange(1, 5))
    ]
    return delta(
        chance.randrange(1, endpoints + 1),
        durations,
        minute=10_080 * 2_930 + chance.choice((-1_500, -61, -60, -1, 0, 1, 59, 60, 1_440)),
        status=chance.choice((101, 200, 201, 304, 404, 422, 500, 503)),
    )


def caller(name: str, kind: CallerKind = CallerKind.HOOK, app: str = APP) -> CallerFacts:
    """A caller of an app."""
    return CallerFacts(caller_id(app, kind, name), kind, name)


def caller_calls(
    endpoint: int,
    of: CallerFacts | None,
    *,
    minute: int = MINUTE,
    calls: int = 1,
    refused: int = 0,
    errors_5xx: int = 0,
) -> CallerCalls:
    """Calls of a caller in the first second of a minute; of others, if it is None."""
    is_use = not calls or calls > refused
    return CallerCalls(
        endpoint_id=endpoint,
        caller_id=OTHERS_ID if of is None else of.id,
        day=minute // 1_440,
        calls=calls,
        refused=refused,
        errors_5xx=errors_5xx,
        first_at_us=minute * 60_000_000 * is_use,
        last_at_us=(minute * 60_000_000 + 1_000_000) * is_use,
    )


def called_by(
    endpoint: int, of: CallerFacts, *minutes: int, seq: int = 1, status: int = 200
) -> Batch:
    """An attributed batch with one call in each of some minutes, all by the same caller."""
    refused = int(status in REFUSED)
    errors = int(status in range(500, 600))
    return Batch(
        seq,
        tuple(delta(endpoint, minute=minute, status=status) for minute in minutes),
        is_attributed=True,
        callers=tuple(
            caller_calls(endpoint, of, minute=minute, refused=refused, errors_5xx=errors)
            for minute in minutes
        ),
        names=(of,),
    )


CALLERS = tuple(CallerFacts(number, CallerKind.HOOK, f"caller {number}") for number in (1, 2, 3))
"""Those of `attributed`."""


def attributed(batch: Batch) -> Batch:
    """The same batch with a caller for each sum, which follows from the sum."""
    return replace(
        batch,
        is_attributed=True,
        callers=tuple(map(_calls_of_caller, batch.deltas)),
        names=CALLERS,
    )


def _calls_of_caller(one: Delta) -> CallerCalls:
    is_refused = one.status in REFUSED
    return CallerCalls(
        endpoint_id=one.endpoint_id,
        caller_id=CALLERS[(one.minute + one.status) % len(CALLERS)].id,
        day=one.minute // 1_440,
        calls=one.calls,
        refused=one.calls * is_refused,
        errors_5xx=one.calls * (one.status in range(500, 600)),
        first_at_us=one.first_at_us * (not is_refused),
        last_at_us=one.last_at_us * (not is_refused),
    )


@dataclass
class Uses:
    """The calls of one endpoint by one caller, counted once more.

    Attributes:
        sums: All of them, refused ones, and errors.
        times: First and last time of a use; 0 without any.
        days: With a use; only their number, the first, and the last, if read from the tables.
        max_gap: Longest distance between two of them.
    """

    sums: tuple[int, int, int]
    times: tuple[int, int]
    days: tuple[int, int, int]
    max_gap: int


def uses_of(deltas: Iterable[Delta]) -> dict[tuple[int, int], Uses]:
    """Expected rows of callers when each of these deltas is written once, with its caller."""
    found: dict[tuple[int, int], list[CallerCalls]] = {}
    for one in map(_calls_of_caller, deltas):
        found.setdefault((one.endpoint_id, one.caller_id), []).append(one)
    return {pair: _counted_uses(calls) for pair, calls in found.items()}


def _counted_uses(calls: Sequence[CallerCalls]) -> Uses:
    used = [one for one in calls if one.last_at_us]
    days = sorted({one.day for one in used})
    return Uses(
        (
            sum(one.calls for one in calls),
            sum(one.refused for one in calls),
            sum(one.errors_5xx for one in calls),
        ),
        (
            min((one.first_at_us for one in used), default=0),
            max((one.last_at_us for one in used), default=0),
        ),
        (len(days), days[0], days[-1]) if days else (0, 0, 0),
        max((later - day for day, later in pairwise(days)), default=0),
    )


def uses_in(database: Database) -> dict[tuple[int, int], Uses]:
    """The rows of callers."""
    return {
        (row.endpoint_id, row.caller_id): Uses(
            (row.calls, row.refused, row.errors_5xx),
            (row.first_at, row.last_at),
            (row.days, row.first_day, row.last_day),
            row.max_gap,
        )
        for row in table_rows(database, USE)
    }


def wrong_uses(
    found: dict[tuple[int, int], Uses], expected: dict[tuple[int, int], Uses]
) -> list[tuple[int, int]]:
    """The pairs with other calls or times, with a gap too short, or with too many days."""
    return [
        pair
        for pair in found.keys() | expected.keys()
        if pair not in found or pair not in expected or _is_wrong(found[pair], expected[pair])
    ]


def _is_wrong(found: Uses, expected: Uses) -> bool:
    return (
        (found.sums, found.times, found.days[1:])
        != (expected.sums, expected.times, expected.days[1:])
        or found.max_gap < expected.max_gap
        or not min(1, expected.days[0]) <= found.days[0] <= expected.days[0]
    )


@dataclass
class Rows:
    """Rows of the tables, actual or expected.

    Attributes:
        buckets: By tier, bucket and endpoint: calls, 3xx, 4xx, 5xx, microseconds, the maximum.
        latencies: By the same, the calls per histogram bucket.
        statuses: Calls by day, endpoint and status.
        endpoints: By endpoint: calls, first and last call.
    """

    buckets: dict[tuple[int, ...], list[int]] = field(default_factory=dict)
    latencies: dict[tuple[int, ...], Counter[int]] = field(default_factory=dict)
    statuses: Counter[tuple[int, ...]] = field(default_factory=Counter)
    endpoints: dict[int, tuple[int, int, int]] = field(default_factory=dict)


def rows_of(deltas: Iterable[Delta]) -> Rows:
    """Expected rows when each of these deltas is written once."""
    rows = Rows()
    for one in deltas:
        for seconds in (60, 3_600, 86_400, 604_800):
            key = (seconds, one.minute * 60 // seconds, one.endpoint_id)
            sums = rows.buckets.setdefault(key, [0] * 6)
            sums[0] += one.calls
            if one.status // 100 in (3, 4, 5):
                sums[one.status // 100 - 2] += one.calls
            sums[4] += one.duration_us
            sums[5] = max(sums[5], one.max_us)
            rows.latencies.setdefault(key, Counter()).update(dict(one.histogram.items()))
        rows.statuses[one.minute // 1_440, one.endpoint_id, one.status] += one.calls
        total, first, last = rows.endpoints.get(one.endpoint_id, (0, one.first_at_us, 0))
        rows.endpoints[one.endpoint_id] = (
            total + one.calls,
            min(first, one.first_at_us),
            max(last, one.last_at_us),
        )
    return rows


def rows_in(database: Database) -> Rows:
    """Actual rows of the tables."""
    rows = Rows()
    for row in table_rows(database, BUCKET):
        key = (row.tier, row.bucket, row.endpoint_id)
        rows.buckets[key] = [row.calls, row.redirects, row.errors_4xx, row.errors_5xx]
        rows.buckets[key] += [row.duration_us, row.max_us]
        rows.latencies[key] = Counter(dict(Histogram.from_bytes(row.histogram).items()))
    for row in table_rows(database, STATUS):
        rows.statuses[row.day, row.endpoint_id, row.status] = row.calls
    for row in table_rows(database, ENDPOINT):
        if row.total_calls:
            rows.endpoints[row.id] = (row.total_calls, row.first_called_at, row.last_called_at)
    return rows


def table_rows(database: Database, table: sa.Table) -> list[Any]:
    """All rows of a table."""
    with database.read() as connection:
        return list(connection.execute(sa.select(table)))
