import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.support.rows import APP, MINUTE, delta, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention import vacuum
from fastapi_lens.storage.retention.chunks import AdaptiveBatchSize
from fastapi_lens.storage.retention.pruner import Pruner, Retention, prune
from fastapi_lens.storage.retention.vacuum import keeps_its_size, shorten_log, space_chunks
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import Batch

DAY = 86_400
NOW = MINUTE * 60
CALLED = facts("/called")


@pytest.fixture
def few_spare(monkeypatch: pytest.MonkeyPatch) -> int:
    """So that a small file does."""
    monkeypatch.setattr(vacuum, "SPARE_PAGES", 4)
    return 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lens.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{file}")
    yield made
    made.close()


def fill(database: Database, minutes: int) -> None:
    migrate(database)
    writer = Writer(database, worker())
    writer.register([CALLED], applied=0, now_us=NOW * 1_000_000)
    deltas = [delta(CALLED.id, range(1, 400, 7), minute=MINUTE - n) for n in range(minutes)]
    writer.write(Batch(1, tuple(deltas)))


def pages(database: Database) -> tuple[int, int]:
    with database.read() as connection:
        count, free = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count")
        )
    return count, free


@pytest.mark.unmeasured
def test_a_file_gets_smaller_when_rows_go(database: Database, file: Path, few_spare: int) -> None:
    fill(database, 4_000)
    before, free = pages(database)
    assert free < few_spare
    prune(database, Retention(app=APP), now=NOW + 50 * DAY)
    after, free = pages(database)
    assert after < before / 2
    assert free == few_spare
    database.close()
    assert file.stat().st_size == after * 4_096


@pytest.mark.unmeasured
def test_space_is_given_back_in_slices_like_rows(database: Database, few_spare: int) -> None:
    fill(database, 2_000)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM lens_bucket")
    _, free = pages(database)
    seconds = iter(range(1_000))
    batch_size = AdaptiveBatchSize(lambda: next(seconds) * 0.00625)
    batch_size.size = 16
    left = [free]
    for done in space_chunks(database, batch_size):
        assert done.rows == 0
        left.append(pages(database)[1])
    # Each took 6.25 ms by this clock: a little too long.
    assert [left[0] - left[1], left[1] - left[2]] == [16, 12]
    assert left[-1] == few_spare


def test_a_file_with_next_to_nothing_free_in_it_is_left_alone(database: Database) -> None:
    fill(database, 300)
    before, _ = pages(database)
    prune(database, Retention(app=APP), now=NOW + 50 * DAY)
    after, free = pages(database)
    assert after == before
    assert free > 0


def test_a_file_that_cannot_be_made_smaller_is_named_once(
    database: Database, file: Path, few_spare: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fastapi_lens")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE host (id INTEGER)")
    fill(database, 2_000)
    pruner = Pruner(database, Retention(), owner="w1", rest=lambda _seconds: False)
    assert not keeps_its_size(database)
    for turn in range(1, 4):
        pruner.visit(now=NOW + turn * 50 * DAY)
    (record,) = caplog.records
    assert "cannot shrink its file, because another program created it" in record.getMessage()
    assert keeps_its_size(database)


def test_a_server_uses_its_free_space_for_what_comes(postgres_url: str) -> None:
    database = Database(postgres_url)
    assert list(space_chunks(database, AdaptiveBatchSize())) == []
    assert not keeps_its_size(database)
    database.close()


def log_bytes(file: Path) -> int:
    return file.with_name("lens.db-wal").stat().st_size


def test_a_long_log_is_cut_but_no_short_one(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, 50)
    before = log_bytes(file)
    shorten_log(database)
    assert log_bytes(file) == before > 0
    monkeypatch.setattr(vacuum, "LONG_LOG_BYTES", 10_000)
    shorten_log(database)
    assert log_bytes(file) == 0
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5_000


def test_a_log_that_somebody_reads_is_not_waited_for(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, 50)
    monkeypatch.setattr(vacuum, "LONG_LOG_BYTES", 10_000)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM lens_bucket").fetchone()
        before = log_bytes(file)
        shorten_log(database)
        assert log_bytes(file) == before
    shorten_log(database)
    assert log_bytes(file) == 0


def test_a_database_in_memory_has_no_log() -> None:
    database = Database("sqlite://")
    migrate(database)
    shorten_log(database)
    database.close()
