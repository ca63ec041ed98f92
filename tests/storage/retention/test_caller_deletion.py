"""Callers that are forgotten: no trace of them, and endpoints that look no safer without them."""

from collections import Counter

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import (
    MINUTE,
    called_by,
    caller,
    make_endpoints,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.caller_key import caller_key, key_id
from fastapi_lens.storage.records.callers import label_caller
from fastapi_lens.storage.retention.caller_deletion import (
    Forgotten,
    forget_caller,
    forget_callers,
)
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, REQUEST, USE, USE_WEEK
from fastapi_lens.storage.writing.batches import CallerFacts
from fastapi_lens.storage.writing.log_writer import LogBatch, LoggedRequest, LogWriter

DAY = 1_440
BILLING, SHIPPING = caller("billing"), caller("shipping")


def hashed(database: Database, name: str) -> CallerFacts:
    """A caller that is known by its key, as a worker hashes it now."""
    one = caller(name, CallerKind.KEY)
    return one._replace(key_id=key_id(caller_key(database, "orders")))


def writer_of(database: Database) -> Writer:
    make_endpoints(database)
    made = Writer(database, worker(), lambda: MINUTE * 60.0 + 10 * 86_400)
    made.register([], applied=0, now_us=1)
    return made


def logged(number: int, of: CallerFacts) -> LoggedRequest:
    texts = dict.fromkeys(("query", "reason", "client", "agent"), "")
    return LoggedRequest(
        id=number,
        endpoint_id=1,
        method="GET",
        path="/1",
        status=200,
        duration_us=1,
        exception_id=0,
        caller_id=of.id,
        **texts,
    )


def pairs_in(database: Database) -> set[tuple[int, int]]:
    return {(row.endpoint_id, row.caller_id) for row in table_rows(database, USE)}


def calls_by_week(database: Database) -> Counter[tuple[int, int]]:
    found = Counter[tuple[int, int]]()
    for row in table_rows(database, USE_WEEK):
        found[row.week, row.endpoint_id] += row.calls
    return found


def names_in(database: Database) -> set[str]:
    return {row.name for row in table_rows(database, CALLER)}


def test_a_forgotten_caller_leaves_no_row_and_doubt_about_its_endpoints(
    database: Database,
) -> None:
    writer = writer_of(database)
    writer.write(called_by(1, BILLING, MINUTE))
    writer.write(called_by(1, SHIPPING, MINUTE + DAY, seq=2))
    # This one still waits.
    writer.put(called_by(2, BILLING, MINUTE + 5, seq=3))
    LogWriter(database, worker()).write(LogBatch(1, (logged(1, BILLING), logged(2, SHIPPING)), ()))
    assert forget_caller(database, "orders", BILLING.id) == Forgotten(1, 2, 1)
    assert names_in(database) == {"shipping"}
    for table in (USE, USE_WEEK, REQUEST):
        assert BILLING.id not in {row.caller_id for row in table_rows(database, table)}
    endpoints = {row.id: row for row in table_rows(database, ENDPOINT)}
    assert endpoints[1].callers == 2
    assert endpoints[1].unattributed_at == MINUTE * 60_000_000 + 1_000_000
    assert endpoints[2].callers == 1
    assert endpoints[2].unattributed_at == endpoints[2].last_called_at > 0
    assert endpoints[1].total_calls == 2
    assert forget_caller(database, "orders", BILLING.id) == Forgotten(0, 0, 0)


def test_a_caller_that_was_only_refused_leaves_doubt_until_the_end_of_that_day(
    database: Database,
) -> None:
    writer = writer_of(database)
    writer.write(called_by(1, BILLING, MINUTE, status=403))
    writer.write(called_by(1, SHIPPING, MINUTE + 5 * DAY, seq=2))
    forget_caller(database, "orders", BILLING.id)
    endpoints = {row.id: row for row in table_rows(database, ENDPOINT)}
    assert endpoints[1].unattributed_at == (MINUTE // DAY + 1) * DAY * 60_000_000


def test_all_callers_of_an_app_are_forgotten_and_those_of_others_stay(database: Database) -> None:
    writer = writer_of(database)
    writer.write(called_by(1, BILLING, MINUTE))
    writer.write(called_by(1, SHIPPING, MINUTE, seq=2))
    before = caller_key(database, "orders")
    assert forget_callers(database, "another") == Forgotten(0, 0, 0)
    assert caller_key(database, "orders") == before
    assert forget_callers(database, "orders") == Forgotten(2, 2, 0)
    assert pairs_in(database) == {(1, OTHERS_ID)}
    assert caller_key(database, "orders") != before
    assert forget_callers(database, "orders") == Forgotten(0, 0, 0)
    assert pairs_in(database) == {(1, OTHERS_ID)}


def test_forgotten_callers_stay_in_the_totals_of_others(database: Database) -> None:
    writer = writer_of(database)
    writer.write(called_by(1, BILLING, MINUTE))
    writer.write(called_by(1, BILLING, MINUTE + 9 * DAY, seq=2))
    writer.write(called_by(1, SHIPPING, MINUTE + 8 * DAY, seq=3))
    writer.write(called_by(1, SHIPPING, MINUTE + 10 * DAY, seq=4, status=403))
    weeks = calls_by_week(database)
    forget_caller(database, "orders", BILLING.id)
    (others,) = [row for row in table_rows(database, USE) if row.caller_id == OTHERS_ID]
    assert (others.calls, others.refused, others.max_gap) == (2, 0, 9)
    assert (others.days, others.last_day - others.first_day) == (2, 9)
    forget_callers(database, "orders")
    (others,) = table_rows(database, USE)
    assert (others.calls, others.refused, others.max_gap) == (4, 1, 9)
    assert others.refused_day == others.last_day + 1
    assert calls_by_week(database) == weeks
    assert {row.caller_id for row in table_rows(database, USE_WEEK)} == {OTHERS_ID}
    assert forget_caller(database, "orders", OTHERS_ID) == Forgotten(0, 0, 0)
    assert table_rows(database, USE) == [others]


def test_nobody_has_a_gap_between_two_callers_that_are_forgotten(database: Database) -> None:
    writer = writer_of(database)
    writer.write(called_by(1, BILLING, MINUTE))
    writer.write(called_by(1, SHIPPING, MINUTE + 9 * DAY, seq=2))
    forget_callers(database, "orders")
    (others,) = table_rows(database, USE)
    assert (others.days, others.max_gap) == (2, 0)


def test_weeks_without_totals_are_deleted(database: Database) -> None:
    writer_of(database).write(called_by(1, BILLING, MINUTE))
    with database.write() as connection:
        connection.execute(sa.delete(USE))
    forget_caller(database, "orders", BILLING.id)
    assert not table_rows(database, USE_WEEK)


def test_a_key_that_was_hashed_before_all_were_forgotten_never_comes_back(
    database: Database,
) -> None:
    writer = writer_of(database)
    old = hashed(database, "0123456789abcdef")
    writer.write(called_by(1, old, MINUTE))
    writer.put(called_by(2, old, MINUTE + 1, seq=2))
    forget_callers(database, "orders")
    # A worker that has not read the new key yet.
    writer.write(called_by(1, old, MINUTE + 2, seq=3))
    assert not names_in(database)
    assert pairs_in(database) == {(1, OTHERS_ID), (2, OTHERS_ID)}
    new = hashed(database, "fedcba9876543210")
    writer.write(called_by(1, new, MINUTE + 3, seq=4))
    assert names_in(database) == {"fedcba9876543210"}


def test_a_label_is_set_for_a_caller_of_the_app_only(database: Database) -> None:
    writer_of(database).write(called_by(1, BILLING, MINUTE))
    assert label_caller(database, "orders", BILLING.id, "Billing\0team") == 1
    assert label_caller(database, "another", BILLING.id, "x") == 0
    assert label_caller(database, "orders", 5, "x") == 0
    assert [row.label for row in table_rows(database, CALLER)] == ["Billing\ufffdteam"]
    with pytest.raises(ValueError, match="at most 200 characters"):
        label_caller(database, "orders", BILLING.id, "x" * 201)
