"""Many workers that never ended: forgotten in time, and no question reads them all."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from benchmarks.support.rows import table_rows, worker
from fastapi_lens.reporting.workers import read_state, read_workers
from fastapi_lens.storage.coordination.dropped_calls import (
    dropped_by_workers,
    dropped_calls,
    note_of,
)
from fastapi_lens.storage.coordination.heartbeat import latest_open, new_row
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.chunks import AdaptiveBatchSize
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.retention.worker_deletion import LATEST_WORKERS, worker_chunks
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import WORKER
from tests.support.statements import engine_of

DAY = 86_400
NOW = 1_773_014_400.0


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(made)
    yield made
    made.close()


def add_workers(database: Database, number: int, *, app: str = "fn", **values: Any) -> None:
    """Workers that were heard of an hour apart, the latest one now."""
    rows = []
    for age in range(number):
        seen_us = round((NOW - age * 3_600) * 1e6)
        row = new_row(worker(uuid.uuid4().hex, app=app), applied=5, now_us=seen_us)
        rows.append({**row, **values})
    with database.write() as connection:
        connection.execute(sa.insert(WORKER), rows)


def forget(database: Database) -> int:
    return sum(
        done.rows for done in worker_chunks(database, now=NOW, batch_size=AdaptiveBatchSize())
    )


def test_silent_workers_of_the_week_and_the_latest_of_an_app_stay(file: Database) -> None:
    add_workers(file, 500)
    add_workers(file, 150, app="other")
    assert forget(file) == 500 - LATEST_WORKERS
    assert len(table_rows(file, WORKER)) == LATEST_WORKERS + 150
    assert forget(file) == 0


def test_a_busy_week_stays_whole(file: Database) -> None:
    add_workers(file, 24 * 6)
    add_workers(file, 24 * 6)
    assert forget(file) == 0


def lost(connection: sa.Connection, app: str) -> int:
    told = dropped_by_workers(sa.literal(app), sa.literal(note_of(app)))
    return dropped_calls(*connection.execute(sa.select(*told)).one())


def test_what_forgotten_workers_have_lost_stays_counted(file: Database) -> None:
    add_workers(file, 500, dropped=3)
    add_workers(file, 3, app="other", dropped=1)
    assert forget(file) == 500 - LATEST_WORKERS
    with file.read() as connection:
        assert lost(connection, "fn") == 1_500
        assert lost(connection, "other") == 3
        health = read_state(connection, app="fn", now=NOW)
    assert health.dropped == 1_500
    for _ in purge(file, Choice(app="fn", ids=[], before=None, whole_app=True), now=NOW):
        pass
    with file.read() as connection:
        assert lost(connection, "fn") == 0


def test_no_question_reads_all_of_many_workers(file: Database) -> None:
    statements: list[tuple[str, Any]] = []
    with file.read() as connection:
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cursor, text, values, _x, _many: statements.append((text, values)),
        )
        read_state(connection, app="fn", now=NOW)
        read_workers(connection, app="fn", now=NOW)
        connection.execute(latest_open("fn"))
        for text, values in statements.copy():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
            for step in plan:
                if "lens_worker" in step.detail:
                    assert re.match(r"SEARCH .* USING .*INDEX", step.detail), step.detail


def test_more_workers_than_an_integer_holds_times_of_can_be_asked_about(file: Database) -> None:
    from fastapi_lens import LensConfig  # noqa: PLC0415  Storage knows no settings.
    from fastapi_lens.reporting.model import Window  # noqa: PLC0415
    from fastapi_lens.runtime.lens import Lens  # noqa: PLC0415

    at_us = round(NOW * 1e6)
    add_workers(file, 6_000, ended_at=at_us, seen_at=at_us)
    lens = Lens(LensConfig(database_url=f"sqlite:///{engine_of(file).url.database}", app_name="fn"))
    assert lens.reader.endpoints(window=Window(), now=NOW) == []
    lens.stop()
