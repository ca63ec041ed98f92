"""Any window of any history, compared with a recount of the calls themselves."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.queries import Reader
from fastapi_lens.storage.database import Database
from tests.reporting.recount import (
    DAY,
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

# The lengths at which another tier has to answer, and all that lies between and beyond.
BORDERS = st.sampled_from([MINUTE, HOUR, 6 * HOUR, DAY, WEEK, 20 * DAY, 35 * DAY, 400 * DAY])
NEAR = st.builds(lambda border, off: max(1, border + off), BORDERS, st.integers(-HOUR, HOUR))
SECONDS = st.none() | NEAR | st.integers(1, 1_200 * DAY)
LATER = st.integers(0, 3 * DAY) | st.sampled_from([MINUTE, HOUR, DAY, WEEK])
"""How long after the last call somebody asks: windows have moved on, and nothing was deleted."""


@dataclass
class History:
    calls: list[Call]
    ttl_days: int | None
    reader: Reader


@pytest.fixture(scope="module", params=[(11, None), (12, 3), (13, 90)], ids=str)
def history(request: pytest.FixtureRequest) -> Iterator[History]:
    """A reader that has answered other questions before, as in a server."""
    seed, ttl_days = request.param
    database, calls = Database("sqlite://"), random_calls(seed)
    record(database, calls, app="orders", ttl_days=ttl_days)
    yield History(calls, ttl_days, reader_of(database, ttl_days=ttl_days))
    database.close()


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
