"""Callers in the tables: each call of a pair once, bounded rows, and gaps never too short."""

import sqlalchemy as sa

from benchmarks.support.rows import (
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
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, USE, USE_WEEK
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.callers import MOST_CALLERS, MOST_IN_WEEKS

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
