from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from benchmarks.support.rows import facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.reporting.size_forecast import Forecast, Forecaster, TierForecast
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects.sqlite import SqliteDialect
from fastapi_lens.storage.records.audit import AuditEntry, add_audit_entry
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, EXCEPTION, STATUS
from tests.support.statements import engine_of

DAY = 86_400
NOW = 29_550_240 * 60 + 30_000.5
EMPTY = {column.name: b"" if column.name == "histogram" else 0 for column in BUCKET.columns}


def fill(
    database: Database, tier: Tier, ages: range, *, endpoints: int, histogram: int = 100
) -> None:
    """Rows of a tier, in the buckets that are so many back from the present one."""
    last = int(NOW) // tier
    rows = [
        {
            **EMPTY,
            "tier": tier.value,
            "bucket": last - age,
            "endpoint_id": endpoint,
            "histogram": bytes(histogram),
        }
        for age in ages
        for endpoint in range(endpoints)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(BUCKET), rows)


def fill_all(database: Database, endpoints: int) -> None:
    fill(database, Tier.MINUTE, range(300), endpoints=endpoints)
    fill(database, Tier.HOUR, range(48), endpoints=2 * endpoints, histogram=200)
    fill(database, Tier.DAY, range(20), endpoints=3 * endpoints, histogram=300)
    fill(database, Tier.WEEK, range(3), endpoints=4 * endpoints, histogram=400)
    statuses = [
        {"day": int(NOW) // DAY - age, "endpoint_id": endpoint, "status": status, "calls": 1}
        for age in range(1, 4)
        for endpoint in range(endpoints)
        for status in (200, 404)
    ]
    with database.write() as connection:
        connection.execute(sa.insert(STATUS), statuses)


def forecast(database: Database, ttl_days: int | None = None, *, now: float = NOW) -> Forecast:
    return Forecaster(database, Retention(ttl_days)).forecast(now)


def test_what_a_day_brings_and_what_it_comes_to_is_reckoned_from_the_latest_buckets(
    database: Database,
) -> None:
    migrate(database)
    fill_all(database, 5)
    found = forecast(database)
    size = database.dialect.row_bytes
    assert [each.name for each in found.parts] == ["minute", "hour", "day", "week", "status code"]
    assert [each.rows for each in found.parts] == [5, 10, 15, 20, 10]
    assert [each.row_bytes for each in found.tiers] == [
        size.bucket + length for length in (100, 200, 300, 400)
    ]
    assert found.statuses.row_bytes == size.status
    assert [each.kept_seconds for each in found.parts] == [
        6 * 3_600, 35 * DAY, 400 * DAY, None, 400 * DAY,
    ]  # fmt: skip
    assert found.endpoints == 15
    minute = found.tiers[0]
    assert minute.bytes_per_day == 5 * 1_440 * (size.bucket + 100)
    assert minute.steady_bytes == 5 * 361 * (size.bucket + 100)
    assert found.bytes_per_day == sum(each.bytes_per_day for each in found.parts)
    assert found.steady_bytes == sum(each.steady_bytes for each in found.parts)
    week = found.tiers[3]
    assert week.steady_bytes == round(20 * (400 / 7 + 1) * week.row_bytes)
    assert found.bytes_per_year == week.bytes_per_day * 365 > 0


def test_a_shorter_retention_makes_the_estimate_smaller_at_once(memory: Database) -> None:
    migrate(memory)
    fill_all(memory, 5)
    retention = Retention()
    forecaster = Forecaster(memory, retention)
    before = forecaster.forecast(NOW)
    retention.ttl_days = 30
    after = forecaster.forecast(NOW)
    assert after.steady_bytes < before.steady_bytes
    assert after.bytes_per_day == before.bytes_per_day
    assert after.bytes_per_year == 0


def test_an_answer_holds_for_a_minute(memory: Database) -> None:
    migrate(memory)
    forecaster = Forecaster(memory, Retention())
    first = forecaster.forecast(NOW)
    fill_all(memory, 5)
    assert forecaster.forecast(NOW + 59) is first
    assert forecaster.forecast(NOW + 60).endpoints == 15
    # A clock that was set back by much.
    assert forecaster.forecast(NOW - 600) is not first


def test_before_the_first_call_only_the_endpoints_take_room(memory: Database) -> None:
    migrate(memory)
    assert forecast(memory).steady_bytes == 0
    texts = {"app": "a", "method": "GET", "path": "/a"}
    with memory.write() as connection:
        connection.execute(sa.insert(ENDPOINT), [{"id": number, **texts} for number in range(7)])
    found = forecast(memory)
    assert found.steady_bytes == 7 * SqliteDialect.row_bytes.endpoint
    assert (found.endpoints, found.bytes_per_day, found.bytes_per_year) == (0, 0, 0)


def test_what_is_not_complete_counts_only_while_there_is_nothing_else(memory: Database) -> None:
    migrate(memory)
    fill(memory, Tier.MINUTE, range(1), endpoints=3)
    assert forecast(memory).tiers[0].rows == 3
    fill(memory, Tier.MINUTE, range(1, 3), endpoints=9)
    assert forecast(memory).tiers[0].rows == 9


def test_quiet_minutes_count_as_such(memory: Database) -> None:
    migrate(memory)
    # Of the last hour every tenth minute is looked at: three of them were busy.
    fill(memory, Tier.MINUTE, range(10, 31), endpoints=12)
    fill(memory, Tier.MINUTE, range(100, 101), endpoints=1)
    assert forecast(memory).tiers[0].rows == 6.0


@pytest.mark.parametrize("endpoints", [10, 100])
def test_no_more_rows_are_read_than_a_few_buckets_have(memory: Database, endpoints: int) -> None:
    migrate(memory)
    fill(memory, Tier.MINUTE, range(70), endpoints=endpoints)
    plans: list[str] = []

    @event.listens_for(engine_of(memory), "before_cursor_execute")
    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "lens_bucket" in statement or "lens_status" in statement:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in cursor.fetchall())

    assert forecast(memory).tiers[0].rows == endpoints
    assert {plan for plan in plans if "lens_bucket" in plan} <= {
        "SEARCH lens_bucket USING PRIMARY KEY (tier=?)",
        # The oldest of them.
        "SEARCH lens_bucket USING PRIMARY KEY (tier=? AND bucket>?)",
        "SEARCH lens_bucket USING PRIMARY KEY (tier=? AND bucket=?)",
    }


