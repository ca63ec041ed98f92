"""Buckets of times that cannot be: no window has them, and no chart gets longer by them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from fastapi_lens import LensConfig
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS
from tests.support.details import detail_of

NOW = 1_773_014_400.0 + 5_000
DAY = 86_400
TIERS = (60, 3_600, DAY, 7 * DAY)


@pytest.fixture
def lens(tmp_path: Path) -> Iterator[Lens]:
    """Seven calls a day ago, and an endpoint whose first call was told to be of 1970."""
    at = NOW - DAY
    made = Lens(LensConfig(db_path=str(tmp_path / "lens.db"), app_name="pi"), clock=lambda: at)
    for _ in range(7):
        made.recorder.count(method="GET", path="/a", status=200, duration_ns=1_000)
    assert made.flusher.flush()
    at = NOW
    with made.database.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(first_called_at=12_000_000, total_calls=99))
    yield made
    made.stop()


def add_calls(lens: Lens, at: float, calls: int) -> None:
    with lens.database.write() as connection:
        identity = connection.execute(sa.select(ENDPOINT.c.id)).scalar_one()
        for tier in TIERS:
            row = {column.name: 0 for column in BUCKET.columns} | {"histogram": b""}
            row |= {"tier": tier, "bucket": int(at) // tier, "endpoint_id": identity}
            connection.execute(lens.database.insert_ignore(BUCKET), row)
            mine = (BUCKET.c.tier == tier) & (BUCKET.c.bucket == row["bucket"])
            more = sa.update(BUCKET).where(mine).values(calls=BUCKET.c.calls + calls)
            connection.execute(more)
        row = {"day": int(at) // DAY, "endpoint_id": identity, "status": 299, "calls": calls}
        connection.execute(sa.insert(STATUS), row)


WINDOWS = [Window(), Window(400 * DAY), Window(30 * DAY), Window(2 * DAY)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "at", [12.0, 946_684_800.0, 1_577_000_000.0, NOW + 9 * DAY, NOW + 365 * DAY, 4 * NOW]
)
def test_no_window_has_calls_of_a_time_that_cannot_be(
    lens: Lens, window: Window, at: float
) -> None:
    add_calls(lens, at, 1_000)
    (found,) = lens.reader.endpoints(window=window, now=NOW)
    assert (found.usage.calls, found.total_calls) == (7, 99)
    one = lens.reader.endpoint(found.key, window=window, now=NOW)
    assert one is not None
    assert one.usage.calls == 7
    detail = detail_of(lens.reader, found.id, window=window, now=NOW)
    series = detail.series
    assert sum(point.usage.calls for point in series.points) == 7
    assert series.points[0].start >= 1_577_000_000 - 7 * DAY
    assert series.points[-1].end <= NOW + 52 * 7 * DAY
    assert sum(lens.reader.trends([found.id], window=window, now=NOW)[found.id]) == 7
    assert 299 not in dict(detail.codes)


@pytest.mark.parametrize("window", WINDOWS)
def test_what_another_host_has_booked_an_hour_ahead_is_in_it(lens: Lens, window: Window) -> None:
    add_calls(lens, NOW + 3_600, 5)
    (found,) = lens.reader.endpoints(window=window, now=NOW)
    assert found.usage.calls == 12
