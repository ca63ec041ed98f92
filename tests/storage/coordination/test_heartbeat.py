"""The last heartbeat of a worker, by different clocks."""

import time

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import table_rows, worker
from fastapi_lens.storage.coordination.heartbeat import beat, new_row
from fastapi_lens.storage.coordination.worker import Heartbeat
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import WORKER


@pytest.mark.parametrize("ahead_seconds", [0.0, -0.5, 90.0, -90.0, 86_400.0 * 400])
def test_a_worker_is_heard_of_whether_its_clock_is_a_little_off_or_a_lot(
    database: Database, ahead_seconds: float
) -> None:
    def clock() -> float:
        return time.time() + ahead_seconds

    begun_us = round(clock() * 1_000_000)
    with database.write() as connection:
        connection.execute(sa.insert(WORKER), new_row(worker(), applied=0, now_us=begun_us))
    for ended in (False, True):
        now_us = round(clock() * 1_000_000)
        said = Heartbeat(now_us=now_us, complete_to_us=now_us, ended=ended)
        beat(database, worker(), said, clock)
        (row,) = table_rows(database, WORKER)
        # Of SQLite's file, the worker's clock is the only one.
        told = time.time() + (ahead_seconds if database.dialect.is_file else 0.0)
        assert row.seen_at / 1_000_000 == pytest.approx(told, abs=3)
        assert row.ended_at == (row.seen_at if ended else 0)
