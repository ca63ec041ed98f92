"""Times of callers that a wrong clock has recorded."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import (
    APP,
    MINUTE,
    FlakyDatabase,
    called_by,
    caller,
    make_endpoints,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, USE
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.endpoint_times import correct_left_behind

DAY = 1_440
TODAY = MINUTE // DAY
NOW = MINUTE * 60.0 + 20 * 86_400
NOW_US = round(NOW * 1_000_000)
FAR = MINUTE + 4_000 * DAY
BILLING = caller("billing")


def batch(minute: int, seq: int) -> Batch:
    """One call, by a worker whose clock is set by now."""
    return replace(called_by(1, BILLING, minute, seq=seq), ahead_us=NOW_US + 86_400_000_000)


def write(database: Database, *minutes: int) -> Writer:
    make_endpoints(database)
    writer = Writer(database, worker(), lambda: NOW)
    writer.register([], applied=0, now_us=1)
    for seq, minute in enumerate(minutes, 1):
        writer.write(batch(minute, seq))
    return writer


def use(database: Database) -> Any:
    (row,) = table_rows(database, USE)
    return row


def endpoint(database: Database) -> Any:
    return next(row for row in table_rows(database, ENDPOINT) if row.id == 1)


def test_a_caller_in_the_future_is_corrected_by_its_next_call(database: Database) -> None:
    writer = write(database, MINUTE, FAR)
    assert use(database).max_gap == 4_000
    writer.write(batch(MINUTE + 9 * DAY, 3))
    row = use(database)
    assert (row.last_day, row.max_gap, row.calls) == (TODAY + 9, 9, 3)
    assert row.last_at == (MINUTE + 9 * DAY) * 60_000_000 + 1_000_000
    assert [one.last_at for one in table_rows(database, CALLER)] == [row.last_at]
    found = endpoint(database)
    assert found.attributed_until == found.last_called_at == row.last_at - 1_000_000 + 1_000
    assert found.unattributed_at == 0


def test_a_caller_in_the_future_that_stays_away_called_just_now(database: Database) -> None:
    write(database, MINUTE, FAR)
    correct_left_behind(database, APP, now=NOW, certain=False)
    assert use(database).last_day == TODAY + 4_000
    correct_left_behind(database, APP, now=NOW, certain=True)
    row = use(database)
    assert (row.last_at, row.last_day, row.max_gap) == (NOW_US, TODAY + 20, 20)
    assert [one.last_at for one in table_rows(database, CALLER)] == [NOW_US]
    found = endpoint(database)
    assert found.attributed_until == found.last_called_at


def test_a_first_call_in_1970_becomes_the_first_of_the_endpoint(database: Database) -> None:
    write(database, MINUTE, MINUTE + 3 * DAY)
    with database.write() as connection:
        connection.execute(sa.update(USE).values(first_at=5, first_day=0, max_gap=TODAY))
    correct_left_behind(database, APP, now=NOW, certain=True)
    row = use(database)
    assert (row.first_day, row.last_day, row.days, row.max_gap) == (TODAY, TODAY + 3, 2, 3)
    assert row.first_at == endpoint(database).first_called_at


@pytest.mark.parametrize("first", [0, NOW_US + 10])
def test_without_a_first_call_of_the_endpoint_it_was_just_now(
    sqlite_database: FlakyDatabase, first: int
) -> None:
    write(sqlite_database, MINUTE)
    with sqlite_database.write() as connection:
        connection.execute(sa.update(USE).values(first_at=5, first_day=0, refused_day=FAR // DAY))
        connection.execute(sa.update(ENDPOINT).values(first_called_at=first))
    correct_left_behind(sqlite_database, APP, now=NOW, certain=True)
    row = use(sqlite_database)
    assert (row.first_at, row.last_at, row.days) == (NOW_US, NOW_US, 1)
    assert row.refused_day == (NOW_US // 1_000_000 + 86_400) // 86_400


def test_a_time_of_attribution_in_the_future_says_nothing(database: Database) -> None:
    write(database, MINUTE)
    with database.write() as connection:
        connection.execute(
            sa.update(ENDPOINT).values(attributed_until=FAR * 60_000_000, unattributed_at=5)
        )
    correct_left_behind(database, APP, now=NOW, certain=True)
    row = endpoint(database)
    assert (row.attributed_until, row.unattributed_at) == (0, NOW_US)


def test_a_call_in_the_future_without_a_caller_was_made_just_now(database: Database) -> None:
    writer = write(database, MINUTE)
    far_us = FAR * 60_000_000
    with database.write() as connection:
        connection.execute(
            sa.update(ENDPOINT).values(last_called_at=far_us, unattributed_at=far_us + 1)
        )
    writer.write(batch(MINUTE + DAY, 2))
    row = endpoint(database)
    assert row.unattributed_at == row.last_called_at == row.attributed_until
    assert row.last_called_at == (MINUTE + DAY) * 60_000_000 + 1_000
