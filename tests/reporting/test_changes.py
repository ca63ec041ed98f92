"""Changes of endpoints that are found in the rows of a database."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from fastapi_lens.changes.change import Kind, Measured
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.reporting.changes import MOST_DAYS, EndpointChange, period_of
from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET
from tests.reporting.past import DAY_US, NOW, TODAY, Past

WEEK = Window.of_days(7)
HOURS = range(TODAY * 24 - 23 + 12, TODAY * 24 + 13)
"""The last 24 hours: it is noon."""


@pytest.fixture
def past(database: Database) -> Past:
    """An app that was watched for 800 days."""
    return Past(database)


def durations(calls: int, typical_ms: float, seed: int) -> bytes:
    """A histogram with a little noise."""
    noise = Random(seed)
    counts: dict[int, int] = {}
    for _ in range(calls):
        index = bucket_index(int(typical_ms * 1e6 * noise.lognormvariate(0, 0.3)))
        counts[index] = counts.get(index, 0) + 1
    return Histogram.from_counts(counts).to_bytes()


def buckets(
    past: Past,
    identity: int,
    numbers: range,
    of: Callable[[int], tuple[int, int, float]],
    *,
    tier: Tier = Tier.DAY,
) -> None:
    """Rows of one tier: calls, failures and typical milliseconds by bucket."""
    rows: list[dict[str, Any]] = []
    for number in numbers:
        calls, failures, typical_ms = of(number)
        rows.append(
            {
                "tier": tier.value,
                "bucket": number,
                "endpoint_id": identity,
                "calls": calls,
                "errors_5xx": failures,
                "histogram": durations(min(calls, 300), typical_ms, number),
            }
        )
    with past.database.write() as connection:
        connection.execute(sa.insert(BUCKET), rows)


def history(
    past: Past, identity: int, of: Callable[[int], tuple[int, int, float]], *, since: int = 70
) -> None:
    """Days up to yesterday, and the latest 24 hours like the day that begins today."""
    buckets(past, identity, range(TODAY - since, TODAY), of)
    calls, failures, typical_ms = of(TODAY)
    hour = -(-calls // 24), failures // 24, typical_ms
    buckets(past, identity, HOURS, lambda _hour: hour, tier=Tier.HOUR)


def called(past: Past, path: str, **of: Any) -> int:
    """An endpoint whose last call was just now."""
    facts = {"total_calls": 30_000, "first_called_at": (TODAY - 70) * DAY_US}
    return past.endpoint(path, **{**facts, "last_called_at": int(NOW * 1e6), **of})


def steady(_bucket: int) -> tuple[int, int, float]:
    return 300, 1, 80.0


def slower(since: int) -> Callable[[int], tuple[int, int, float]]:
    return lambda bucket: (300, 1, 80.0 if bucket < since else 140.0)


def found(reader: Reader, window: Window = WEEK, now: float = NOW) -> list[EndpointChange]:
    endpoints = reader.endpoints(window=window, now=now, with_histograms=False)
    return list(reader.changes.found(endpoints, window=window, now=now))


def kinds(changes: list[EndpointChange]) -> list[tuple[str, Kind]]:
    return [(one.endpoint.path, one.change.kind) for one in changes]


def test_a_slower_endpoint_is_found_with_its_release_and_a_steady_one_is_not(past: Past) -> None:
    past.observe(TODAY - 3, TODAY, release="2.14.0")
    search, health = called(past, "/search"), called(past, "/health")
    history(past, search, slower(TODAY - 3))
    history(past, health, steady)
    ((endpoint, change),) = found(past.reader())
    assert (endpoint.path, change.kind, change.release) == ("/search", Kind.SLOWER, "2.14.0")
    assert change.ratio == pytest.approx(1.75, rel=0.1)


def test_a_change_of_this_day_is_found_in_the_latest_24_hours(past: Past) -> None:
    search = called(past, "/search")
    buckets(past, search, range(TODAY - 70, TODAY), steady)
    buckets(past, search, HOURS, lambda _hour: (50, 0, 140.0), tier=Tier.HOUR)
    assert ("/search", Kind.SLOWER) in kinds(found(past.reader()))


def test_an_hour_of_failures_is_found_and_that_it_is_over(past: Past) -> None:
    pay = called(past, "/pay")
    history(past, pay, steady)
    first = (TODAY - 2) * 24

    def hour(number: int) -> tuple[int, int, float]:
        return 60, 30 if number == first + 6 else 0, 80.0

    buckets(past, pay, range(first, first + 12), hour, tier=Tier.HOUR)
    ((_, change),) = found(past.reader())
    assert change.kind is Kind.RECOVERED
    assert change.measured is Measured.FAILED_SHARE
    assert change.since == (first + 6) * 3_600


def test_an_endpoint_that_went_cold_or_is_deprecated_and_called_is_named(past: Past) -> None:
    eight_days_ago = int((NOW - 8 * 86_400) * 1e6)
    called(past, "/cold", last_called_at=eight_days_ago)
    old = called(past, "/old", deprecated=True)
    history(past, old, lambda _day: (5, 0, 80.0), since=20)
    assert kinds(found(past.reader())) == [
        ("/cold", Kind.WENT_COLD),
        ("/old", Kind.DEPRECATED_BUT_CALLED),
    ]


def test_a_day_that_was_not_watched_is_no_loss_of_traffic(past: Past) -> None:
    orders = called(past, "/orders")
    buckets(past, orders, range(TODAY - 70, TODAY - 2), steady)
    assert kinds(found(past.reader())) == [("/orders", Kind.LESS_TRAFFIC)]
    past.miss(TODAY - 2, TODAY)
    assert found(past.reader()) == []


def test_what_is_seen_for_a_week_only_is_no_change(past: Past) -> None:
    new = called(past, "/new", since=TODAY - 5)
    buckets(past, new, range(TODAY - 5, TODAY), slower(TODAY - 2))
    assert found(past.reader()) == []


def test_the_duration_of_a_websocket_is_no_matter(past: Past) -> None:
    feed = called(past, "/feed", kind="websocket", method="WEBSOCKET")
    history(past, feed, slower(TODAY - 3))
    assert found(past.reader()) == []


def test_a_period_of_the_past_has_the_changes_of_that_time(past: Past) -> None:
    search = called(past, "/search")
    history(past, search, slower(TODAY - 24), since=100)
    then = Window.between((TODAY - 28) * 86_400, (TODAY - 21) * 86_400)
    reader = past.reader()
    ((_, change),) = found(reader, then)
    assert change.since == (TODAY - 24) * 86_400
    assert found(reader) == []


def test_days_that_are_over_are_read_once_and_the_latest_again(past: Past) -> None:
    search = called(past, "/search")
    history(past, search, steady)
    reader = past.reader()
    assert found(reader) == []
    with past.database.write() as connection:
        for tier, failures in ((Tier.HOUR, 9), (Tier.DAY, 200)):
            late = (BUCKET.c.tier == tier.value) & (BUCKET.c.bucket >= (TODAY - 1) * 86_400 // tier)
            connection.execute(sa.update(BUCKET).where(late).values(errors_5xx=failures))
    assert found(reader, now=NOW + 1) == []  # What was found is five minutes old at most.
    assert kinds(found(past.reader())) == [("/search", Kind.FAILING_MORE)]
    changes = found(reader, Window.of_days(8))  # Another question, of the same days.
    assert kinds(changes) == [("/search", Kind.FAILING_MORE)]


def test_a_long_period_is_looked_at_from_its_last_month_on() -> None:
    month = MOST_DAYS * 86_400
    assert period_of(None, None, now=NOW) == (int(NOW) - month, int(NOW))
    assert period_of(0, 2 * month, now=NOW) == (month, 2 * month)
    assert period_of(int(NOW) - 60, None, now=NOW) == (int(NOW) - 60, int(NOW))


def test_an_app_that_nobody_watched_has_no_changes(database: Database) -> None:
    past = Past(database, watched=0)
    search = called(past, "/search")
    buckets(past, search, range(TODAY - 70, TODAY), slower(TODAY - 3))
    assert found(past.reader()) == []


def test_of_endpoints_beyond_the_limit_only_the_last_call_and_marks_tell(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.reporting.changes.MOST_READ", 1)
    called(past, "/busy", total_calls=99)
    old = called(past, "/old", deprecated=True)
    history(past, old, lambda _day: (5, 0, 80.0), since=20)
    assert {kind for _, kind in kinds(found(past.reader()))} <= {Kind.DEPRECATED_BUT_CALLED}
