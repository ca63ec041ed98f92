"""Callers and time: what goes, when, and with what else."""

from typing import Any

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
from fastapi_lens.storage.records.caller_key import caller_key
from fastapi_lens.storage.retention.preview import expired
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.retention.purge import Choice, amount, purge
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, META, USE, USE_WEEK

DAY = 1_440
BEGIN = MINUTE * 60.0
BILLING, SHIPPING = caller("billing"), caller("shipping")


def write(database: Database) -> None:
    """Billing calls 1 and 2, and shipping, 100 days later, 1 only; one call of it is refused."""
    make_endpoints(database)
    writer = Writer(database, worker(), lambda: BEGIN + 10**9)
    writer.register([], applied=0, now_us=1)
    writer.write(called_by(1, BILLING, MINUTE))
    writer.write(called_by(2, BILLING, MINUTE, seq=2))
    writer.write(called_by(1, SHIPPING, MINUTE + 100 * DAY, seq=3))
    writer.write(called_by(2, SHIPPING, MINUTE + 100 * DAY, seq=4, status=404))


def pairs(database: Database) -> set[tuple[int, int]]:
    return {(row.endpoint_id, row.caller_id) for row in table_rows(database, USE)}


def callers_of(database: Database) -> list[int]:
    return [row.callers for row in sorted(table_rows(database, ENDPOINT))]


def names(database: Database) -> set[str]:
    return {row.name for row in table_rows(database, CALLER)}


def weeks(database: Database) -> set[Any]:
    return {(row.endpoint_id, row.caller_id) for row in table_rows(database, USE_WEEK)}


def test_a_caller_goes_800_days_after_its_last_call(database: Database) -> None:
    write(database)
    prune(database, Retention(app=APP), now=BEGIN + 799 * 86_400)
    assert len(pairs(database)) == 4
    assert not weeks(database)
    prune(database, Retention(app=APP), now=BEGIN + 802 * 86_400)
    assert pairs(database) == {(1, SHIPPING.id), (2, SHIPPING.id)}
    assert callers_of(database) == [1, 1, 0, 0]
    assert names(database) == {"shipping"}
    prune(database, Retention(app=APP), now=BEGIN + 902 * 86_400)
    assert not pairs(database)
    assert not names(database)
    assert callers_of(database) == [0, 0, 0, 0]


def test_weeks_of_callers_go_after_57_weeks_or_earlier_if_the_app_says_so(
    database: Database,
) -> None:
    write(database)
    now = BEGIN + 120 * 86_400
    prune(database, Retention(app=APP), now=now)
    assert len(weeks(database)) == 4
    found = expired(database, Retention(app=APP), Retention(60, app=APP), app=APP, now=now)
    assert found.rows > 2
    prune(database, Retention(60, app=APP), now=now)
    assert weeks(database) == {(1, SHIPPING.id), (2, SHIPPING.id)}
    # The totals stay, as those of endpoints do.
    assert len(pairs(database)) == 4
    prune(database, Retention(app=APP), now=BEGIN + (100 + 58 * 7) * 86_400)
    assert not weeks(database)


def test_an_apps_own_retention_spares_the_weeks_of_others(database: Database) -> None:
    write(database)
    with database.write() as connection:
        others = sa.update(ENDPOINT).where(ENDPOINT.c.id == 2)
        connection.execute(others.values(app="another"))
    prune(database, Retention(1, app=APP), now=BEGIN + 200 * 86_400)
    assert weeks(database) == {(2, BILLING.id), (2, SHIPPING.id)}


def test_the_history_of_an_endpoint_goes_with_its_callers(database: Database) -> None:
    write(database)
    choice = Choice(APP, [1], keeps_endpoints=True)
    # Two callers, and two of their weeks.
    assert amount(database, choice).uses == 4
    list(purge(database, choice, now=BEGIN))
    assert pairs(database) == {(2, BILLING.id), (2, SHIPPING.id)} == weeks(database)
    assert callers_of(database)[:2] == [0, 2]
    row = min(table_rows(database, ENDPOINT))
    assert (row.attributed_until, row.unattributed_at, row.last_called_at) == (0, 0, 0)
    assert row.evidence_since == BEGIN * 1e6
    list(purge(database, Choice(APP, [2]), now=BEGIN))
    assert not names(database)


def test_deleting_what_is_old_spares_callers_that_called_since(database: Database) -> None:
    write(database)
    choice = Choice(APP, [1, 2], before=int(BEGIN) + 50 * 86_400)
    assert amount(database, choice).uses == 4
    list(purge(database, choice, now=BEGIN + 200 * 86_400))
    assert pairs(database) == {(1, SHIPPING.id), (2, SHIPPING.id)} == weeks(database)
    assert names(database) == {"shipping"}


def test_a_whole_app_goes_with_its_callers_and_their_key(database: Database) -> None:
    write(database)
    caller_key(database, APP)
    caller_key(database, "another")
    choice = Choice(APP, [1, 2, 3, 4], whole_app=True)
    assert amount(database, choice).callers == 2
    list(purge(database, choice, now=BEGIN))
    assert pairs(database) == weeks(database) == names(database) == set()
    keys = [row.name for row in table_rows(database, META) if row.name.startswith("caller_key")]
    assert len(keys) == 1


def test_deletion_of_many_callers_takes_several_transactions(
    sqlite_database: FlakyDatabase,
) -> None:
    make_endpoints(sqlite_database, 12)
    writer = Writer(sqlite_database, worker(), lambda: BEGIN + 10**9)
    writer.register([], applied=0, now_us=1)
    for number in range(1, 13):
        writer.write(called_by(number, BILLING, MINUTE, seq=number))
    prune(sqlite_database, Retention(app=APP), now=BEGIN + 900 * 86_400)
    assert not pairs(sqlite_database)
    assert callers_of(sqlite_database) == [0] * 12
