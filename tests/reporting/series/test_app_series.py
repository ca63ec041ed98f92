"""Calls of many endpoints together, compared with a recount of the rows."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.series import app_series
from fastapi_lens.reporting.series.app_series import AppSeries
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET
from tests.reporting.past import DAY_US, NOW, TODAY, Past

HOUR, DAY = 3_600, 86_400


@pytest.fixture
def past(database: Database) -> Past:
    """An app that was watched for 800 days."""
    return Past(database)


def rows(past: Past, identity: int, tier: Tier, numbers: Sequence[int], **of: int) -> None:
    """Rows of ten calls of 100 ms each, or of what the facts say."""
    histogram = Histogram.from_counts({bucket_index(100_000_000): 10}).to_bytes()
    facts: dict[str, Any] = {"calls": 10, "max_us": 100_000, "histogram": histogram, **of}
    with past.database.write() as connection:
        connection.execute(
            sa.insert(BUCKET),
            [
                {"tier": tier.value, "bucket": number, "endpoint_id": identity, **facts}
                for number in numbers
            ],
        )


def asked(past: Past, ids: Sequence[int], window: Window, **of: Any) -> AppSeries:
    return past.reader().app_series(ids, ids, window=window, now=NOW, **of)


def test_all_endpoints_are_added_up_by_step(past: Past) -> None:
    one, two, other = (past.endpoint(path) for path in ("/one", "/two", "/other"))
    hours = range((TODAY - 1) * 24, (TODAY - 1) * 24 + 6)
    for identity in (one, two, other):
        rows(past, identity, Tier.HOUR, hours, errors_5xx=1, errors_4xx=2, redirects=3)
    found = asked(past, [one, two], Window.of_days(7))
    assert found.calls.step_seconds == found.durations.step_seconds == 3 * HOUR
    used = [point for point in found.calls.points if point.usage.calls]
    assert [point.start for point in used] == [(TODAY - 1) * DAY, (TODAY - 1) * DAY + 3 * HOUR]
    assert {
        (each.usage.calls, each.usage.errors_5xx, each.usage.errors_4xx, each.usage.redirects)
        for each in used
    } == {(60, 6, 12, 18)}
    timed = [point.usage for point in found.durations.points if point.usage.calls]
    assert [usage.calls for usage in timed] == [60, 60]
    assert timed[0].percentiles_ms == pytest.approx((100, 100, 100), rel=0.02)


def test_endpoints_without_durations_are_counted_all_the_same(past: Past) -> None:
    one, feed = past.endpoint("/one"), past.endpoint("/feed", kind="websocket")
    for identity in (one, feed):
        rows(past, identity, Tier.HOUR, [(TODAY - 1) * 24])
    found = past.reader().app_series([one, feed], [one], window=Window.of_days(7), now=NOW)
    assert sum(point.usage.calls for point in found.calls.points) == 20
    assert sum(point.usage.calls for point in found.durations.points) == 10


def test_many_endpoints_have_longer_steps_of_durations_and_the_same_sums(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = past.endpoint("/one")
    rows(past, one, Tier.HOUR, range((TODAY - 2) * 24, TODAY * 24))
    rows(past, one, Tier.DAY, range(TODAY - 2, TODAY))
    monkeypatch.setattr(app_series, "MOST_MERGED", 20)
    found = asked(past, [one], Window.of_days(7))
    assert found.calls.step_seconds == 3 * HOUR
    assert found.durations.step_seconds == DAY
    assert sum(point.usage.calls for point in found.calls.points) == 480
    assert sum(point.usage.calls for point in found.durations.points) == 20
    monkeypatch.setattr(app_series, "MOST_MERGED", 0)
    assert asked(past, [one], Window.of_days(7)).durations.step_seconds >= DAY


def test_the_period_before_has_the_same_steps(past: Past) -> None:
    one = past.endpoint("/one")
    noon = TODAY * 24 + 12
    rows(past, one, Tier.HOUR, [noon - 200, noon - 3])
    found = asked(past, [one], Window.of_days(7))
    assert sum(found.before) == 10
    assert found.before_seconds == 7 * DAY
    # 200 hours ago is 32 hours before the end of the period before.
    at = found.before.index(10)
    assert found.calls.points[at].start <= NOW - 32 * HOUR < found.calls.points[at].end
    assert len(found.before) <= len(found.calls.points)


def test_all_time_begins_with_the_first_call_and_has_no_period_before(past: Past) -> None:
    one = past.endpoint("/one", first_called_at=(TODAY - 300) * DAY_US)
    rows(past, one, Tier.DAY, [TODAY - 300])
    found = asked(past, [one], Window())
    assert sum(point.usage.calls for point in found.calls.points) == 10
    assert (found.before, found.before_seconds) == ((), 0)


def test_no_endpoints_have_no_calls(past: Past) -> None:
    found = asked(past, [], Window.of_days(1))
    assert {point.usage.calls for point in found.calls.points} == {0}


def test_the_durations_of_the_period_before_are_those_of_its_whole_days(past: Past) -> None:
    one = past.endpoint("/one")
    rows(past, one, Tier.DAY, range(TODAY - 20, TODAY))
    rows(past, one, Tier.HOUR, range((TODAY - 20) * 24, TODAY * 24), calls=0)
    found = asked(past, [one], Window.of_days(7)).durations_before
    assert found is not None
    assert found.percentiles_ms == pytest.approx((100, 100, 100), rel=0.02)


def test_many_endpoints_have_the_durations_of_the_days_before_instead_of_the_hours(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = past.endpoint("/one")
    rows(past, one, Tier.DAY, range(TODAY - 20, TODAY))
    # Fewer than the hours of a week.
    monkeypatch.setattr(app_series, "MOST_BEFORE", 100)
    found = asked(past, [one], Window.of_days(7)).durations_before
    assert found is not None
    assert found.calls == 70
    # Whole days would be another period than the day before.
    monkeypatch.setattr(app_series, "MOST_BEFORE", 10)
    assert asked(past, [one], Window.of_days(1)).durations_before is None


def test_too_many_rows_of_the_period_before_are_not_read(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = past.endpoint("/one")
    rows(past, one, Tier.DAY, range(TODAY - 20, TODAY))
    monkeypatch.setattr(app_series, "MOST_BEFORE", 6)
    assert asked(past, [one], Window.of_days(7)).durations_before is None
    assert asked(past, [one], Window()).durations_before is None
