import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from math import ceil

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import delta, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.errors import StorageError
from fastapi_lens.histogram.histogram import ABSOLUTE_ERROR_MS, RELATIVE_ERROR
from fastapi_lens.reporting.model import Endpoint, Usage, Window
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.reporting.series.time_series import MAX_STEPS
from fastapi_lens.settings.status import Status
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.worker import Heartbeat
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.row_checks import Wrong
from fastapi_lens.storage.schema.tables import ENDPOINT, META
from fastapi_lens.storage.transfer.repair import WrongRow, repair
from fastapi_lens.storage.writing.batches import Batch
from tests.reporting.recount import (
    DAY,
    ENDPOINTS,
    FOREVER,
    HOUR,
    NOW,
    PATHS,
    WEEK,
    WINDOWS,
    Call,
    begin_of,
    deleted_until,
    random_calls,
    reader_of,
    record,
    recount,
)
from tests.support.details import detail_of


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
    assert detail_of(reader, endpoint.id, window=Window(seconds), now=NOW).codes == sorted(
        codes.items(), key=lambda item: (-item[1], item[0])
    )


def assert_chart(
    reader: Reader, endpoint: Endpoint, calls: Sequence[Call], seconds: int | None, ttl: int | None
) -> None:
    series = detail_of(reader, endpoint.id, window=Window(seconds), now=NOW).series
    step, starts = series.step_seconds, [point.start for point in series.points]
    oldest = calls[0].at if calls else NOW
    begin = int(oldest) if seconds is None else int(NOW) - seconds
    bounds = reader.bounds(Window(seconds), now=NOW)
    assert 1 <= len(starts) <= MAX_STEPS + 2
    # Steps are multiples of their length, and the first one begins inside of it, if need be.
    assert starts[0] <= begin < starts[0] + step
    assert bounds.start in (None, starts[0])
    first = starts[0] // step
    assert starts[1:] == [(first + number) * step for number in range(1, len(starts))]
    assert starts[-1] <= NOW < starts[-1] + step
    since = deleted_until(WEEK, ttl)
    for point in series.points:
        assert point.end == (point.start // step + 1) * step
        assert point.usage == recount(
            [c for c in calls if since <= c.at and point.start <= c.at < point.end]
        )
    trends = reader.trends([endpoint.id], window=Window(seconds), now=NOW)
    assert trends == {endpoint.id: [point.usage.calls for point in series.points]}


@pytest.mark.unmeasured
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
        (30 * DAY, DAY, 31),
        (90 * DAY, 2 * DAY, 46),
        (365 * DAY, WEEK, 54),
    ],
)
def test_a_series_has_about_thirty_to_sixty_round_steps(
    memory: Database, seconds: int, step: int, steps: int
) -> None:
    record(memory, [], app="orders", ttl_days=None)
    reader, identity = reader_of(memory), ENDPOINTS[0].id
    series = detail_of(reader, identity, window=Window(seconds), now=NOW).series
    assert series.step_seconds == step
    assert abs(len(series.points) - steps) <= 1
    assert all(point.usage == Usage() for point in series.points)


def test_a_first_call_by_a_clock_that_is_ahead_makes_a_series_of_one_step(memory: Database) -> None:
    ahead = Call(round((NOW + 3_700) * 1_000_000), "/v1/orders", 200, 5)
    record(memory, [ahead], app="orders", ttl_days=None)
    reader, identity = reader_of(memory), ENDPOINTS[0].id
    series = detail_of(reader, identity, window=Window(), now=NOW).series
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


def alive(database: Database, name: str, now_us: int, *, ended: bool) -> None:
    beat(database, worker(name), Heartbeat(now_us=now_us, complete_to_us=now_us, ended=ended))


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
    alive(memory, "old", now_us, ended=False)
    assert paths() == {"/called", "/kept", "/old"}
    new.register([kept, added], applied=0, now_us=now_us - 20_000_000)
    alive(memory, "new", now_us, ended=False)
    assert paths() == {"/called", "/kept", "/old", "/new"}
    alive(memory, "old", now_us, ended=True)
    assert paths() == {"/called", "/kept", "/new"}
    # Nobody is left to tell.
    assert paths(NOW + 3_600) == {"/called", "/kept", "/old", "/new"}


