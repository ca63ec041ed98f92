import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import pytest

from fastapi_lens.errors import StorageError
from fastapi_lens.histogram import ABSOLUTE_ERROR_MS, RELATIVE_ERROR, Histogram, bucket_index
from fastapi_lens.recording.flusher import Flusher, FlushSettings
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.reporting.model import Endpoint, Usage, Window
from fastapi_lens.reporting.queries import MAX_STEPS, Reader
from fastapi_lens.reporting.status import Status, Thresholds
from fastapi_lens.storage.batches import Batch
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.writer import Writer
from tests.storage.helpers import delta, facts, worker

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
    settings = FlushSettings(interval=5, max_batch_size=2_000, ttl_days=ttl_days)
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


def reader_of(database: Database, *, app: str = "orders", ttl_days: int | None = None) -> Reader:
    return Reader(
        database,
        app=lambda: app,
        thresholds=Thresholds(7, 30),
        shown=lambda method, path: path != "/internal/ping",
        ttl_days=ttl_days,
    )


def begin_of(seconds: int | None, ttl_days: int | None) -> float:
    """Since when a window has every call, to the precision of what is kept that long."""
    limit = FOREVER if ttl_days is None else ttl_days * DAY
    if seconds is None:
        return -FOREVER if ttl_days is None else (int(NOW) - limit) // WEEK * WEEK
    reaches = ((MINUTE, 6 * HOUR), (HOUR, 35 * DAY), (DAY, 400 * DAY))
    fits = [tier for tier, reach in reaches if seconds <= min(reach, limit)]
    return (int(NOW) - min(seconds, limit)) // (tier := fits[0] if fits else WEEK) * tier


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
        latency=Histogram.from_counts(
            Counter(bucket_index(call.duration_us * 1_000) for call in calls)
        ),
    )


def assert_percentiles(endpoint: Endpoint, calls: Sequence[Call]) -> None:
    durations = sorted(call.duration_us for call in calls)
    for found_ms, percent in zip(endpoint.usage.percentiles_ms, (50, 95, 99), strict=True):
        rank = max(1, ceil(len(durations) * percent / 100))
        exact_ms = durations[rank - 1] / 1_000 if durations else 0.0
        assert abs(found_ms - exact_ms) <= max(RELATIVE_ERROR * exact_ms, ABSOLUTE_ERROR_MS)


