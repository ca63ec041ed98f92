import random
from pathlib import Path

import pytest

from fastapi_lens.errors import StorageError
from fastapi_lens.storage import retention
from fastapi_lens.storage.batches import Batch, Delta
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.retention import LEASE_SECONDS, kept_seconds, prune, take_lease
from fastapi_lens.storage.tables import ENDPOINT, LEASE
from fastapi_lens.storage.writer import Writer
from tests.storage.conftest import Together
from tests.storage.helpers import (
    MINUTE,
    Rows,
    delta,
    facts,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from tests.storage.processes import win_lease

HOUR, DAY, WEEK = 3_600, 86_400, 604_800
NOW = MINUTE * 60 + 12_345.6
CALLED, NEVER_CALLED = facts("/called"), facts("/never")


def history(ages: list[float]) -> list[Delta]:
    """A call at each age in seconds."""
    minutes = sorted({int((NOW - age) // 60) for age in ages})
    return [delta(CALLED.id, [500 + minute % 7], minute=minute) for minute in minutes]


def write(database: Database, deltas: list[Delta]) -> None:
    writer = Writer(database, worker())
    writer.register([CALLED, NEVER_CALLED], applied=0, now_us=1)
    for seq, start in enumerate(range(0, len(deltas), 50), 1):
        writer.write(Batch(seq, tuple(deltas[start : start + 50])))


def not_past(rows: Rows, kept: dict[int, float]) -> Rows:
    """The rows whose end is not yet longer ago than their tier is kept."""

    def stays(tier: int, bucket: int) -> bool:
        return (bucket + 1) * tier > int(NOW) - kept[tier]

    return Rows(
        buckets={key: sums for key, sums in rows.buckets.items() if stays(key[0], key[1])},
        latencies={key: sums for key, sums in rows.latencies.items() if stays(key[0], key[1])},
        statuses=type(rows.statuses)(
            {key: calls for key, calls in rows.statuses.items() if stays(DAY, key[0])}
        ),
        endpoints=rows.endpoints,
    )


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
        gone = len(before.buckets) - len(expected.buckets)
        gone += len(before.statuses) - len(expected.statuses)
        assert prune(database, now=NOW, ttl_days=ttl_days) == gone > 0
        assert prune(database, now=NOW, ttl_days=ttl_days) == 0
        before = rows_in(database)
        assert before == expected


def test_endpoints_outlive_all_retention(sqlite_database: Database) -> None:
    database = sqlite_database
    write(database, history([500 * DAY, 900 * DAY]))
    before = table_rows(database, ENDPOINT)
    assert sorted(row.total_calls for row in before) == [0, 2]
    prune(database, now=NOW, ttl_days=1)
    assert rows_in(database).buckets == {}
    assert table_rows(database, ENDPOINT) == before


@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_is_never_kept_for_longer_than_the_configured_days(tier: Tier) -> None:
    own = kept_seconds(tier, None)
    for days in (1, 20, 36, 500):
        kept = kept_seconds(tier, days)
        assert kept == (days * DAY if own is None else min(own, days * DAY))


def test_a_file_gets_smaller_when_rows_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(database)
    write(database, [delta(CALLED.id, range(1, 400, 7), minute=MINUTE - n) for n in range(1_500)])

    def pages() -> tuple[int, int]:
        with database.read() as connection:
            count, free = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "freelist_count")
            )
        return count, free

    before, _ = pages()
    # In slices, so that nobody waits for long.
    monkeypatch.setattr(retention, "_PAGES_PER_SLICE", 20)
    prune(database, now=NOW + 10 * DAY, ttl_days=None)
    after, free = pages()
    assert after == before - 20
    assert free > 0
    monkeypatch.undo()
    prune(database, now=NOW + 50 * DAY, ttl_days=None)
    after, free = pages()
    assert after < before / 3
    assert free == 0
    database.close()


def test_one_of_many_processes_gets_the_lease(database: Database, together: Together) -> None:
    url = database._url.render_as_string(hide_password=False)
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
        prune(database, now=NOW, ttl_days=None)
    database.close()
