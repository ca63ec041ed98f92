"""Any window of any history, compared with a recount of the calls themselves."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.reporting.model import Bounds, Usage, Window
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.reporting.series.time_series import Times, hours_of_week, hours_until_now
from fastapi_lens.storage.engine.database import Database
from tests.reporting.recount import (
    DAY,
    FOREVER,
    HOUR,
    MINUTE,
    NOW,
    WEEK,
    Call,
    begin_of,
    deleted_until,
    random_calls,
    reader_of,
    record,
    recount,
)
from tests.support.details import detail_of

# The lengths at which another tier has to answer, and all that lies between and beyond.
BORDERS = st.sampled_from([MINUTE, HOUR, 6 * HOUR, DAY, WEEK, 20 * DAY, 35 * DAY, 400 * DAY])
NEAR = st.builds(lambda border, off: max(1, border + off), BORDERS, st.integers(-HOUR, HOUR))
SECONDS = st.none() | NEAR | st.integers(1, 1_200 * DAY)
LATER = st.integers(0, 3 * DAY) | st.sampled_from([MINUTE, HOUR, DAY, WEEK])
"""Time between the last call and the report: windows move on, nothing is deleted."""


@dataclass(repr=False)
class History:
    calls: list[Call]
    ttl_days: int | None
    reader: Reader

    def reach(self, tier: int) -> float:
        """Seconds that rows of a tier are kept."""
        kept = {MINUTE: 6 * HOUR, HOUR: 35 * DAY, DAY: 400 * DAY}[tier]
        return kept if self.ttl_days is None else min(kept, self.ttl_days * DAY)


@pytest.fixture(scope="module", params=[(11, None), (12, 3), (13, 90)], ids=str)
def history(request: pytest.FixtureRequest) -> Iterator[History]:
    """A reader that has answered other questions before, as in a server."""
    seed, ttl_days = request.param
    database, calls = Database("sqlite://"), random_calls(seed)
    record(database, calls, app="orders", ttl_days=ttl_days)
    yield History(calls, ttl_days, reader_of(database, ttl_days=ttl_days))
    database.close()


@pytest.mark.unmeasured
@given(SECONDS, LATER)
@example(None, 0)
@example(1, 0)
@example(6 * HOUR, 30 * MINUTE)
@example(400 * DAY, WEEK)
def test_any_window_at_any_time_equals_a_recount(
    history: History, seconds: int | None, later: int
) -> None:
    now, reader, ttl_days = NOW + later, history.reader, history.ttl_days
    begin = begin_of(seconds, ttl_days, now)
    if ttl_days is not None and (seconds is None or seconds > ttl_days * DAY):
        # What was not deleted then is still there.
        asked = 0 if seconds is None else (int(now) - seconds) // WEEK * WEEK
        begin = max(asked, deleted_until(WEEK, ttl_days))
    for endpoint in reader.endpoints(window=Window(seconds), now=now):
        mine = [one for one in history.calls if one.path == endpoint.path]
        assert endpoint.usage == recount([one for one in mine if one.at >= begin])
        assert reader.endpoint(endpoint.key, window=Window(seconds), now=now) == endpoint


@pytest.mark.unmeasured
@given(SECONDS, st.integers(0, 900 * DAY) | NEAR, LATER)
@example(MINUTE, MINUTE, 0)
@example(HOUR, 6 * HOUR, 0)
@example(40 * DAY, 2 * HOUR, 0)
@example(None, DAY, 0)
def test_any_window_with_an_end_equals_a_recount_and_so_does_its_series(
    history: History, seconds: int | None, ended: int, later: int
) -> None:
    now, reader = NOW + later, history.reader
    window = Window(seconds, max(1, int(now) - ended))
    bounds = reader.bounds(window, now=now)
    begin, wanted = window.begin(now), window.end
    assert wanted is not None
    if begin is None:
        assert bounds == Bounds()
    else:
        # It holds what was asked for, and at each side less than a row more.
        widest = next(
            (tier for tier in (MINUTE, HOUR, DAY) if int(now) - begin <= history.reach(tier)), WEEK
        )
        assert bounds.start == begin // widest * widest
        ends = int(now) + WEEK if bounds.end is None else bounds.end
        assert wanted <= ends < wanted + widest or bounds.end is None
        assert bounds.end is not None or wanted + widest > now
    start, end = bounds.start or 0, bounds.end or FOREVER
    # Of what lies beyond retention, weeks are left that were not over yet.
    kept_since = max(start, deleted_until(WEEK, history.ttl_days))
    for endpoint in reader.endpoints(window=window, now=now):
        mine = [one for one in history.calls if one.path == endpoint.path]
        called = recount([one for one in mine if kept_since <= one.at < end])
        assert endpoint.usage == called
        assert reader.endpoint(endpoint.key, window=window, now=now) == endpoint
        points = detail_of(reader, endpoint.id, window=window, now=now).series.points
        assert Usage.total([point.usage for point in points]) == called


@pytest.mark.unmeasured
@given(SECONDS, st.none() | NEAR | st.integers(0, 500 * DAY))
@example(30 * DAY, None)
@example(HOUR, None)
@example(5 * HOUR, HOUR - 1)
def test_the_period_before_ends_where_the_window_begins_and_is_as_long(
    history: History, seconds: int | None, ended: int | None
) -> None:
    reader = history.reader
    window = Window(seconds, None if ended is None else int(NOW) - ended)
    bounds = reader.bounds(window, now=NOW)
    for endpoint in reader.endpoints(window=window, now=NOW):
        before = detail_of(reader, endpoint.id, window=window, now=NOW).before
        if before is None:
            continue
        assert bounds.start is not None
        length = (int(NOW) if bounds.end is None else bounds.end) - bounds.start
        assert before.seconds == length
        assert abs(before.end - before.start - length) <= length / 10
        assert abs(before.end - bounds.start) <= length / 10
        mine = [one for one in history.calls if one.path == endpoint.path]
        assert before.usage == recount([o for o in mine if before.start <= o.at < before.end])
        assert before.calls == pytest.approx(
            before.usage.calls * length / (before.end - before.start)
        )


def test_windows_of_the_pages_have_a_period_before_unless_retention_has_taken_it(
    history: History,
) -> None:
    first = history.reader.endpoints(window=Window(), now=NOW)[0]
    for days in (1 / 24, 1, 7, 30, 90):
        before = detail_of(history.reader, first.id, window=Window.of_days(days), now=NOW).before
        reaches = history.ttl_days is None or 2 * days < history.ttl_days
        assert (before is not None) is reaches, days
    assert detail_of(history.reader, first.id, window=Window(), now=NOW).before is None


def test_the_hours_of_the_week_add_up_to_the_calls_of_five_weeks(history: History) -> None:
    now = NOW
    reach = min(35, history.ttl_days or 35) * DAY
    for endpoint in history.reader.endpoints(window=Window(), now=now):
        found = detail_of(history.reader, endpoint.id, window=Window(), now=now).week
        end = int(now) // HOUR * HOUR
        start = max((int(now) - reach) // HOUR, int(endpoint.first_seen_at) // HOUR) * HOUR
        assert (found.start, found.end) == (start, end)
        mine = [o for o in history.calls if o.path == endpoint.path and start <= o.at < end]
        by_hour = Counter(
            (at.weekday(), at.hour) for at in (datetime.fromtimestamp(o.at, UTC) for o in mine)
        )
        assert {divmod(n, 24): c for n, c in enumerate(found.calls) if c} == by_hour
        assert sum(found.hours) == (end - start) // HOUR


def test_of_the_hours_of_the_week_those_before_an_endpoint_was_seen_do_not_count() -> None:
    reach = Times(Window(35 * DAY), NOW, lambda _tier: 35 * DAY)
    young = hours_of_week([], hours_until_now(reach, since=NOW - 2.5 * HOUR))
    assert sum(young.hours) == 3
    assert [young.mean(hour) is None for hour in range(168)].count(False) == 3
