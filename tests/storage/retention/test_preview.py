"""Preview of a shorter retention: it counts exactly the rows that the deletion deletes."""

import random
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.log_deletion import request_id_at
from fastapi_lens.storage.retention.preview import Expired, expired
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    REQUEST,
    STATUS,
)

NOW = 1_775_243_992.5
DAY = 86_400


def fill(database: Database, chance: random.Random) -> None:
    """Rows of every kind, of the last two years."""
    mine = [facts(f"/{number}") for number in range(3)]
    Writer(database, worker()).register(mine, applied=0, now_us=round(NOW * 1e6))
    zeros = {one.name: b"" if one.name == "histogram" else 0 for one in BUCKET.columns}
    names = ("app", "method", "path", "query", "reason", "client", "agent")
    request: dict[str, Any] = dict.fromkeys(names, "")
    request |= {"app": APP, "endpoint_id": 1, "status": 200, "duration_us": 1, "failure_id": 0}
    exception: dict[str, Any] = dict.fromkeys(("app", "type", "message", "place", "traceback"), "")
    exception |= {"app": APP, "endpoint_id": 1, "calls": 1, "first_at": 1}
    times = sorted(NOW - chance.random() * 730 * DAY for _ in range(200))
    buckets = {(tier, int(at) // tier, mine[int(at) % 3].id) for at in times for tier in Tier}
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        BUCKET: [
            {**zeros, "tier": tier.value, "bucket": bucket, "endpoint_id": endpoint}
            for tier, bucket, endpoint in buckets
        ],
        STATUS: [
            {"day": day, "endpoint_id": mine[0].id, "status": 200, "calls": 1}
            for day in {int(at) // DAY for at in times}
        ],
        GONE: [
            {"day": day, "endpoint_id": mine[1].id, "is_noise": day % 2, "calls": 1}
            for day in {int(at) // DAY for at in times}
        ],
        REQUEST: [{**request, "id": request_id_at(round(at * 1e6))} for at in times],
        EXCEPTION_COUNT: [
            {
                "tier": tier.value,
                "bucket": int(at) // tier,
                "failure_id": number,
                "calls": 1,
            }
            for number, at in enumerate(times)
            for tier in (Tier.MINUTE, Tier.HOUR)
        ],
        EXCEPTION: [
            {**exception, "id": number, "last_at": round(at * 1e6)}
            for number, at in enumerate(times)
        ],
    }
    with database.write() as connection:
        for table, values in rows.items():
            connection.execute(sa.insert(table), values)


def counted(database: Database, now_kept: Retention, then: Retention) -> Expired:
    return expired(database, now_kept, then, app=APP, now=NOW)


@pytest.mark.unmeasured
@pytest.mark.parametrize(("now_days", "then_days"), [(None, 90), (200, 10), (500, 400)])
def test_what_is_counted_is_what_is_then_deleted(
    database: Database, now_days: int | None, then_days: int
) -> None:
    fill(database, random.Random(5))
    prune(database, Retention(now_days, app=APP), now=NOW)
    found = counted(database, Retention(now_days), Retention(then_days))
    other = expired(database, Retention(now_days), Retention(then_days), app="other", now=NOW)
    assert (other.rows, other.days) == (0, 0)
    assert found.rows == prune(database, Retention(then_days, app=APP), now=NOW) > 0
    assert found.before == int(NOW) - then_days * DAY
    kept = 730 if now_days is None else now_days
    assert kept - then_days - 30 < found.days <= kept - then_days + 14


def test_a_longer_retention_deletes_nothing(sqlite_database: Database) -> None:
    fill(sqlite_database, random.Random(5))
    for then in (Retention(10), Retention(11), Retention(None)):
        found = counted(sqlite_database, Retention(10), then)
        assert (found.rows, found.days) == (0, 0)


def test_days_that_have_begun_count() -> None:
    assert Expired(1, more=False, oldest=1_000 * DAY - 1, before=1_000 * DAY).days == 1
    assert Expired(1, more=False, oldest=998 * DAY, before=1_000 * DAY).days == 2
    # Other rows of the same day are kept.
    assert Expired(1, more=False, oldest=1_000 * DAY + 5, before=1_000 * DAY).days == 1
