"""Lays down 400 days of 500 endpoints through the real writer, with a clock of its own.

``python -m benchmarks.storage_history URL NOW [DAYS]`` prints JSON. It writes no row itself: it
hands batches to `Writer.write`, oldest first, as finely as their tier is kept (days, then hours,
then minutes), and runs the retention every simulated week. Calls are drawn a few times for each
endpoint and length of time, and the draws take turns.
"""

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from random import Random

from benchmarks.storage_routes import APP, AREAS, BUSY, UNUSED, paths
from benchmarks.support.writing import Writer
from fastapi_lens.histogram.histogram import BUCKET_MS, Histogram, bucket_index
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import Batch, Delta, EndpointFacts

DAYS = 400
CALLS = 1_000_000_000
HOURLY_DAYS = 35
MINUTELY_HOURS = 6
PRUNE_EVERY_DAYS = 7
MINUTE, HOUR, DAY = 60, 3_600, 86_400
RHYTHM = (0.4, 0.9, 1.3, 1.4)
"""A night's, a morning's, a noon's and an evening's calls, as a multiple of the mean."""

FEW = 60
"""So many calls are drawn one by one; of more, how many fell into each bucket."""

SEED = 4
STATUSES = ((200, 0.985), (404, 0.012), (500, 0.003))


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one endpoint with one status, drawn once."""

    status: int
    calls: int
    duration_us: int
    max_us: int
    histogram: Histogram

    def at(self, endpoint: int, minute: int) -> Delta:
        """As they are written when they came in one minute."""
        at_us = minute * MINUTE * 1_000_000
        return Delta(
            endpoint_id=endpoint,
            minute=minute,
            status=self.status,
            calls=self.calls,
            duration_us=self.duration_us,
            max_us=self.max_us,
            first_at_us=at_us,
            last_at_us=at_us + 59_000_000,
            histogram=self.histogram,
        )


@dataclass(frozen=True, slots=True)
class Laid:
    """The history that was written.

    Attributes:
        calls: All calls.
        seconds: Time that writing took.
        bytes: Size of the database; None where it cannot be told.
    """

    calls: int
    seconds: float
    bytes: int | None


def catalogue(seen_at: float) -> list[EndpointFacts]:
    """The facts of all endpoints."""
    return [
        EndpointFacts(
            endpoint_id(APP, "GET", path),
            APP,
            "GET",
            path,
            name=f"shop.routers.area{number % AREAS}.thing{number // AREAS}",
            source=f"shop/routers/area{number % AREAS}.py:{10 + number}",
            summary="One thing of its kind.",
            tags=(f"area{number % AREAS}",),
            seen_at_us=round(seen_at * 1_000_000),
        )
        for number, path in enumerate(paths())
    ]


class Endpoint:
    """One endpoint and the calls that were drawn for it.

    Args:
        identity: Its id.
        per_day: Calls in a day, on average.
        chance: Draws.
    """

    def __init__(self, identity: int, per_day: float, chance: Random) -> None:
        """Draw."""
        self.id = identity
        self._chance = chance
        median_ms = math.exp(chance.uniform(math.log(2), math.log(250)))
        self._mu, self._sigma = math.log(median_ms * 1_000_000), chance.uniform(0.25, 0.7)
        self._shares = self._shares_of_buckets()
        # A rare endpoint has no call in most minutes.
        self.drawn = {
            length: [
                self._draw(per_day * length / DAY * RHYTHM[at % len(RHYTHM)]) for at in range(draws)
            ]
            for length, draws in ((DAY, 4), (HOUR, 8), (MINUTE, 16))
        }

    def _shares_of_buckets(self) -> list[tuple[int, float]]:
        """Buckets of a lognormal distribution and how likely each is."""
        sample: Counter[int] = Counter()
        for step in range(-310, 311):
            at = round(math.exp(self._mu + self._sigma * step / 100))
            sample[bucket_index(at)] += round(1_000 * math.exp(-((step / 100) ** 2) / 2))
        total = sample.total()
        return [(index, count / total) for index, count in sorted(sample.items())]

    def _draw(self, expected: float) -> list[Calls]:
        return [
            calls
            for status, share in STATUSES
            if (calls := self._draw_status(status, expected * share)) is not None
        ]

    def _draw_status(self, status: int, expected: float) -> Calls | None:
        if expected < FEW:
            number = poisson(expected, self._chance)
            picked = [
                bucket_index(int(self._chance.lognormvariate(self._mu, self._sigma)))
                for _ in range(number)
            ]
            counts: dict[int, int] = Counter(picked)
        else:
            drawn = {index: poisson(expected * p, self._chance) for index, p in self._shares}
            counts = {index: count for index, count in drawn.items() if count}
        if not counts:
            return None
        duration_us = round(sum(BUCKET_MS[at] * 1_000 * count for at, count in counts.items()))
        return Calls(
            status,
            sum(counts.values()),
            duration_us,
            round(BUCKET_MS[max(counts)] * 1_000),
            Histogram.from_counts(counts),
        )


def poisson(mean: float, chance: Random) -> int:
    """A number of independent events of which so many are expected."""
    if mean > FEW:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        number += 1
    return number


def draw(chance: Random, *, calls_per_day: float) -> list[Endpoint]:
    """The busy endpoints: few have most of the calls, as everywhere (Zipf's law)."""
    weights = [1 / (rank + 10) for rank in range(BUSY)]
    per_weight = calls_per_day / sum(weights)
    return [
        Endpoint(fact.id, weight * per_weight, chance)
        for fact, weight in zip(catalogue(0.0), weights, strict=False)
    ]


def batches(
    endpoints: Sequence[Endpoint], *, now: float, days: int
) -> Iterator[tuple[int, list[Delta]]]:
    """Epoch seconds and what is written then, oldest first; a day at a time, then an hour."""
    first, last = int(now) // DAY - days + 1, int(now) // DAY
    hourly, minutely = int(now) // DAY - HOURLY_DAYS, int(now) // HOUR - MINUTELY_HOURS
    for day in range(first, last + 1):
        if day < hourly:
            yield (day + 1) * DAY, list(deltas(endpoints, day, DAY))
            continue
        hours = range(day * 24, min(day * 24 + 24, minutely))
        yield (day + 1) * DAY, [one for hour in hours for one in deltas(endpoints, hour, HOUR)]
    for hour in range(minutely, int(now) // HOUR + 1):
        minutes = range(hour * 60, min(hour * 60 + 60, int(now) // MINUTE + 1))
        yield hour * HOUR, [one for minute in minutes for one in deltas(endpoints, minute, MINUTE)]


def deltas(endpoints: Sequence[Endpoint], number: int, length: int) -> Iterator[Delta]:
    """The calls of one day, hour or minute."""
    for at, endpoint in enumerate(endpoints):
        drawn = endpoint.drawn[length]
        for calls in drawn[(number + at) % len(drawn)]:
            yield calls.at(endpoint.id, number * length // MINUTE)


def lay_down(url: str, *, now: float, days: int = DAYS) -> Laid:
    """Fill an empty database.

    Args:
        url: Of SQLAlchemy.
        now: Epoch seconds at which the history ends.
        days: Length of the history.

    Raises:
        StorageError: The database cannot be written.
    """
    began = time.perf_counter()
    database = Database(url)
    migrate(database)
    begin_us = round((now - days * DAY) * 1_000_000)
    worker = WorkerFacts("history", APP, "past", 1, "1.0", begin_us, 5_000)
    writer = Writer(database, worker)
    facts = catalogue(now - days * DAY)
    writer.register(facts, applied=0, now_us=begin_us)
    endpoints = draw(Random(SEED), calls_per_day=CALLS / DAYS)
    calls = seq = pruned_day = 0
    for at, written in batches(endpoints, now=now, days=days):
        if not written:
            continue
        seq += 1
        if seq == 1:
            written += [_once(fact.id, written[0]) for fact in facts[BUSY : BUSY + UNUSED // 2]]
        writer.write(Batch(seq, tuple(written)))
        calls += sum(delta.calls for delta in written)
        if at // DAY >= pruned_day + PRUNE_EVERY_DAYS:
            pruned_day = at // DAY
            prune(database, Retention(), now=min(now, at))
    prune(database, Retention(), now=now)
    end_us = round(now * 1_000_000)
    beat(database, worker, Heartbeat(now_us=end_us, complete_to_us=end_us, ended=True))
    with database.read() as connection:
        size = database.size_bytes(connection)
    database.close()
    return Laid(calls, time.perf_counter() - began, size)


def _once(endpoint: int, like: Delta) -> Delta:
    """The last call of an endpoint that is dead since."""
    single = Histogram.from_counts({100: 1})
    calls = Calls(200, 1, round(BUCKET_MS[100] * 1_000), round(BUCKET_MS[100] * 1_000), single)
    return calls.at(endpoint, like.minute)


if __name__ == "__main__":
    how_long = int(sys.argv[3]) if len(sys.argv) > 3 else DAYS  # noqa: PLR2004
    print(json.dumps(asdict(lay_down(sys.argv[1], now=float(sys.argv[2]), days=how_long))))
