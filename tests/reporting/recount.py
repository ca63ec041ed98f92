"""Random calls, how they get into a database, and what has to be read: counted from the calls."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from benchmarks.support.rows import facts, worker
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.recording.flush.flusher import Flusher, FlushSettings
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.settings.keeps import KeptEndpoint, KeptEndpoints
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.verdict.history import Keep

NOW = 1_775_243_992.657740
MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
FOREVER = float("inf")
PATHS = ("/v1/orders", "/v1/orders/{order_id}", "/v1/rare")
ENDPOINTS = [
    facts(
        "/v1/orders",
        name="shop.orders.list_orders",
        source="shop/orders.py:41",
        summary="All orders.",
        tags=("orders", "public"),
        deprecated=True,
        seen_at_us=round((NOW - 900 * DAY) * 1_000_000),
    ),
    facts("/v1/orders/{order_id}"),
    facts("/v1/rare"),
    facts("/v1/never", kind="websocket", method="WEBSOCKET"),
    facts("/internal/ping"),
]
SETTINGS = Settings.of(LensConfig(exclude_paths=["/internal/ping"]))
NO_KEEPS: Mapping[int, Keep] = MappingProxyType({})
WINDOWS = [MINUTE, HOUR, 6 * HOUR, 6 * HOUR + 1, DAY, WEEK, 30 * DAY, 35 * DAY, 36 * DAY]
WINDOWS += [90 * DAY, 400 * DAY, 401 * DAY]


@dataclass(frozen=True)
class Call:
    at_us: int
    path: str
    status: int
    duration_us: int

    @property
    def at(self) -> float:
        return self.at_us / 1_000_000


def random_calls(seed: int) -> list[Call]:
    """Calls of up to three years, thickest near the present and around the edges of windows."""
    chance = random.Random(seed)
    edges = [seconds + offset for seconds in WINDOWS for offset in (-61, -1, 0, 1, 61)]
    turns = [NOW % tier + offset for tier in (HOUR, DAY, WEEK) for offset in (-1e-6, 0, 1e-6)]
    ages = [*edges, *turns, *(10 ** chance.uniform(0, 8) for _ in range(120))]
    return sorted(
        (
            Call(
                at_us=round((NOW - max(0, age)) * 1_000_000),
                path=chance.choice((*PATHS[:2], *PATHS)),
                status=chance.choice((101, 200, 200, 201, 302, 404, 422, 500)),
                duration_us=round(10 ** chance.uniform(0, 7)),
            )
            for age in ages
        ),
        key=lambda call: call.at_us,
    )


def record(database: Database, calls: Iterable[Call], *, app: str, ttl_days: int | None) -> None:
    """Count calls when they happen, and write and delete as a worker does."""
    at = 0.0
    recorder = Recorder(clock=lambda: at)
    retention = Retention(ttl_days, app=app)
    settings = FlushSettings(interval=5, max_batch_size=2_000, retention=retention)
    endpoints = [facts(one.path, one.method, app) for one in ENDPOINTS] if app else []
    discovered = ENDPOINTS if app == "orders" else endpoints
    flusher = Flusher(recorder, database, worker(app, app), settings, lambda: discovered)
    for call in calls:
        if call.at // 60 != at // 60:
            flusher.collect()
        at = call.at
        recorder.count(
            method="GET", path=call.path, status=call.status, duration_ns=call.duration_us * 1_000
        )
    at = NOW
    assert flusher.flush()
    flusher.prune()


def reader_of(
    database: Database,
    *,
    app: str = "orders",
    ttl_days: int | None = None,
    settings: Settings = SETTINGS,
    keeps: Mapping[int, Keep] = NO_KEEPS,
) -> Reader:
    kept = KeptEndpoints(
        tuple(
            KeptEndpoint(endpoint=one, method="GET", path="/", reason=keep.reason, until=keep.until)
            for one, keep in keeps.items()
        )
    )
    active = replace(settings, kept=kept)
    return Reader(
        database,
        app=lambda: app,
        settings=lambda: active,
        retention=Retention(ttl_days, app=app),
    )


def begin_of(seconds: int | None, ttl_days: int | None, now: float = NOW) -> float:
    """Since when a window has every call, to the precision of what is kept that long."""
    limit = FOREVER if ttl_days is None else ttl_days * DAY
    if seconds is None:
        return -FOREVER if ttl_days is None else (int(now) - limit) // WEEK * WEEK
    reaches = ((MINUTE, 6 * HOUR), (HOUR, 35 * DAY), (DAY, 400 * DAY))
    fits = [tier for tier, reach in reaches if seconds <= min(reach, limit)]
    return (int(now) - min(seconds, limit)) // (tier := fits[0] if fits else WEEK) * tier


def deleted_until(tier: int, ttl_days: int | None) -> float:
    """Since when the rows of a tier have not been deleted."""
    kept = {MINUTE: 6 * HOUR, HOUR: 35 * DAY, DAY: 400 * DAY, WEEK: FOREVER}[tier]
    kept = min(kept, FOREVER if ttl_days is None else ttl_days * DAY)
    return -FOREVER if kept == FOREVER else (int(NOW) - kept) // tier * tier


def recount(calls: Sequence[Call]) -> Usage:
    return Usage(
        calls=len(calls),
        redirects=sum(300 <= call.status < 400 for call in calls),
        errors_4xx=sum(400 <= call.status < 500 for call in calls),
        errors_5xx=sum(call.status >= 500 for call in calls),
        duration_us=sum(call.duration_us for call in calls),
        max_us=max((call.duration_us for call in calls), default=0),
        histogram=Histogram.from_counts(
            Counter(bucket_index(call.duration_us * 1_000) for call in calls)
        ),
    )
