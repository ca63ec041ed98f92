"""Eight workers watch while everything goes wrong: only what was recorded and written is marked."""

from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from benchmarks.support.rows import APP, table_rows
from benchmarks.support.watching import watch
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import dropped_id, release_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, OBSERVED
from fastapi_lens.storage.writing.drain import drain_all


def marks(database: Database) -> dict[int, set[int]]:
    """Marked minutes by release."""
    found: dict[int, set[int]] = {}
    for row in table_rows(database, OBSERVED):
        bits = {row.hour * 60 + bit for bit in range(60) if row.minutes >> bit & 1}
        found.setdefault(row.release_id, set()).update(bits)
    return found


@pytest.mark.unmeasured
def test_no_minute_is_marked_that_was_not_recorded_and_written(
    database_url: str, fork_server: ForkServerContext, tmp_path: Path
) -> None:
    database = Database(database_url)
    migrate(database)
    recounts = watch(fork_server, database_url, tmp_path)
    drain_all(database)
    marked = marks(database)
    paths = {row.id: row.path for row in table_rows(database, ENDPOINT)}
    counted = {
        (paths[row.endpoint_id], row.bucket): row.calls
        for row in table_rows(database, BUCKET)
        if row.tier == 60
    }
    database.close()

    assert marked.get(dropped_id(APP), set()) == set()
    for release, recount in recounts.items():
        of_release = marked[release_id(APP, release)]
        assert of_release <= recount.may
        assert recount.must <= of_release
        if release != "shared":
            # Of a release whose workers came one after the other, each call of such a minute: but
            # what came after a step back, or just before a begin, may be lost with its worker.
            sure = {minute for minute in of_release if recount.passes[minute] == 1}
            told = {key: calls for key, calls in recount.calls.items() if key[1] in sure}
            lost = {key: calls for key, calls in told.items() if counted.get(key, 0) < calls}
            assert lost == {}
    assert sum(recount.kills for recount in recounts.values()) > 0
    assert sum(recount.jumps for recount in recounts.values()) > 0