def test_the_forecast_of_a_tier_is_plain_arithmetic() -> None:
    part = TierForecast("hour", Tier.HOUR, rows=2.5, row_bytes=200, kept_seconds=10 * DAY)
    assert part.bytes_per_day == 2.5 * 200 * 24
    assert part.steady_bytes == 2.5 * 200 * 241


def exception(app: str, identity: int) -> dict[str, Any]:
    texts = {"type": "E", "message": "12345", "place": "", "traceback": "x" * 995}
    numbers = {"id": identity, "endpoint_id": 1, "calls": 1, "first_at": 1, "last_at": 1}
    return {"app": app, **texts, **numbers}


def test_the_logs_are_reckoned_as_full_and_come_on_top(database: Database) -> None:
    migrate(database)
    size, retention = database.dialect.row_bytes, Retention(20)
    retention.log_max_rows = 5_000
    endpoints = [facts(f"/{app}", app=app) for app in ("one", "two")]
    Writer(database, worker()).register(endpoints, applied=0, now_us=1)
    with database.write() as connection:
        connection.execute(sa.insert(EXCEPTION), [exception("one", 1), exception("two", 2)])
    for app, action in (("one", "save"), ("one", "save"), ("one", "export"), ("two", "save")):
        add_audit_entry(database, app, AuditEntry(at_us=1, actor="", client="", action=action))

    found = Forecaster(database, retention).forecast(NOW)
    assert [(one.name, one.rows, one.row_bytes) for one in found.logs] == [
        ("request", 10_000, size.request),
        ("exception type", 2, size.exception + 1_000),
        ("audit entry", 3_000, size.audit),
    ]
    assert [one.kept_seconds for one in found.logs] == [20 * DAY, 20 * DAY, 400 * DAY]
    assert found.log_bytes == sum(one.most_bytes for one in found.logs)


def test_a_bound_that_changes_while_the_app_runs_is_followed(memory: Database) -> None:
    migrate(memory)
    retention = Retention()
    forecaster = Forecaster(memory, retention)
    assert forecaster.forecast(NOW).log_bytes == 0
    retention.log_max_rows = 100
    assert forecaster.forecast(NOW).log_bytes == 100 * SqliteDialect.row_bytes.request
