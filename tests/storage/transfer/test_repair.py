"""Rows that no release writes are found and repaired on every database that accepts them."""

from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import delta, facts, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.import_notes import import_note
from fastapi_lens.storage.schema.row_checks import sound_values
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    REQUEST,
    STATUS,
    WORKER,
)
from fastapi_lens.storage.transfer.repair import repair, wrong_rows
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.log_writer import LogBatch, LogWriter
from tests.storage.writing.test_log_writer import exception, request

NOW = 1_773_014_400.0
TOO_MANY = 10**18
POISON: dict[sa.Table, dict[str, Any]] = {
    ENDPOINT: {
        "tags": "oops",
        "total_calls": -5,
        "last_called_at": TOO_MANY,
        "evidence_since": -5,
        "present_since": TOO_MANY,
        "removed_at": -5,
        "last_used_at": -5,
        "shape_id": -1,
        "first_release_id": -1,
        "last_release_id": -1,
        "first_called_release_id": -1,
        "last_called_release_id": -1,
        "overrides": '{"cadence": "hourly"}',
    },
    WORKER: {"dropped": -1, "seen_at": TOO_MANY},
    BUCKET: {"calls": -5, "duration_us": TOO_MANY, "histogram": b"\x0f\xff\xff"},
    STATUS: {"calls": TOO_MANY},
    EXCEPTION: {"calls": -1, "first_at": TOO_MANY},
    EXCEPTION_COUNT: {"calls": -1},
    REQUEST: {"duration_us": -1, "reason": "odd"},
}


@pytest.fixture
def poisoned(database: Database) -> Database:
    """A row of each table, which holds what cannot be."""
    fact = facts("/orders")
    writer = Writer(database, worker())
    writer.register([fact], applied=0, now_us=round(NOW * 1e6))
    writer.write(Batch(1, (delta(fact.id),)))
    LogWriter(database, worker()).write(LogBatch(1, (request(),), (exception(),)))
    with database.write() as connection:
        for table, values in POISON.items():
            connection.execute(sa.update(table).values(values))
    return database


def test_what_every_database_takes_is_found_and_repaired(poisoned: Database) -> None:
    found = list(wrong_rows(poisoned))
    repair(poisoned, found, now=NOW)

    named = {(row.table.name, wrong.column) for row in found for wrong in row.wrong}
    assert named == {(table.name, name) for table, values in POISON.items() for name in values}
    assert list(wrong_rows(poisoned)) == []
    (endpoint,) = table_rows(poisoned, ENDPOINT)
    assert (endpoint.tags, endpoint.total_calls) == ("[]", 0)
    assert endpoint.last_called_at == round(NOW * 1e6)
    # No silence before now proves anything.
    assert endpoint.evidence_since == endpoint.present_since == round(NOW * 1e6)
    assert (endpoint.removed_at, endpoint.last_used_at, endpoint.shape_id) == (0, 0, 0)
    assert endpoint.overrides is None
    assert {row.calls for row in table_rows(poisoned, BUCKET)} == {0}


def test_rows_that_are_sound_stay_as_they_are(poisoned: Database) -> None:
    repair(poisoned, list(wrong_rows(poisoned)), now=NOW)
    tables = list(POISON)
    before = [table_rows(poisoned, table) for table in tables]

    repair(poisoned, list(wrong_rows(poisoned)), now=NOW + 1)

    assert [table_rows(poisoned, table) for table in tables] == before


@pytest.mark.parametrize(
    "text", ["", "oops", "[1]", "{}", '{"applied": 1, "rows": 1}', "[" * 100_000]
)
def test_a_text_that_is_no_note_of_an_import_says_nothing(text: str) -> None:
    assert import_note(text) is None


@pytest.mark.parametrize("value", [7, "yes", None, b"\xff"])
def test_what_is_neither_true_nor_false_becomes_false(value: object) -> None:
    assert sound_values(WORKER, {"app": "orders", "killed": value}, 0) == {"killed": False}
