"""Calls of removed endpoints on their way to the database: exactly once, and on the right day."""

import random
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, table_rows, worker
from fastapi_lens.errors import StorageError
from fastapi_lens.recording.flush import gone_calls
from fastapi_lens.recording.flush.gone_calls import LOOK_SECONDS, GoneCalls
from fastapi_lens.recording.flush.log_carrier import MAX_TRIES
from fastapi_lens.recording.log.unrouted_calls import MOST_CALLS
from fastapi_lens.storage.records import removed_endpoints
from fastapi_lens.storage.schema.tables import ENDPOINT, GONE
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.log_writer import CountedGone, LogBatch, LogWriter
from fastapi_lens.storage.writing.registrar import Registrar
from tests.recording.rig import NEVER, ORDER, ORDERS, START, Rig, opened

DAY = 86_400
TODAY = int(START // DAY)
SHOP, SCANNER = b"shop/1.2", b"masscan/1.3"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(gone_calls, "LOOK_SECONDS", 0)
    return f"sqlite:///{tmp_path / 'lens.db'}"


def remove(rig: Rig, *endpoints: EndpointFacts, at: int = 1) -> None:
    """Endpoints that only an earlier worker had; the flusher learns of their removal."""
    rig.endpoints = [endpoint for endpoint in rig.endpoints if endpoint not in endpoints]
    assert rig.flusher.flush()
    Registrar(rig.database, worker("earlier")).register(endpoints, applied=0, now_us=1)
    with rig.database.write() as connection:
        ids = [endpoint.id for endpoint in endpoints]
        removed = sa.update(ENDPOINT).where(ENDPOINT.c.id.in_(ids))
        assert connection.execute(removed.values(removed_at=at)).rowcount == len(ids)
    assert rig.flusher.flush()


def ask(rig: Rig, path: str = "/v1/orders/7", agent: bytes = SHOP) -> None:
    """A call that no route matched."""
    unrouted = rig.recorder.unrouted
    if unrouted.has_room:
        scope = {"type": "http", "method": "GET", "headers": [(b"user-agent", agent)]}
        unrouted.note(scope, path)


def gone_in(rig: Rig) -> dict[tuple[int, int, int], int]:
    """Calls of removed endpoints by day, endpoint and noise."""
    return {
        (row.day, row.endpoint_id, row.is_noise): row.calls
        for row in table_rows(rig.database, GONE)
    }


def test_each_call_is_counted_once_whatever_acknowledgement_is_lost(url: str) -> None:
    chance, expected = random.Random(5), Counter[tuple[int, int, int]]()
    with opened(url, max_batch_size=3) as rig:
        remove(rig, ORDER, NEVER)
        rig.database.loses = lambda: chance.random() < 0.3
        for _ in range(40):
            rig.now += 3_600
            for endpoint, path in ((ORDER, "/v1/orders/7"), (NEVER, "/v1/never")):
                for agent, is_noise in ((SHOP, 0), (SCANNER, 1)):
                    calls = chance.randrange(3)
                    for _ in range(calls):
                        ask(rig, path, agent)
                    expected[int(rig.now // DAY), endpoint.id, is_noise] += calls
            rig.flusher.flush()
        rig.database.loses = lambda: False
        while not rig.flusher.flush():
            pass

        assert gone_in(rig) == +expected


def test_calls_wait_for_a_database_that_is_down(url: str) -> None:
    with opened(url) as rig:
        remove(rig, ORDER)
        rig.database.down = True
        for _ in range(MOST_CALLS + 5):
            ask(rig)
        assert not rig.flusher.flush()
        rig.database.down = False

        assert rig.flusher.flush()
        assert gone_in(rig) == {(TODAY, ORDER.id, 0): MOST_CALLS}


def test_a_worker_that_ends_writes_them(url: str) -> None:
    with opened(url) as rig:
        remove(rig, ORDER)
        ask(rig)
        assert rig.flusher.stop()
        ask(rig)
        assert rig.flusher.stop()
        assert gone_in(rig) == {(TODAY, ORDER.id, 0): 2}


def test_a_clock_that_was_wrong_books_them_on_the_right_day_once_it_is_set(url: str) -> None:
    with opened(url) as rig:
        remove(rig, ORDER)
        rig.now = 100.0  # 1970
        ask(rig)
        assert not rig.flusher.flush()
        rig.now = START + 3_600
        ask(rig)
        assert rig.flusher.flush()
        assert gone_in(rig) == {(TODAY, ORDER.id, 0): 2}


def test_what_the_database_refuses_again_and_again_is_dropped_and_holds_up_no_counts(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: LogWriter, _batch: LogBatch) -> None:
        raise StorageError("out of range")

    with opened(url) as rig:
        remove(rig, ORDER)
        with monkeypatch.context() as patched:
            patched.setattr(LogWriter, "write", refuse)
            ask(rig)
            for _ in range(MAX_TRIES):
                rig.call(ORDERS.path)
                assert not rig.flusher.flush()
        assert "and 1 calls of removed endpoints" in caplog.text
        assert rig.rows == rig.expected

        ask(rig)
        assert rig.flusher.flush()
        assert gone_in(rig) == {(TODAY, ORDER.id, 0): 1}


def test_the_latest_removed_endpoints_are_those_whose_calls_are_counted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removed_endpoints, "MOST_REMOVED", 1)
    with opened(url) as rig:
        remove(rig, NEVER, at=2)
        remove(rig, ORDER, at=1)
        for path in ("/v1/never", "/v1/orders/7"):
            ask(rig, path)
        assert rig.flusher.flush()
        assert gone_in(rig) == {(TODAY, NEVER.id, 0): 1}


def test_another_app_of_the_database_takes_no_calls(url: str) -> None:
    with opened(url) as rig:
        remove(rig, ORDER)
        with rig.database.write() as connection:
            connection.execute(sa.update(ENDPOINT).values(app="billing"))
        rig.flusher.flush()
        assert not rig.recorder.unrouted.has_room


def test_removed_endpoints_are_read_twice_a_minute_and_only_then(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, reads = [0.0], list[float]()
    with opened(url) as rig:
        remove(rig, ORDER)
        monkeypatch.undo()
        rig.database.has_read = lambda: reads.append(seconds[0])
        gone = GoneCalls(
            rig.recorder.unrouted,
            rig.database,
            APP,
            corrected=lambda at: at,
            noise=("shop",),
            timer=lambda: seconds[0],
        )
        ask(rig)
        assert gone.take() == [CountedGone(TODAY, ORDER.id, is_noise=True, calls=1)]
        for seconds[0] in range(0, 61, 5):
            assert gone.take() == []
        assert reads == [0.0, LOOK_SECONDS, 2 * LOOK_SECONDS]


def test_nothing_is_kept_once_no_endpoint_is_removed_any_more(url: str) -> None:
    with opened(url) as rig:
        remove(rig, ORDER)
        assert rig.recorder.unrouted.has_room
        remove(rig, ORDER, at=0)
        assert not rig.recorder.unrouted.has_room


def test_a_damaged_row_of_an_endpoint_holds_up_nothing(url: str) -> None:
    with opened(url) as rig:
        remove(rig, ORDER, NEVER)
        with rig.database.write() as connection:
            damaged = sa.update(ENDPOINT).where(ENDPOINT.c.id == NEVER.id)
            connection.execute(damaged.values(path=sa.text("x'ff'")))
        for path in ("/v1/never", "/v1/orders/7"):
            ask(rig, path)
        assert rig.flusher.flush()
        assert gone_in(rig) == {(TODAY, ORDER.id, 0): 1}
