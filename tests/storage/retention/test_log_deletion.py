"""Deletion from the request log: by age, by number of rows, and by choice."""

from dataclasses import replace

from benchmarks.support.rows import facts, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import LOG_KEPT_SECONDS, Retention, prune
from fastapi_lens.storage.retention.purge import Choice, amount, purge
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import EXCEPTION, EXCEPTION_COUNT, REQUEST
from fastapi_lens.storage.writing.log_writer import LogBatch, LogWriter
from tests.storage.writing.test_log_writer import AT, MINUTE, exception, request

DAY = 86_400


def fill(database: Database, app: str, days: range, *, endpoint: int = 7) -> None:
    """One request and one kind of exception on each of these days."""
    writing = worker(f"{app}-{endpoint}", app)
    Writer(database, writing).register([], applied=0, now_us=AT)
    kinds = [
        replace(exception(day * DAY), id=hash((app, day, endpoint)) % 2**40, endpoint_id=endpoint)
        for day in days
    ]
    offset = sum(map(ord, app)) % 100 * 10 + endpoint
    requests = [request(day * DAY, endpoint_id=endpoint) for day in days]
    requests = [replace(one, id=one.id + offset) for one in requests]
    LogWriter(database, writing).write(LogBatch(1, tuple(requests), tuple(kinds)))


def left(database: Database) -> dict[str, tuple[int, int]]:
    """By app, requests and kinds of exceptions."""
    requests, kinds = table_rows(database, REQUEST), table_rows(database, EXCEPTION)
    return {
        app: (
            sum(row.app == app for row in requests),
            sum(row.app == app for row in kinds),
        )
        for app in sorted({row.app for row in (*requests, *kinds)})
    }


def delete(database: Database, retention: Retention, *, day: int) -> None:
    prune(database, retention, now=AT / 1e6 + day * DAY)


def test_the_log_of_an_app_is_kept_as_long_as_its_own_retention_says(database: Database) -> None:
    fill(database, "one", range(40))
    fill(database, "two", range(40))
    kept = LOG_KEPT_SECONDS // DAY

    delete(database, Retention(app="three"), day=kept + 10)
    assert left(database) == {"one": (30, 30), "two": (30, 30)}
    delete(database, Retention(7, app="two"), day=39)
    assert left(database) == {"one": (30, 30), "two": (8, 8)}


def test_the_oldest_rows_of_an_app_go_when_there_are_too_many(database: Database) -> None:
    fill(database, "one", range(30))
    fill(database, "two", range(30))
    retention = Retention(app="one")
    retention.log_max_rows = 10

    delete(database, retention, day=30)

    assert left(database) == {"one": (10, 10), "two": (30, 30)}
    mine = [row.last_at for row in table_rows(database, EXCEPTION) if row.app == "one"]
    assert min(mine) == AT + 20 * DAY * 1_000_000


def test_a_purge_takes_the_log_of_its_endpoints_and_says_how_much(database: Database) -> None:
    fill(database, "one", range(20), endpoint=7)
    fill(database, "one", range(20), endpoint=8)
    before = round(AT / 1e6) + 10 * DAY

    some = Choice("one", [7], before=before)
    assert (amount(database, some).requests, amount(database, some).exceptions) == (10, 10)
    # With each kind of exceptions go its counts of a minute and of an hour.
    assert amount(database, some).buckets == 20
    assert sum(purge(database, some, now=1.0)) == 40
    assert left(database) == {"one": (30, 30)}

    sum(purge(database, Choice("one", [7]), now=1.0))
    assert left(database) == {"one": (20, 20)}

    everything = Choice("one", [], whole_app=True)
    assert amount(database, everything).rows == 20 + 20 + 2
    sum(purge(database, everything, now=1.0))
    assert left(database) == {}


def test_the_counts_of_exceptions_are_kept_as_long_as_their_kinds(database: Database) -> None:
    fill(database, "one", range(30))
    fill(database, "two", range(30))
    # Only where another app has endpoints are rows of one app told apart.
    Writer(database, worker("w", "one")).register([facts("/", app="one")], applied=0, now_us=AT)
    delete(database, Retention(7, app="two"), day=30)
    kinds = {row.id for row in table_rows(database, EXCEPTION)}
    hours = [row for row in table_rows(database, EXCEPTION_COUNT) if row.tier == Tier.HOUR]
    assert {row.failure_id for row in hours} == kinds
    assert len(hours) == len(kinds)
    assert {row.tier for row in table_rows(database, EXCEPTION_COUNT)} == {Tier.HOUR}


def test_with_a_kind_go_its_counts(database: Database) -> None:
    fill(database, "one", range(30))
    prune(database, Retention(app="one", log_max_rows=10), now=AT / 1e6 + 30 * DAY)
    kinds = {row.id for row in table_rows(database, EXCEPTION)}
    assert len(kinds) == 10
    assert {row.failure_id for row in table_rows(database, EXCEPTION_COUNT)} == kinds


def test_the_counts_before_a_time_are_deleted_by_choice(database: Database) -> None:
    fill(database, "one", range(2))
    again = worker("again", "one")
    Writer(database, again).register([], applied=0, now_us=AT)
    kind = exception(DAY, minutes=((MINUTE, 3), (MINUTE + DAY // 60, 1)))
    LogWriter(database, again).write(LogBatch(1, (), (kind,)))
    before = Choice("one", [7], before=AT // 1_000_000 + DAY)
    found = amount(database, before)
    # Two rows of each of two kinds, one of which goes itself.
    assert (found.buckets, found.exceptions) == (4, 1)
    assert sum(purge(database, before, now=AT / 1e6 + 2 * DAY)) >= 4
    first = {row.bucket * row.tier for row in table_rows(database, EXCEPTION_COUNT)}
    assert first == {AT // 1_000_000 + DAY}
    for _ in purge(database, Choice("one", [7], whole_app=True), now=AT / 1e6 + 2 * DAY):
        pass
    assert table_rows(database, EXCEPTION_COUNT) == []