@pytest.fixture(scope="module", params=[(1, None), (2, 20), (3, 500)])
def history(request: pytest.FixtureRequest) -> tuple[list[Call], int | None]:
    """Calls, and the configured retention."""
    seed, ttl_days = request.param
    return random_calls(seed), ttl_days


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Without tables, once on SQLite and once on PostgreSQL."""
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[Database]:
    """Without tables and in memory, for what is the same on every database."""
    made = Database("sqlite://")
    yield made
    made.close()


def assert_endpoint(
    reader: Reader, endpoint: Endpoint, calls: Sequence[Call], seconds: int | None, ttl: int | None
) -> None:
    in_window = [call for call in calls if call.at >= begin_of(seconds, ttl)]
    assert endpoint.usage == recount(in_window)
    assert_percentiles(endpoint, in_window)
    assert endpoint.total_calls == len(calls)
    assert endpoint.first_called_at == (calls[0].at if calls else None)
    assert endpoint.last_called_at == (calls[-1].at if calls else None)
    assert reader.endpoint(endpoint.key, window=Window(seconds), now=NOW) == endpoint


def assert_status_codes(
    reader: Reader, endpoint: Endpoint, calls: Sequence[Call], seconds: int | None, ttl: int | None
) -> None:
    day = -FOREVER if seconds is None else (int(NOW) - seconds) // DAY * DAY
    since = max(day, deleted_until(DAY, ttl))
    codes = Counter(call.status for call in calls if call.at >= since)
    assert reader.status_codes(endpoint.id, window=Window(seconds), now=NOW) == sorted(
        codes.items(), key=lambda item: (-item[1], item[0])
    )


def assert_chart(
    reader: Reader, endpoint: Endpoint, calls: Sequence[Call], seconds: int | None, ttl: int | None
) -> None:
    series = reader.series(endpoint.id, window=Window(seconds), now=NOW)
    step, starts = series.step_seconds, [point.start for point in series.points]
    oldest = calls[0].at if calls else NOW
    begin = int(oldest) if seconds is None else int(NOW) - seconds
    # The first step has the calls since the beginning, to the precision of its rows.
    tier = next(tier for tier in (WEEK, DAY, HOUR, MINUTE) if step % tier == 0)
    since = max(begin // tier * tier, deleted_until(tier, ttl))
    assert 1 <= len(starts) <= MAX_STEPS + 2
    assert starts == [starts[0] + number * step for number in range(len(starts))]
    assert starts[0] % step == 0
    assert starts[0] <= begin < starts[0] + step
    assert starts[-1] <= NOW < starts[-1] + step
    for point in series.points:
        assert point.usage == recount(
            [c for c in calls if c.at >= since and point.start <= c.at < point.start + step]
        )
    trends = reader.trends([endpoint.id], window=Window(seconds), now=NOW)
    assert trends == {endpoint.id: [point.usage.calls for point in series.points]}


def test_every_answer_equals_a_recount_of_the_calls(
    database: Database, history: tuple[list[Call], int | None]
) -> None:
    calls, ttl_days = history
    record(database, calls, app="orders", ttl_days=ttl_days)
    record(database, calls[::2], app="other", ttl_days=ttl_days)
    reader = reader_of(database, ttl_days=ttl_days)
    for seconds in (*WINDOWS, None):
        endpoints = reader.endpoints(window=Window(seconds), now=NOW)
        assert {one.path for one in endpoints} == {*PATHS, "/v1/never"}
        for endpoint in endpoints:
            mine = [call for call in calls if call.path == endpoint.path]
            assert_endpoint(reader, endpoint, mine, seconds, ttl_days)
            assert_status_codes(reader, endpoint, mine, seconds, ttl_days)
            assert_chart(reader, endpoint, mine, seconds, ttl_days)


def test_the_trends_of_several_endpoints_share_their_steps(memory: Database) -> None:
    calls = random_calls(5)
    record(memory, calls, app="orders", ttl_days=None)
    reader = reader_of(memory)
    ids = {one.path: one.id for one in ENDPOINTS}
    for seconds in (*WINDOWS, None):
        trends = reader.trends(list(ids.values()), window=Window(seconds), now=NOW)
        assert set(trends) == set(ids.values())
        assert len({len(trend) for trend in trends.values()}) == 1
        assert sum(trends[ids["/v1/never"]]) == 0
    assert {path: sum(trends[ids[path]]) for path in PATHS} == Counter(call.path for call in calls)
    assert reader.trends([], window=Window(DAY), now=NOW) == {}


@pytest.mark.parametrize(
    ("seconds", "step", "steps"),
    [
        (HOUR, 60, 61),
        (6 * HOUR, 600, 37),
        (DAY, 3_600, 25),
        (7 * DAY, 3 * HOUR, 57),
        (30 * DAY, 12 * HOUR, 61),
        (90 * DAY, 2 * DAY, 46),
        (365 * DAY, WEEK, 54),
    ],
)
def test_a_series_has_about_thirty_to_sixty_round_steps(
    memory: Database, seconds: int, step: int, steps: int
) -> None:
    migrate(memory)
    series = reader_of(memory).series(1, window=Window(seconds), now=NOW)
    assert series.step_seconds == step
    assert abs(len(series.points) - steps) <= 1
    assert all(point.usage == Usage() for point in series.points)


def test_a_first_call_by_a_clock_that_is_ahead_makes_a_series_of_one_step(memory: Database) -> None:
    ahead = Call(round((NOW + 3_700) * 1_000_000), "/v1/orders", 200, 5)
    record(memory, [ahead], app="orders", ttl_days=None)
    reader, identity = reader_of(memory), ENDPOINTS[0].id
    series = reader.series(identity, window=Window(), now=NOW)
    assert len(series.points) == 1
    assert reader.trends([identity], window=Window(), now=NOW) == {identity: [0]}


def test_the_facts_of_an_endpoint_are_told_as_the_app_has_them(memory: Database) -> None:
    record(memory, [], app="orders", ttl_days=None)
    found = {one.path: one for one in reader_of(memory).endpoints(window=Window(), now=NOW)}
    listed = found["/v1/orders"]
    assert (listed.method, listed.kind) == ("GET", "http")
    assert (listed.name, listed.source) == ("shop.orders.list_orders", "shop/orders.py:41")
    assert (listed.summary, listed.tags) == ("All orders.", ("orders", "public"))
    assert listed.deprecated is True
    assert listed.first_seen_at == NOW - 900 * DAY
    never = found["/v1/never"]
    assert (never.method, never.kind, never.deprecated) == ("WEBSOCKET", "websocket", False)
    assert (never.status, never.usage) == (Status.NEVER_CALLED, Usage())


def test_an_endpoint_that_no_living_app_has_and_nobody_called_is_left_out(
    memory: Database,
) -> None:
    migrate(memory)
    reader, now_us = reader_of(memory), round(NOW * 1_000_000)
    old = Writer(memory, worker("old", started_at=NOW - 40))
    new = Writer(memory, worker("new", started_at=NOW - 20))
    called, kept, moved, added = (facts(f"/{name}") for name in ("called", "kept", "old", "new"))

    def paths(now: float = NOW) -> set[str]:
        return {one.path for one in reader.endpoints(window=Window(), now=now)}

    old.register([called, kept, moved], applied=0, now_us=now_us - 39_000_000)
    old.write(Batch(1, (delta(called.id, minute=int(NOW // 60)),)))
    assert paths() == {"/called", "/kept", "/old"}
    new.register([kept, added], applied=0, now_us=now_us - 20_000_000)
    assert paths() == {"/called", "/kept", "/old", "/new"}
    old.heartbeat(now_us=now_us, complete_to_us=now_us, dropped=0, ended=True)
    assert paths() == {"/called", "/kept", "/new"}
    # Nobody is left to tell.
    assert paths(NOW + 3_600) == {"/called", "/kept", "/old", "/new"}


def test_another_app_in_the_same_database_is_not_seen(database: Database) -> None:
    calls = random_calls(6)
    record(database, calls, app="other", ttl_days=None)
    reader = reader_of(database)
    assert reader.endpoints(window=Window(), now=NOW) == []
    assert reader.health(NOW).complete_to is None
    (stranger, *_) = reader_of(database, app="other").endpoints(window=Window(), now=NOW)
    assert reader.endpoint(stranger.key, window=Window(), now=NOW) is None


def test_an_endpoint_that_is_not_shown_has_no_page_either(memory: Database) -> None:
    record(memory, [], app="orders", ttl_days=None)
    hidden = next(one for one in ENDPOINTS if one.path == "/internal/ping")
    found = reader_of(memory).endpoint(f"{hidden.id:016x}", window=Window(), now=NOW)
    assert found is None


def test_a_key_that_nothing_has_finds_nothing(database: Database) -> None:
    record(database, [], app="orders", ttl_days=None)
    reader = reader_of(database)
    for key in (
        "",
        "1",
        "zzzzzzzzzzzzzzzz",
        "0000000000000001",
        "7fffffffffffffff",
        "ffffffffffffffff",
        "-000000000000001",
        "0x00000000000001",
        "1_00000000000001",
        " 000000000000001",
        "\uff11" * 16,
        "f" * 100_000,
    ):
        assert reader.endpoint(key, window=Window(), now=NOW) is None


def test_only_the_one_way_to_write_a_key_finds_its_endpoint(memory: Database) -> None:
    record(memory, [], app="orders", ttl_days=None)
    reader, key = reader_of(memory), f"{ENDPOINTS[0].id:016x}"
    found = reader.endpoint(key, window=Window(), now=NOW)
    assert found is not None
    assert found.path == "/v1/orders"
    assert reader.endpoint(key.upper(), window=Window(), now=NOW) is None


def heartbeat(
    database: Database,
    name: str,
    *,
    age: float,
    complete_ago: float,
    dropped: int = 0,
    app: str = "orders",
    ended: bool = False,
) -> None:
    writer = Writer(database, worker(name, app))
    writer.register([], applied=0, now_us=round((NOW - age) * 1_000_000))
    writer.heartbeat(
        now_us=round((NOW - age) * 1_000_000),
        complete_to_us=round((NOW - complete_ago) * 1_000_000),
        dropped=dropped,
        ended=ended,
    )


def test_health_is_that_of_the_slowest_worker_that_lives(database: Database) -> None:
    migrate(database)
    reader = reader_of(database)
    empty = reader.health(NOW)
    assert (empty.complete_to, empty.workers, empty.dropped) == (None, 0, 0)
    heartbeat(database, "crashed", age=61, complete_ago=61, dropped=2)
    assert (reader.health(NOW).complete_to, reader.health(NOW).workers) == (NOW - 61, 0)
    heartbeat(database, "ended", age=1, complete_ago=1, dropped=1, ended=True)
    assert (reader.health(NOW).complete_to, reader.health(NOW).workers) == (NOW - 1, 0)
    heartbeat(database, "slow", age=60, complete_ago=62)
    heartbeat(database, "quick", age=1, complete_ago=3, dropped=4)
    heartbeat(database, "foreign", age=1, complete_ago=600, dropped=8, app="other")
    health = reader.health(NOW)
    assert (health.complete_to, health.workers, health.dropped) == (NOW - 62, 2, 7)
    assert (health.database_bytes or 0) > 10_000


def test_the_version_changes_with_every_write_and_with_nothing_else(database: Database) -> None:
    calls = random_calls(7)
    migrate(database)
    reader = reader_of(database)
    versions = [reader.version()]
    record(database, [], app="orders", ttl_days=None)
    versions.append(reader.version())
    record(database, calls[:1], app="other", ttl_days=None)
    versions.append(reader.version())
    heartbeat(database, "w2", age=1, complete_ago=1)
    versions.append(reader.version())
    heartbeat(database, "w2", age=0, complete_ago=0, dropped=3)
    versions.append(reader.version())
    assert len(set(versions)) == len(versions)
    reader.endpoints(window=Window(), now=NOW)
    assert reader.version() == versions[-1]


def test_without_tables_every_question_is_a_storage_error(database: Database) -> None:
    reader, window = reader_of(database), Window(DAY)
    for ask in (
        lambda: reader.endpoints(window=window, now=NOW),
        lambda: reader.endpoint("0000000000000001", window=window, now=NOW),
        lambda: reader.trends([1], window=window, now=NOW),
        lambda: reader.series(1, window=window, now=NOW),
        lambda: reader.status_codes(1, window=window, now=NOW),
        lambda: reader.health(NOW),
        reader.version,
    ):
        with pytest.raises(StorageError):
            ask()