def test_a_worker_that_has_just_started_hides_nothing_before_it_has_told_its_endpoints(
    memory: Database,
) -> None:
    migrate(memory)
    reader, now_us = reader_of(memory), round(NOW * 1_000_000)
    old = Writer(memory, worker("old", started_at=NOW - 40))
    old.register([facts("/never")], applied=0, now_us=now_us - 39_000_000)
    alive(memory, "old", now_us, ended=True)
    new = Writer(memory, worker("new", started_at=NOW))
    new.register([], applied=0, now_us=now_us)  # Its row is there, its endpoints are not yet.
    (listed,) = reader.endpoints(window=Window(), now=NOW)
    assert listed.path == "/never"


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
    clock: Callable[[], float] | None = None,
) -> None:
    facts = worker(name, app)
    Writer(database, facts).register([], applied=0, now_us=round((NOW - age) * 1_000_000))
    said = Heartbeat(
        now_us=round((NOW - age) * 1_000_000),
        complete_to_us=round((NOW - complete_ago) * 1_000_000),
        dropped=dropped,
        ended=ended,
    )
    beat(database, facts, said, clock)


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


def test_the_version_changes_with_every_change_of_what_is_shown_and_with_nothing_else(
    database: Database,
) -> None:
    migrate(database)
    reader, writer = reader_of(database), Writer(database, worker("w1"))
    entry = AuditEntry(
        at_us=1, actor="somebody", client="", action="save", target="limits", before="", after=""
    )
    spoiled = WrongRow(META, {"name": "import 1", "value": "?"}, (Wrong("value", "is no note"),))
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: writer.register([facts("/v1/orders")], applied=0, now_us=1),
        lambda: writer.write(Batch(1, (delta(facts("/v1/orders").id, minute=int(NOW // 60)),))),
        lambda: prune(database, Retention(1, app="orders"), now=NOW + 30 * DAY),
        lambda: repair(database, [spoiled], now=NOW),
        lambda: write_section(database, "orders", "limits", Stored({}, 0), entry),
        lambda: list(purge(database, Choice("orders", []), now=NOW)),
    ]
    versions = list[Hashable]()
    for change in changes:
        change()
        versions.append(reader.version())
    assert len(set(versions)) == len(changes)
    heartbeat(database, "w2", age=0, complete_ago=0, clock=lambda: NOW)
    reader.endpoints(window=Window(), now=NOW)
    assert reader.version() == versions[-1]


def test_who_has_asked_before_gets_what_a_new_reader_gets(database: Database) -> None:
    migrate(database)
    old = reader_of(database)
    calls = random_calls(11)
    random.Random(11).shuffle(calls)
    for begin in range(0, len(calls), len(calls) // 5):
        # Of any age: late counts for windows that have been asked for are among them.
        record(database, calls[begin : begin + len(calls) // 5], app="orders", ttl_days=None)
        for seconds in (None, HOUR, WEEK, 90 * DAY):
            window = Window() if seconds is None else Window(seconds)
            found, anew = (
                {one.id: one for one in reader.endpoints(window=window, now=NOW)}
                for reader in (old, reader_of(database))
            )
            assert found == anew


def test_what_somebody_else_deletes_is_gone_from_the_next_answer(database: Database) -> None:
    migrate(database)
    reader = reader_of(database)
    record(database, random_calls(7), app="orders", ttl_days=None)

    def calls() -> int:
        return sum(one.usage.calls for one in reader.endpoints(window=Window(), now=NOW))

    before = calls()
    with database.read() as connection:
        ids = connection.execute(sa.select(ENDPOINT.c.id)).scalars().all()
    for _ in purge(database, Choice("orders", ids, before=int(NOW) - 40 * Tier.DAY), now=NOW):
        pass
    anew = reader_of(database).endpoints(window=Window(), now=NOW)
    assert calls() == sum(one.usage.calls for one in anew) < before


def test_without_tables_every_question_is_a_storage_error(database: Database) -> None:
    reader, window = reader_of(database), Window(DAY)
    for ask in (
        lambda: reader.endpoints(window=window, now=NOW),
        lambda: reader.endpoint("0000000000000001", window=window, now=NOW),
        lambda: reader.trends([1], window=window, now=NOW),
        lambda: reader.health(NOW),
        reader.version,
    ):
        with pytest.raises(StorageError):
            ask()
