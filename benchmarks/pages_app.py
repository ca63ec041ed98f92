"""An application with very many endpoints and a past of its own: the subject of `benchmarks.pages`.

``python -m benchmarks.pages_app URL PORT ENDPOINTS`` serves it; `lay_down` writes its past through
the real writer. Measures nothing.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import uvicorn
from fastapi import FastAPI

from benchmarks.storage_history import DAY, HOUR, MINUTE, Calls
from benchmarks.support.ports import free_port
from benchmarks.support.servers import Server
from benchmarks.support.writing import Writer
from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.histogram.histogram import BUCKET_MS, Histogram, bucket_index
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import Batch, Delta, EndpointFacts

ROOT = Path(__file__).parents[1]

APP = "pages benchmark"
AREAS = 25
UNUSED_OF_TEN = 1
"""Of ten endpoints one was never called."""

OLD_DAYS = 400
"""So long has one of them been called: the first that is used."""

RECENT_DAYS, HOURLY_DAYS, APART_HOURS = 8, 35, 6
DRAWS, CALLS = 16, 40
SEED = 5


def paths(endpoints: int) -> list[str]:
    """The path templates of all endpoints, each with GET."""
    return [f"/v1/area{n % AREAS}/thing{n // AREAS}/{{thing_id}}" for n in range(endpoints)]


def build(url: str, endpoints: int) -> FastAPI:
    """The application with its admin, open to whoever asks."""
    app = FastAPI(title=APP)
    config = LensConfig(database_url=url, security_enabled=False)
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    for number, path in enumerate(paths(endpoints)):
        app.add_api_route(path, _thing, methods=["GET"], tags=[f"area{number % AREAS}"])
    return app


async def _thing(thing_id: str) -> dict[str, str]:
    """One thing of its kind."""
    return {"thing": thing_id}


def serving(url: str, *, endpoints: int, folder: Path) -> Server:
    """The application under uvicorn, in a process of its own."""
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.pages_app", url, str(port), str(endpoints)]
    return Server(argv, port=port, cwd=folder, env={"PYTHONPATH": str(ROOT)})


def lay_down(url: str, *, endpoints: int, now: float) -> None:
    """Fill an empty database: all endpoints in the last days, the first for more than a year.

    Raises:
        StorageError: The database cannot be written.
    """
    database = Database(url)
    writer, facts = _registered(database, endpoints, now - OLD_DAYS * DAY)
    called = [fact.id for number, fact in enumerate(facts) if number % 10 >= UNUSED_OF_TEN]
    calls = list(_draw(Random(SEED)))
    first = facts[UNUSED_OF_TEN].id
    minutes = enumerate(_old_minutes(now))
    old = [calls[at % DRAWS].at(first, minute) for at, minute in minutes]
    for seq, written in enumerate([old, *_recent(called, calls, now)], start=1):
        writer.write(Batch(seq, tuple(written)))
    prune(database, Retention(), now=now)
    database.close()


def lay_down_endpoints(url: str, *, endpoints: int, since: float) -> None:
    """Fill an empty database with endpoints that were never called.

    Raises:
        StorageError: The database cannot be written.
    """
    database = Database(url)
    _registered(database, endpoints, since)
    database.close()


def _registered(
    database: Database, endpoints: int, since: float
) -> tuple[Writer, list[EndpointFacts]]:
    """A worker, and the endpoints that it has registered at a time in epoch seconds."""
    migrate(database)
    began_us = round(since * 1_000_000)
    writer = Writer(database, WorkerFacts("history", APP, "past", 1, "1.0", began_us, 5_000))
    facts = [_facts(number, path, began_us) for number, path in enumerate(paths(endpoints))]
    writer.register(facts, applied=0, now_us=began_us)
    return writer, facts


def _facts(number: int, path: str, seen_at_us: int) -> EndpointFacts:
    return EndpointFacts(
        endpoint_id(APP, "GET", path),
        APP,
        "GET",
        path,
        name=f"shop.routers.area{number % AREAS}.thing{number // AREAS}",
        source=f"shop/routers/area{number % AREAS}.py:{10 + number}",
        summary="One thing of its kind.",
        tags=(f"area{number % AREAS}",),
        seen_at_us=seen_at_us,
    )


def _draw(chance: Random) -> Iterator[Calls]:
    """Some calls, which take turns."""
    for at in range(DRAWS):
        middle = chance.uniform(0.5, 5.5)
        counts: dict[int, int] = {}
        for _ in range(chance.randint(1, CALLS)):
            index = bucket_index(int(1_000_000 * chance.lognormvariate(middle, 0.5)))
            counts[index] = counts.get(index, 0) + 1
        yield Calls(
            status=503 if at == 0 else 404 if at < DRAWS // 4 else 200,
            calls=sum(counts.values()),
            duration_us=round(sum(BUCKET_MS[at] * 1_000 * n for at, n in counts.items())),
            max_us=round(BUCKET_MS[max(counts)] * 1_000),
            histogram=Histogram.from_counts(counts),
        )


def _old_minutes(now: float) -> Iterator[int]:
    """A minute of each day, and lately of each hour."""
    first, hourly = int(now) // DAY - OLD_DAYS + 1, int(now) // DAY - HOURLY_DAYS
    yield from (day * DAY // MINUTE for day in range(first, hourly))
    yield from (hour * HOUR // MINUTE for hour in range(hourly * 24, int(now) // HOUR))


def _recent(called: list[int], calls: list[Calls], now: float) -> Iterator[list[Delta]]:
    """Calls of each endpoint in some hours of the last days."""
    last = int(now) // HOUR
    for hour in range(last - RECENT_DAYS * 24, last + 1, APART_HOURS):
        minute = hour * HOUR // MINUTE
        yield [calls[(at + hour) % DRAWS].at(one, minute) for at, one in enumerate(called)]


if __name__ == "__main__":
    served = build(sys.argv[1], int(sys.argv[3]))
    uvicorn.run(served, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
