"""Callers in the tables: each call of a pair once, bounded rows, and gaps never too short."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import (
    MINUTE,
    FlakyDatabase,
    called_by,
    caller,
    caller_calls,
    delta,
    facts,
    make_endpoints,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, OBSERVED, USE, USE_WEEK
from fastapi_lens.storage.writing.batches import Batch, Use
from fastapi_lens.storage.writing.callers import MOST_CALLERS, MOST_IN_WEEKS
from tests.storage import first_edition

DAY = 1_440
TODAY = MINUTE // DAY


def writer_of(database: Database) -> Writer:
    """A registered worker, whose endpoints are 1 to 4."""
    make_endpoints(database)
    made = Writer(database, worker(), lambda: MINUTE * 60.0 + 400 * 86_400)
    made.register([], applied=0, now_us=1)
    return made


def totals(database: Database) -> dict[tuple[int, int], tuple[int, ...]]:
    """Calls, refused, days, longest gap by pair."""
    return {
        (row.endpoint_id, row.caller_id): (row.calls, row.refused, row.days, row.max_gap)
        for row in table_rows(database, USE)
    }


def endpoint_row(database: Database, identity: int = 1) -> sa.Row[tuple[object, ...]]:
    (row,) = [row for row in table_rows(database, ENDPOINT) if row.id == identity]
    return row


def test_the_calls_of_a_caller_are_counted_with_its_days(database: Database) -> None:
    writer, billing = writer_of(database), caller("billing")
    writer.write(called_by(1, billing, MINUTE, MINUTE + 1, MINUTE + 3 * DAY))
    writer.write(called_by(1, billing, MINUTE + 10 * DAY, seq=2))
    writer.write(called_by(1, billing, MINUTE + 11 * DAY, seq=3, status=404))
    (row,) = table_rows(database, USE)
    assert (row.endpoint_id, row.caller_id) == (1, billing.id)
    assert (row.calls, row.refused, row.errors_5xx) == (5, 1, 0)
    assert (row.first_day, row.last_day, row.days, row.max_gap) == (TODAY, TODAY + 10, 3, 7)
    assert (row.first_at, row.last_at) == (
        MINUTE * 60_000_000,
        (MINUTE + 10 * DAY) * 60_000_000 + 1_000_000,
    )
    assert row.refused_day == TODAY + 11
    (named,) = table_rows(database, CALLER)
    assert (named.id, named.app, named.kind, named.name) == (
        billing.id,
        "orders",
        "hook",
        "billing",
    )
    assert (named.first_at, named.last_at) == (row.first_at, row.last_at)
    assert endpoint_row(database).callers == 1
    weeks = {row.week: row.calls for row in table_rows(database, USE_WEEK)}
    assert sum(weeks.values()) == 5
    assert set(weeks) == {day // 7 for day in (TODAY, TODAY + 3, TODAY + 10, TODAY + 11)}


def test_callers_beyond_the_bound_are_counted_as_others(database: Database) -> None:
    writer = writer_of(database)
    many = [caller(f"caller {number}") for number in range(MOST_CALLERS + 50)]
    calls = tuple(caller_calls(1, one) for one in many)
    batch = Batch(
        1, (delta(1, [1] * len(many)),), is_attributed=True, callers=calls, names=tuple(many)
    )
    writer.write(batch)
    writer.write(called_by(1, caller("late"), MINUTE + DAY, seq=2))
    found = totals(database)
    assert len(found) == MOST_CALLERS + 1 == endpoint_row(database).callers
    assert found[1, OTHERS_ID][0] == 51
    assert len(table_rows(database, CALLER)) == MOST_CALLERS
    assert not table_rows(database, USE_WEEK)


def test_weeks_are_kept_of_few_callers_and_of_deprecated_endpoints(database: Database) -> None:
    writer = writer_of(database)
    with database.write() as connection:
        connection.execute(sa.update(ENDPOINT).where(ENDPOINT.c.id == 2).values(deprecated=True))
    many = tuple(caller(f"caller {number}") for number in range(MOST_IN_WEEKS + 1))
    calls = tuple(caller_calls(endpoint, one) for endpoint in (1, 2) for one in many)
    writer.write(Batch(1, (delta(1), delta(2)), is_attributed=True, callers=calls, names=many))
    weeks = table_rows(database, USE_WEEK)
    assert {row.endpoint_id for row in weeks} == {2}
    assert len(weeks) == len(many)


def test_a_call_without_a_caller_is_noted_as_such(database: Database) -> None:
    writer, billing = writer_of(database), caller("billing")
    writer.write(called_by(1, billing, MINUTE))
    row = endpoint_row(database)
    assert (row.attributed_until, row.unattributed_at) == (row.last_called_at, 0)
    # Somebody who knows no callers counts, and the next batch finds out.
    foreign = (MINUTE + 5) * 60_000_000
    with database.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(last_called_at=foreign))
    writer.write(called_by(1, billing, MINUTE + 10, seq=2))
    row = endpoint_row(database)
    assert (row.attributed_until, row.unattributed_at) == (row.last_called_at, foreign)
    writer.write(Batch(3, (delta(1, minute=MINUTE + 20),)))
    row = endpoint_row(database)
    assert row.unattributed_at == row.last_called_at > row.attributed_until


def test_calls_of_a_kind_without_a_name_have_a_row(sqlite_database: FlakyDatabase) -> None:
    writer, nobody = writer_of(sqlite_database), caller("", CallerKind.NONE)
    writer.write(called_by(1, nobody, MINUTE))
    assert totals(sqlite_database) == {(1, nobody.id): (1, 0, 1, 0)}


def test_a_late_call_of_a_worker_of_the_first_release_is_that_of_somebody_unknown(
    database: Database,
) -> None:
    writer, billing = writer_of(database), caller("billing")
    writer.write(called_by(1, billing, MINUTE))
    old = first_edition.FirstWorker(database, worker("w0"))
    old.start([facts("/old")])
    old.write(Batch(1, (delta(1, minute=MINUTE + 7),)))
    row = endpoint_row(database)
    assert row.last_called_at > row.attributed_until
    writer.write(called_by(1, billing, MINUTE + 9, seq=2))
    assert endpoint_row(database).unattributed_at == (MINUTE + 7) * 60_000_000 + 1_000


def test_batches_with_callers_and_without_are_told_apart_in_one_transaction(
    database: Database,
) -> None:
    writer, billing = writer_of(database), caller("billing")
    writer.put(called_by(1, billing, MINUTE + 9))
    writer.put(Batch(2, (delta(1, minute=MINUTE + 3),)))
    writer.put(Batch(3, (delta(2, minute=MINUTE + 4),)))
    writer.drain.run_once()
    row = endpoint_row(database)
    assert row.unattributed_at == (MINUTE + 3) * 60_000_000 + 1_000
    assert row.attributed_until == row.last_called_at == (MINUTE + 9) * 60_000_000 + 1_000
    other = endpoint_row(database, 2)
    assert (other.attributed_until, other.unattributed_at) == (0, other.last_called_at)


@pytest.mark.parametrize("name", ["x" * 201, None], ids=["too long", "without a name"])
def test_a_caller_whose_name_cannot_be_kept_is_counted_under_others(
    sqlite_database: FlakyDatabase, name: str | None
) -> None:
    writer, billing = writer_of(sqlite_database), caller(name or "billing")
    batch = called_by(1, billing, MINUTE)
    writer.write(batch if name else replace(batch, names=()))
    assert totals(sqlite_database) == {(1, OTHERS_ID): (1, 0, 1, 0)}
    assert not table_rows(sqlite_database, CALLER)


def test_a_caller_that_the_database_refuses_stops_no_other(
    sqlite_database: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    writer = writer_of(sqlite_database)
    with sqlite_database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON lens_caller WHEN NEW.name = 'bad' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    good, bad = caller("good"), caller("bad")
    calls = (caller_calls(1, good), caller_calls(1, bad, minute=MINUTE + DAY))
    batch = Batch(1, (delta(1, [1, 1]),), is_attributed=True, callers=calls, names=(good, bad))
    writer.write(batch)
    assert totals(sqlite_database) == {(1, OTHERS_ID): (1, 0, 1, 0), (1, good.id): (1, 0, 1, 0)}
    assert [record.getMessage() for record in caplog.records] == [
        f"fastapi_lens skipped 1 callers that the database refuses, such as hook {bad.id}: no"
    ]


def test_calls_whose_callers_the_database_refuses_are_counted_without(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    writer, billing = writer_of(database), caller("billing")
    writer.write(called_by(1, billing, MINUTE))
    too_many = caller_calls(1, billing)._replace(calls=(1 << 63) - 1)
    writer.write(replace(called_by(1, billing, MINUTE + 1, seq=2), callers=(too_many,)))
    row = endpoint_row(database)
    assert row.total_calls == 2
    assert row.unattributed_at == row.last_called_at
    assert totals(database) == {(1, billing.id): (1, 0, 1, 0)}
    # No call is lost, so the time counts as observed.
    assert table_rows(database, OBSERVED) == []
    (record,) = caplog.records
    assert record.getMessage() == (
        "fastapi_lens adds 1 calls of worker w1 (orders) without their callers, which the "
        "database refuses"
    )


def test_callers_of_an_endpoint_that_was_deleted_meanwhile_make_it_again(
    database: Database,
) -> None:
    writer, billing = writer_of(database), caller("billing")
    writer.put(replace(called_by(1, billing, MINUTE), deltas=()))
    with database.write() as connection:
        connection.execute(sa.delete(ENDPOINT).where(ENDPOINT.c.id == 1))
    writer.drain.run_once()
    assert endpoint_row(database).kind == "unregistered"
    assert totals(database) == {(1, billing.id): (1, 0, 1, 0)}


def test_any_number_of_names_leaves_a_bounded_number_of_rows(
    sqlite_database: FlakyDatabase,
) -> None:
    writer = writer_of(sqlite_database)
    number = 0
    for seq in range(1, 6):
        some = tuple(caller(f"key {number + one}", CallerKind.KEY) for one in range(2_000))
        number += len(some)
        calls = tuple(caller_calls(endpoint, one) for one in some for endpoint in (1, 2))
        sums = (delta(1, [1] * 2_000), delta(2, [1] * 2_000))
        writer.write(Batch(seq, sums, is_attributed=True, callers=calls, names=some))
    found = totals(sqlite_database)
    assert len(found) == 2 * (MOST_CALLERS + 1)
    assert sum(calls for calls, *_ in found.values()) == 2 * number
    assert len(table_rows(sqlite_database, CALLER)) <= 2 * MOST_CALLERS
    assert endpoint_row(sqlite_database).callers == MOST_CALLERS + 1


def test_an_open_call_is_a_use_of_its_caller_without_a_count(
    sqlite_database: FlakyDatabase,
) -> None:
    writer, billing = writer_of(sqlite_database), caller("billing")
    opened = caller_calls(1, billing, calls=0)
    uses = (Use(1, 1, MINUTE * 60_000_000, MINUTE * 60_000_000 + 5),)
    writer.write(Batch(1, (), uses, is_attributed=True, callers=(opened,), names=(billing,)))
    assert totals(sqlite_database) == {(1, billing.id): (0, 0, 1, 0)}
    assert not table_rows(sqlite_database, USE_WEEK)
    row = endpoint_row(sqlite_database)
    assert row.attributed_until == row.last_called_at > row.unattributed_at == 0
