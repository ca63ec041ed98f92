import itertools
import logging
import random
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from benchmarks.support.rows import (
    APP,
    MINUTE,
    FlakyDatabase,
    Rows,
    delta,
    facts,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.coordination.leases import LEASE_SECONDS, take_lease
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.baselines import add_to_baselines
from fastapi_lens.storage.retention.pruner import Pruner, Retention, kept_seconds, prune
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, GONE, LEASE
from fastapi_lens.storage.writing.batches import Batch, Delta, EndpointFacts
from tests.storage.conftest import Together
from tests.storage.processes import win_lease
from tests.support.statements import engine_of

HOUR, DAY, WEEK = 3_600, 86_400, 604_800
NOW = MINUTE * 60 + 12_345.6
CALLED, NEVER_CALLED = facts("/called"), facts("/never")


def history(ages: list[float]) -> list[Delta]:
    """A call at each age in seconds."""
    minutes = sorted({int((NOW - age) // 60) for age in ages})
    return [delta(CALLED.id, [500 + minute % 7], minute=minute) for minute in minutes]


def write(database: Database, deltas: list[Delta]) -> None:
    writer = Writer(database, worker())
    writer.register([CALLED, NEVER_CALLED], applied=0, now_us=round(NOW * 1e6))
    for seq, start in enumerate(range(0, len(deltas), 50), 1):
        writer.write(Batch(seq, tuple(deltas[start : start + 50])))


def not_past(rows: Rows, kept: dict[int, float]) -> Rows:
    """The rows whose end is not yet longer ago than their tier is kept, and baselines."""

    def stays(tier: int, bucket: int) -> bool:
        is_baseline = (tier, bucket) == (WEEK, BASELINE_BUCKET)
        return is_baseline or (bucket + 1) * tier > int(NOW) - kept[tier]

    left = Rows(
        buckets={key: sums for key, sums in rows.buckets.items() if stays(key[0], key[1])},
        latencies={key: sums for key, sums in rows.latencies.items() if stays(key[0], key[1])},
        statuses=type(rows.statuses)(
            {key: calls for key, calls in rows.statuses.items() if stays(DAY, key[0])}
        ),
        endpoints=rows.endpoints,
    )
    for key in rows.buckets.keys() - left.buckets.keys():
        tier, _, endpoint = key
        if tier == WEEK:
            baseline = (WEEK, BASELINE_BUCKET, endpoint)
            *sums, longest = left.buckets.get(baseline, [0] * 6)
            *added, other = rows.buckets[key]
            both = [one + more for one, more in zip(sums, added, strict=True)]
            left.buckets[baseline] = [*both, max(longest, other)]
            durations = left.latencies.get(baseline, Counter())
            left.latencies[baseline] = durations + rows.latencies[key]
    return left


def deleted(before: Rows, after: Rows) -> int:
    """The number of rows that went."""
    buckets = len(before.buckets.keys() - after.buckets.keys())
    return buckets + len(before.statuses) - len(after.statuses)


def around(*ages: float) -> list[float]:
    return [
        age + offset * tier for age in ages for tier in (60, HOUR, DAY) for offset in (-1, 0, 1)
    ]


RETENTIONS: list[tuple[int | None, dict[int, float]]] = [
    (None, {60: 6 * HOUR, HOUR: 35 * DAY, DAY: 400 * DAY, WEEK: float("inf")}),
    (1_000, {60: 6 * HOUR, HOUR: 35 * DAY, DAY: 400 * DAY, WEEK: 1_000 * DAY}),
    (30, {60: 6 * HOUR, HOUR: 30 * DAY, DAY: 30 * DAY, WEEK: 30 * DAY}),
    (1, {60: 6 * HOUR, HOUR: DAY, DAY: DAY, WEEK: DAY}),
]


def test_what_is_past_its_retention_goes_and_nothing_else(database: Database) -> None:
    chance = random.Random(1)
    ages = [0, *around(6 * HOUR, DAY, 30 * DAY, 35 * DAY, 400 * DAY, 1_000 * DAY), 1_100 * DAY]
    ages += [10 ** chance.uniform(3, 8.1) for _ in range(30)]
    deltas = history([age for age in ages if age >= 0])
    write(database, deltas)
    before = rows_in(database)
    assert before == rows_of(deltas)
    for ttl_days, kept in RETENTIONS:
        expected = not_past(before, kept)
        gone = deleted(before, expected)
        assert prune(database, Retention(ttl_days, app=APP), now=NOW) == gone > 0
        assert prune(database, Retention(ttl_days, app=APP), now=NOW) == 0
        before = rows_in(database)
        assert before == expected


def test_calls_of_removed_endpoints_go_with_the_days(database: Database) -> None:
    write(database, [])
    other = facts("/called", app="billing")
    Writer(database, worker("w2", "billing")).register([other], applied=0, now_us=1)
    today = int(NOW // DAY)
    with database.write() as connection:
        for endpoint, is_noise in itertools.product((CALLED, other), (0, 1)):
            for age in (0, 29, 31, 399, 401):
                row = {"day": today - age, "endpoint_id": endpoint.id, "is_noise": is_noise}
                connection.execute(sa.insert(GONE).values(**row, calls=1))

    def ages(endpoint: EndpointFacts) -> list[int]:
        rows = [row for row in table_rows(database, GONE) if row.endpoint_id == endpoint.id]
        return sorted({today - row.day for row in rows})

    prune(database, Retention(app=APP), now=NOW)
    assert ages(CALLED) == ages(other) == [0, 29, 31, 399]
    prune(database, Retention(30, app=APP), now=NOW)
    assert ages(CALLED) == [0, 29]
    assert ages(other) == [0, 29, 31, 399]


def test_first_and_last_calls_totals_and_never_called_endpoints_outlive_all_retention(
    database: Database,
) -> None:
    write(database, history([500 * DAY, 900 * DAY]))
    before = table_rows(database, ENDPOINT)
    assert sorted(row.total_calls for row in before) == [0, 2]
    prune(database, Retention(1, app=APP), now=NOW)
    assert set(rows_in(database).buckets) == {(WEEK, BASELINE_BUCKET, CALLED.id)}
    assert table_rows(database, ENDPOINT) == before


@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_is_never_kept_for_longer_than_the_configured_days(tier: Tier) -> None:
    own = kept_seconds(tier, None)
    for days in (1, 20, 36, 500):
        kept = kept_seconds(tier, days)
        assert kept == (days * DAY if own is None else min(own, days * DAY))


@pytest.mark.parametrize("ttl_days", [None, 3])
def test_what_is_kept_may_change_while_the_app_runs(
    database: Database, ttl_days: int | None
) -> None:
    write(database, history([DAY, 2 * DAY, 10 * DAY]))
    retention = Retention(5, app=APP)
    pruner = Pruner(database, retention, owner="w1", rest=no_rest)
    retention.ttl_days = ttl_days
    pruner.visit(now=NOW)
    days = {key[1] for key in rows_in(database).buckets if key[0] == DAY}
    assert len(days) == (3 if ttl_days is None else 2)
    assert retention.kept_seconds(Tier.DAY) == kept_seconds(Tier.DAY, ttl_days)


def test_each_app_of_a_database_has_a_retention_of_its_own(database: Database) -> None:
    ages: list[float] = [0, 2 * DAY, 10 * DAY, 50 * DAY, 500 * DAY]
    write(database, history(ages))
    other = facts("/called", app="other")
    minutes = sorted({int((NOW - age) // 60) for age in ages})
    writer = Writer(database, worker("w2", "other"))
    writer.register([other], applied=0, now_us=round(NOW * 1e6))
    writer.write(Batch(1, tuple(delta(other.id, [900], minute=minute) for minute in minutes)))

    def ages_of(endpoint: int) -> list[int]:
        days = [key[1] for key in rows_in(database).buckets if key[0] == DAY and key[2] == endpoint]
        return sorted(int(NOW) // DAY - day for day in days)

    shorter = Pruner(database, Retention(7, app=APP), owner="w1", rest=no_rest)
    longer = Pruner(database, Retention(app="other"), owner="w2", rest=no_rest)
    for pruner in (shorter, longer):
        pruner.visit(now=NOW)
    assert ages_of(CALLED.id) == [0, 2]
    assert ages_of(other.id) == [0, 2, 10, 50]
    statuses = {(key[0], key[1]) for key in rows_in(database).statuses}
    assert len([day for day, endpoint in statuses if endpoint == other.id]) == 4

    Pruner(database, Retention(20, app="other"), owner="w2", rest=no_rest).visit(
        now=NOW + LEASE_SECONDS + 1
    )
    assert (ages_of(CALLED.id), ages_of(other.id)) == ([0, 2], [0, 2, 10])


class Work:
    """Stands for the time that statements take: so long for each row that one deletes.

    Attributes:
        seconds: That have passed.
        row_seconds: For each row.
        slices: The rows and the seconds of each deletion.
    """

    def __init__(self, database: Database, row_seconds: float) -> None:
        self.seconds = 0.0
        self.row_seconds = row_seconds
        self.chunks: list[tuple[int, float]] = []
        event.listen(engine_of(database), "after_cursor_execute", self._executed)

    def _executed(self, _connection: Any, cursor: Any, statement: str, *_others: Any) -> None:
        if statement.startswith("DELETE"):
            self.chunks.append((cursor.rowcount, cursor.rowcount * self.row_seconds))
            self.seconds += self.chunks[-1][1]

    def timer(self) -> float:
        return self.seconds

    def rest(self, seconds: float) -> bool:
        self.seconds += seconds
        return False


def no_rest(_seconds: float) -> bool:
    return False


def fill(database: Database, rows: int) -> None:
    """Minutes long past."""
    with database.write() as connection:
        connection.execute(
            sa.insert(BUCKET),
            [
                {**EMPTY, "tier": 60, "bucket": MINUTE - 9_000 + number // 50, "endpoint_id": end}
                for number in range(rows)
                for end in [number % 50]
            ],
        )


EMPTY = {column.name: b"" if column.name == "histogram" else 0 for column in BUCKET.columns}


@pytest.mark.unmeasured
@pytest.mark.parametrize("row_us", [1, 40, 400])
def test_no_slice_takes_longer_than_promised_however_slow_the_machine_becomes(
    sqlite_database: FlakyDatabase, row_us: int
) -> None:
    database = sqlite_database
    fill(database, 6_000)
    work = Work(database, row_us / 1e6)
    pruner = Pruner(database, Retention(), owner="w1", rest=work.rest, timer=work.timer)
    deleted = pruner.visit(now=NOW, budget_seconds=0.3)
    work.row_seconds *= 3
    for _ in range(1_000):
        deleted += pruner.visit(now=NOW, budget_seconds=0.3)
        if deleted == 6_000:
            break
    assert deleted == 6_000
    assert max(seconds for _, seconds in work.chunks) <= 0.050
    # And not one by one, where there is time for more.
    assert max(rows for rows, _ in work.chunks) >= min(1_000, 0.005 / (row_us / 1e6))


def test_a_visit_ends_when_its_time_is_over_and_the_next_one_goes_on(
    sqlite_database: FlakyDatabase,
) -> None:
    database = sqlite_database
    fill(database, 6_000)
    work = Work(database, 50e-6)
    pruner = Pruner(database, Retention(), owner="w1", rest=work.rest, timer=work.timer)
    visits: list[int] = []
    while sum(visits) < 6_000:
        begun = work.seconds
        visits.append(pruner.visit_when_due(now=NOW, budget_seconds=0.25))
        assert work.seconds - begun <= 0.25 + 0.050
        # The rest is for others, in each of them.
        assert visits[-1] * work.row_seconds < 0.4 * 0.25
    assert len(visits) > 3
    assert min(visits) > 0


def test_a_worker_asks_once_a_minute_whether_it_is_its_turn(
    sqlite_database: FlakyDatabase,
) -> None:
    seconds = [1_000.0]
    asked: list[tuple[float, float | None]] = []

    class Question(Pruner):
        def visit(self, *, now: float, budget_seconds: float | None = None) -> int:
            asked.append((seconds[0], budget_seconds))
            return super().visit(now=now, budget_seconds=budget_seconds)

    pruner = Question(
        sqlite_database, Retention(), owner="w1", rest=no_rest, timer=lambda: seconds[0]
    )
    for _ in range(7):
        assert pruner.visit_when_due(now=NOW, budget_seconds=0.5) == 0
        seconds[0] += 20
    assert asked == [(1_000, 0.5), (1_060, 0.5), (1_120, 0.5)]


def test_others_can_write_between_two_slices(database: Database) -> None:
    fill(database, 450)
    other = Database(engine_of(database).url)
    writer = Writer(other, worker("w2"))
    writer.register([CALLED], applied=0, now_us=round(NOW * 1e6))
    written: list[int] = []

    def rest(_seconds: float) -> bool:
        writer.write(Batch(len(written) + 1, (delta(CALLED.id, [900], minute=MINUTE),)))
        written.append(1)
        return False

    pruner = Pruner(database, Retention(), owner="w1", rest=rest, timer=lambda: 0.0)
    deleted = pruner.visit(now=NOW - 12_345.6, budget_seconds=1.0)
    assert deleted == 450
    assert len(written) > 1
    assert rows_in(database).buckets[60, MINUTE, CALLED.id][0] == len(written)
    other.close()


def test_a_worker_that_has_to_end_ends_its_visit(sqlite_database: FlakyDatabase) -> None:
    fill(sqlite_database, 1_000)
    pruner = Pruner(sqlite_database, Retention(), owner="w1", rest=lambda _seconds: True)
    assert pruner.visit(now=NOW, budget_seconds=60.0) == 100


def held_up(database: Database, owner: str) -> Pruner:
    """One that is in the middle of a deletion."""
    fill(database, 1_000)
    # By this clock a slice of a hundred rows takes as long as it should.
    seconds = itertools.count()
    pruner = Pruner(
        database,
        Retention(),
        owner=owner,
        rest=lambda _seconds: True,
        timer=lambda: next(seconds) / 100,
    )
    assert pruner.visit(now=NOW, budget_seconds=60.0) == 100
    return pruner


def test_a_deletion_that_takes_long_keeps_its_lease(sqlite_database: FlakyDatabase) -> None:
    first = held_up(sqlite_database, "w1")
    other = Pruner(sqlite_database, Retention(), owner="w2", rest=no_rest)
    for turn in range(1, 4):
        assert first.visit(now=NOW + turn * 100, budget_seconds=60.0) > 0
        assert other.visit(now=NOW + turn * 100 + 50) == 0
    # Nobody took it meanwhile.
    assert first.visit(now=NOW + 1_000, budget_seconds=60.0) > 0


def test_when_its_holder_is_silent_another_worker_takes_over(
    sqlite_database: FlakyDatabase,
) -> None:
    first = held_up(sqlite_database, "w1")
    other = Pruner(sqlite_database, Retention(), owner="w2", rest=no_rest)
    later = NOW + LEASE_SECONDS + 1
    assert other.visit(now=later) == 900
    fill(sqlite_database, 50)
    assert first.visit(now=later, budget_seconds=60.0) == 0
    assert first.visit(now=later, budget_seconds=60.0) == 0
    assert len(table_rows(sqlite_database, BUCKET)) == 50


def test_a_deletion_that_failed_begins_anew(sqlite_database: FlakyDatabase) -> None:
    pruner = held_up(sqlite_database, "w1")
    sqlite_database.down = True
    with pytest.raises(StorageError):
        pruner.visit(now=NOW, budget_seconds=60.0)
    sqlite_database.down = False
    assert pruner.visit(now=NOW) == 0
    assert pruner.visit(now=NOW + LEASE_SECONDS + 1) == 900


def test_a_lease_from_a_clock_that_is_wrong_holds_up_nobody(
    sqlite_database: FlakyDatabase,
) -> None:
    assert take_lease(sqlite_database, "prune", owner="w1", now=NOW + 400 * DAY)
    assert take_lease(sqlite_database, "prune", owner="w2", now=NOW)
    assert not take_lease(sqlite_database, "prune", owner="w3", now=NOW)


def test_what_a_deletion_did_can_be_had_from_the_log(
    sqlite_database: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "fastapi_lens")
    fill(sqlite_database, 100)
    pruner = Pruner(sqlite_database, Retention(), owner="w1", rest=no_rest)
    for turn in range(2):
        pruner.visit(now=NOW + turn * 1_000)
    (record,) = caplog.records
    assert "deleted 100 rows past their retention; the longest of 1 chunks" in record.getMessage()


def test_one_of_many_processes_gets_the_lease(database: Database, together: Together) -> None:
    url = engine_of(database).url.render_as_string(hide_password=False)
    won = together(win_lease, [(url, f"w{number}", NOW) for number in range(6)])
    assert sorted(won) == [False] * 5 + [True]
    (lease,) = table_rows(database, LEASE)
    assert (lease.owner, lease.expires_at) == (f"w{won.index(True)}", int(NOW) + LEASE_SECONDS)


def test_a_lease_that_has_run_out_goes_to_whoever_asks_next(sqlite_database: Database) -> None:
    database = sqlite_database
    assert take_lease(database, "prune", owner="w1", now=NOW)
    assert take_lease(database, "other", owner="w2", now=NOW)
    assert not take_lease(database, "prune", owner="w2", now=NOW)
    assert not take_lease(database, "prune", owner="w1", now=NOW + LEASE_SECONDS)
    assert take_lease(database, "prune", owner="w2", now=NOW + LEASE_SECONDS + 1)


def test_a_database_without_tables_is_a_storage_error() -> None:
    database = Database("sqlite://")
    with pytest.raises(StorageError):
        take_lease(database, "prune", owner="w1", now=NOW)
    with pytest.raises(StorageError):
        prune(database, Retention(app=APP), now=NOW)
    database.close()


def test_weeks_that_somebody_else_has_deleted_are_added_to_no_baseline(database: Database) -> None:
    write(database, history([500 * DAY]))
    before = rows_in(database)
    with database.write() as connection:
        add_to_baselines(database, connection, sa.false())
    assert rows_in(database) == before
