"""Importing callers: each call once, gaps of both places, and nobody who would not fit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from benchmarks.support.rows import (
    APP,
    MINUTE,
    FlakyDatabase,
    called_by,
    caller,
    caller_calls,
    delta,
    make_endpoints,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.callers import label_caller
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import OTHERS_ID
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, META, MOVED, USE, USE_WEEK
from fastapi_lens.storage.transfer.export import rows_of
from fastapi_lens.storage.transfer.import_ import Importer
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.callers import MOST_CALLERS

DAY = 1_440
TODAY = MINUTE // DAY
BILLING, SHIPPING = caller("billing"), caller("shipping")


def write(database: Database, *batches: Batch) -> None:
    make_endpoints(database)
    writer = Writer(database, worker(), lambda: MINUTE * 60.0 + 400 * 86_400)
    writer.register([], applied=0, now_us=1)
    for seq, batch in enumerate(batches, 1):
        writer.write(replace(batch, seq=seq))


def exported(*batches: Batch) -> list[tuple[sa.Table, list[dict[str, Any]]]]:
    """All rows of another database with these batches."""
    there = FlakyDatabase("sqlite://")
    migrate(there)
    write(there, *batches)
    with there.read() as connection:
        found = [
            (table, [dict(zip(table.c.keys(), row, strict=True)) for row in rows])
            for table in MOVED
            if (rows := list(rows_of(connection, table, [APP])))
        ]
    there.close()
    return found


def move(
    database: Database,
    tables: Sequence[tuple[sa.Table, list[dict[str, Any]]]],
    export: str = "1",
) -> None:
    importer = Importer(database, export * 32, 1, {APP: [export]}, now=MINUTE * 60.0)
    importer.repeated_apps()
    importer.begin()
    start = 0
    for table, rows in tables:
        importer.add(table, start, rows)
        start += len(rows)


def totals(database: Database) -> dict[tuple[int, int], Any]:
    return {(row.endpoint_id, row.caller_id): row for row in table_rows(database, USE)}


def of_endpoint(database: Database, identity: int = 1) -> Any:
    return next(row for row in table_rows(database, ENDPOINT) if row.id == identity)


def test_callers_arrive_as_they_were(database: Database) -> None:
    there = exported(
        called_by(1, BILLING, MINUTE, MINUTE + 9 * DAY), called_by(2, SHIPPING, MINUTE)
    )
    move(database, there)
    move(database, there)
    moved = dict(there)
    for table in (USE, USE_WEEK, CALLER):
        rows = [row._asdict() for row in table_rows(database, table)]
        assert sorted(map(str, rows)) == sorted(map(str, moved[table]))
    row = of_endpoint(database)
    assert row.callers == 1
    assert row.attributed_until == row.last_called_at > row.unattributed_at == 0


def test_calls_of_both_places_are_added_with_the_gap_between_them(database: Database) -> None:
    write(database, called_by(1, BILLING, MINUTE, MINUTE + 2 * DAY))
    label_caller(database, APP, BILLING.id, "Ours")
    later = called_by(1, BILLING, MINUTE + 30 * DAY, MINUTE + 31 * DAY)
    move(database, exported(later, called_by(1, SHIPPING, MINUTE)))
    found = totals(database)[1, BILLING.id]
    assert (found.calls, found.days, found.max_gap) == (4, 4, 28)
    assert (found.first_day, found.last_day) == (TODAY, TODAY + 31)
    assert of_endpoint(database).callers == 2
    assert sum(row.calls for row in table_rows(database, USE_WEEK)) == 5
    named = {row.id: row for row in table_rows(database, CALLER)}
    assert named[BILLING.id].label == "Ours"
    assert named[BILLING.id].last_at == found.last_at
    # And the other way round, with the days before those here.
    move(database, exported(called_by(1, BILLING, MINUTE - 50 * DAY)), "2")
    found = totals(database)[1, BILLING.id]
    assert (found.calls, found.days, found.max_gap) == (5, 5, 50)


def test_an_overlap_counts_no_day_twice(database: Database) -> None:
    write(database, called_by(1, BILLING, MINUTE, MINUTE + 10 * DAY))
    move(database, exported(called_by(1, BILLING, MINUTE + 5 * DAY, MINUTE + 6 * DAY)))
    found = totals(database)[1, BILLING.id]
    assert (found.calls, found.days, found.max_gap) == (4, 2, 10)


def test_a_caller_that_was_only_refused_there_adds_no_day(database: Database) -> None:
    write(database, called_by(1, BILLING, MINUTE))
    before = totals(database)[1, BILLING.id]
    move(database, exported(called_by(1, BILLING, MINUTE + DAY, status=403)))
    found = totals(database)[1, BILLING.id]
    assert (found.calls, found.refused, found.refused_day) == (2, 1, TODAY + 1)
    assert (found.days, found.first_at, found.last_at) == (1, before.first_at, before.last_at)
    assert [row.first_at for row in table_rows(database, CALLER)] == [before.first_at]


def test_callers_that_do_not_fit_are_others(database: Database) -> None:
    def many(name: str) -> Batch:
        callers = tuple(caller(f"{name} {number}") for number in range(150))
        calls = tuple(caller_calls(1, one) for one in callers)
        return Batch(1, (delta(1, [1] * 150),), is_attributed=True, callers=calls, names=callers)

    write(database, many("here"))
    move(database, exported(many("there")))
    found = totals(database)
    assert len(found) == MOST_CALLERS + 1 == of_endpoint(database).callers
    assert sum(row.calls for row in found.values()) == 300
    assert found[1, OTHERS_ID].calls == 100


def test_calls_of_a_caller_without_a_row_are_those_of_others(database: Database) -> None:
    there = exported(called_by(1, BILLING, MINUTE))
    move(database, [(table, rows) for table, rows in there if table is not CALLER])
    assert list(totals(database)) == [(1, OTHERS_ID)]
    assert [row.caller_id for row in table_rows(database, USE_WEEK)] == [OTHERS_ID]


def test_rows_of_an_unknown_endpoint_are_left_out(database: Database) -> None:
    there = exported(called_by(1, BILLING, MINUTE))
    write(database)
    with database.write() as connection:
        connection.execute(sa.delete(ENDPOINT).where(ENDPOINT.c.id == 1))
    move(database, [(table, rows) for table, rows in there if table in (CALLER, USE)])
    assert not totals(database)


def test_an_import_without_callers_makes_the_last_call_that_of_somebody_unknown(
    database: Database,
) -> None:
    write(database, called_by(1, BILLING, MINUTE))
    move(database, exported(Batch(1, (delta(1, minute=MINUTE + 100),))))
    row = of_endpoint(database)
    assert row.unattributed_at == row.last_called_at
    assert row.last_called_at == (MINUTE + 100) * 60_000_000 + 1_000


def test_no_export_has_the_key_that_hashes_keys() -> None:
    assert META not in MOVED
