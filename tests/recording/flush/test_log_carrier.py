"""The log on its way to the database: exactly once, in parts, and never in the way of counts."""

import logging
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.rows import rows_in, table_rows, worker
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.errors import StorageError, UnavailableError
from fastapi_lens.recording.flush.log_carrier import MAX_TRIES, LogCarrier
from fastapi_lens.recording.log.request_log import Ended
from fastapi_lens.storage.schema.tables import EXCEPTION, REQUEST, WORKER
from fastapi_lens.storage.writing.drain import drain_all
from fastapi_lens.storage.writing.log_writer import LogBatch, LogWriter
from tests.recording.rig import Rig, opened

SETTINGS = LensConfig(
    db_path=":memory:", log_sample_rate=1.0, log_errors_per_minute=1_000, log_slowest=0
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'lens.db'}"


def fail(rig: Rig, times: int = 1, path: str = "/v1/orders") -> None:
    """Requests that end with an exception."""
    rig.recorder.log.apply(SETTINGS)
    for _ in range(times):
        series = rig.recorder.series("GET", path, 500)
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        rig.recorder.log.take(series, Ended(scope, 500, 1, 1_000, ValueError("why")))


def in_the_log(rig: Rig) -> tuple[int, int]:
    """Requests, and exceptions counted."""
    counted = sum(row.calls for row in table_rows(rig.database, EXCEPTION))
    return len(table_rows(rig.database, REQUEST)), counted


def test_each_exception_is_counted_once_whatever_acknowledgement_is_lost(url: str) -> None:
    chance = random.Random(5)
    with opened(url, max_batch_size=4) as rig:
        rig.database.loses = lambda: chance.random() < 0.3
        for _ in range(30):
            fail(rig, 3)
            rig.call()
            rig.flusher.flush()
        rig.database.loses = lambda: False
        while not rig.flusher.flush():
            pass

        assert in_the_log(rig) == (90, 90)
        drain_all(rig.database)
        assert rig.rows == rig.expected


def test_a_database_that_is_down_is_waited_for_and_what_waits_is_written_then(url: str) -> None:
    with opened(url) as rig:
        rig.flusher.flush()
        rig.database.down = True
        fail(rig, 2)
        assert not rig.flusher.flush()
        rig.database.down = False

        assert rig.flusher.flush()
        assert in_the_log(rig) == (2, 2)


def test_a_transaction_changes_no_more_rows_than_the_settings_say(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[LogBatch] = []
    write = LogWriter.write

    def noted(self: LogWriter, batch: LogBatch) -> None:
        written.append(batch)
        write(self, batch)

    monkeypatch.setattr(LogWriter, "write", noted)
    with opened(url, max_batch_size=4) as rig:
        fail(rig, 5)
        fail(rig, 2, "/v1/never")
        rig.flusher.flush()

        # A kind of exceptions has a row of its own, one of a minute and one of an hour.
        assert [(one.seq, len(one.exceptions), len(one.requests)) for one in written] == [
            *((1, 1, 0), (2, 1, 0), (3, 0, 3), (4, 0, 3), (5, 0, 1))
        ]
        assert in_the_log(rig) == (7, 7)


def test_what_the_log_refuses_again_and_again_is_given_up_and_holds_up_no_counts(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: LogWriter, _batch: Any) -> None:
        raise StorageError("out of range")

    with opened(url) as rig:
        with monkeypatch.context() as patched:
            patched.setattr(LogWriter, "write", refuse)
            fail(rig, 2)
            for _ in range(MAX_TRIES):
                rig.call()
                assert not rig.flusher.flush()
        assert "drops 2 requests and 2 exceptions" in caplog.text
        assert rows_in(rig.database) == rig.expected

        fail(rig)
        assert rig.flusher.flush()
        assert in_the_log(rig) == (1, 1)


def test_nothing_is_given_up_while_the_database_is_only_locked(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wait(_self: LogWriter, _batch: Any) -> None:
        raise UnavailableError("canceling statement due to lock timeout")

    with opened(url) as rig:
        fail(rig, 2)
        with monkeypatch.context() as patched:
            patched.setattr(LogWriter, "write", wait)
            for _ in range(MAX_TRIES + 1):
                assert not rig.flusher.flush()
        assert rig.flusher.flush()
        assert in_the_log(rig) == (2, 2)
    assert "drops" not in caplog.text


def test_a_database_that_has_forgotten_the_worker_gets_what_comes_next(url: str) -> None:
    with opened(url) as rig:
        fail(rig)
        assert rig.flusher.flush()
        with rig.database.write() as connection:
            connection.execute(WORKER.delete())
        fail(rig)
        assert not rig.flusher.flush()

        assert rig.flusher.flush()
        assert in_the_log(rig) == (2, 2)


def test_a_worker_that_has_only_a_log_writes_it_when_it_ends(url: str) -> None:
    with opened(url) as rig:
        fail(rig)
        assert rig.flusher.stop()
        assert in_the_log(rig) == (1, 1)


def test_nothing_waits_in_a_carrier_that_has_written_everything(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(url) as rig:
        rig.flusher.flush()
        carrier = LogCarrier(
            rig.recorder, rig.database, worker(), max_rows=100, corrected=lambda at: at
        )
        assert not carrier
        fail(rig)
        assert carrier
        carrier.carry()
        assert not carrier
        assert "ValueError" not in caplog.text
