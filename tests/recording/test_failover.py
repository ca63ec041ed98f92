"""A primary dies and its standby takes over, in the middle of writing; `make bench-failover` does
the same to a server under load.
"""

import pytest
from fastapi import FastAPI

from benchmarks.support.postgres import PostgresServer
from benchmarks.support.rows import table_rows
from benchmarks.support.standby import StandbyServer
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.schema.tables import BUCKET, STATUS
from tests.recording.probe import calls_in

ENDPOINTS = 20


def count(lens: Lens, rounds: int) -> None:
    """Calls of each endpoint, more than fit into one transaction."""
    for _ in range(rounds):
        for number in range(ENDPOINTS):
            lens.recorder.count(
                method="GET", path=f"/things/{number}", status=200, duration_ns=1_000_000
            )


@pytest.mark.postgres
def test_recording_goes_on_at_the_standby_and_no_count_is_lost_or_counted_twice() -> None:
    with PostgresServer() as primary, StandbyServer(primary) as standby:
        url = standby.url_of_both(primary.create_database())
        lens = Lens(LensConfig(database_url=url, app_name="shop", flush_interval=0.05))
        lens.begin(FastAPI(), lifespan=True)
        count(lens, 5)
        wait_until(lambda: lens.flusher.pending_calls == 0 and lens.flusher.flush())
        count(lens, 7)
        primary.crash()
        count(lens, 11)
        # The standby can be read all the time, but takes no counts yet.
        assert not lens.flusher.flush()
        standby.promote()
        assert wait_until(lens.flusher.flush)
        count(lens, 1)
        lens.stop()

        assert calls_in(lens) == {f"/things/{number}": 24 for number in range(ENDPOINTS)}
        assert lens.flusher.dropped == 0
        for table, of_one_tier in ((BUCKET, {"tier": 60}), (STATUS, {})):
            rows = [row._asdict() for row in table_rows(lens.database, table)]
            rows = [row for row in rows if of_one_tier.items() <= row.items()]
            assert sum(row["calls"] for row in rows) == 24 * ENDPOINTS
        lens.database.close()
