from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from fastapi_lens.errors import StorageError
from fastapi_lens.reporting import listed
from fastapi_lens.reporting.listed import LOOKING_SECONDS
from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.queries import GONE_SECONDS
from fastapi_lens.reporting.sums import MAX_WINDOWS, Sums
from fastapi_lens.storage.batches import Batch, EndpointFacts
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.tables import BUCKET, WORKER
from tests.reporting.recount import NOW, reader_of
from tests.storage.helpers import FlakyDatabase, delta, facts, worker
from tests.support.writing import Writer

pytestmark = pytest.mark.unit

WEEK, MONTH = Window.of_days(7), Window.of_days(30)
ORDERS = facts("/v1/orders")


class Watched:
    """A reader of what one worker writes, and the questions that it asks the database."""

    def __init__(self, database: Database, *, workers: int = 1) -> None:
        migrate(database)
        self.database = database
        self.reader = reader_of(database, worker="worker 0")
        self.writers = [Writer(database, worker(f"worker {n}")) for n in range(workers)]
        self._seq = count(1)
        self.register(ORDERS)

    def register(self, *endpoints: EndpointFacts) -> None:
        for writer in self.writers:
            writer.register(endpoints, applied=0, now_us=round(NOW * 1_000_000))

    def write(self) -> None:
        one = delta(ORDERS.id, (1_000,), minute=int(NOW) // 60)
        self.writers[0].write(Batch(next(self._seq), (one,)))

    def calls(self, window: Window = WEEK, *, now: float = NOW) -> int:
        return sum(one.usage.calls for one in self.reader.endpoints(window=window, now=now))

    @contextmanager
    def reading(self) -> Iterator[list[str]]:
        """The questions about what endpoints did that are asked meanwhile."""
        found: list[str] = []

        @event.listens_for(self.database._opened(), "before_cursor_execute")
        def note(_: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if "lens_bucket" in statement:
                found.append(statement)

        yield found
        event.remove(self.database._opened(), "before_cursor_execute", note)


@pytest.fixture
def watched(memory: Database) -> Watched:
    return Watched(memory)


def test_while_somebody_looks_what_was_written_is_read_before_they_ask_again(
    watched: Watched,
) -> None:
    assert (watched.calls(WEEK), watched.calls(MONTH)) == (0, 0)
    watched.write()
    watched.reader.look_ahead(NOW + 5)
    with watched.reading() as read:
        assert (watched.calls(WEEK, now=NOW + 5), watched.calls(MONTH, now=NOW + 5)) == (1, 1)
    assert read == []


def test_while_nobody_looks_nothing_is_read(watched: Watched) -> None:
    watched.write()
    with watched.reading() as read:
        watched.reader.look_ahead(NOW)
    assert read == []
    watched.calls()
    watched.write()
    with watched.reading() as read:
        watched.reader.look_ahead(NOW + LOOKING_SECONDS)
    assert read == []


def test_where_others_write_as_well_it_would_be_in_vain(memory: Database) -> None:
    watched = Watched(memory, workers=2)
    watched.calls()
    watched.write()
    with watched.reading() as read:
        watched.reader.look_ahead(NOW)
    assert read == []
    assert watched.calls() == 1


@pytest.mark.parametrize(
    ("mine", "writers", "alone"),
    [("worker 0", 1, True), ("", 1, False), ("worker 0", 2, False), ("", 0, True)],
)
def test_it_is_known_whether_somebody_else_writes(
    memory: Database, *, mine: str, writers: int, alone: bool
) -> None:
    Watched(memory, workers=writers)
    reader = reader_of(memory, worker=mine)
    reader.endpoints(window=WEEK, now=NOW)
    assert reader.shared.alone is alone


@pytest.mark.parametrize(("silent_seconds", "alone"), [(GONE_SECONDS, False), (301, True)])
def test_a_worker_that_was_killed_where_nobody_could_tell_writes_no_more(
    memory: Database, silent_seconds: int, *, alone: bool
) -> None:
    Watched(memory, workers=2)
    with memory.write() as connection:
        seen_at = sa.case((WORKER.c.id == "worker 1", round(NOW - silent_seconds) * 1_000_000))
        connection.execute(
            sa.update(WORKER).values(seen_at=sa.func.coalesce(seen_at, round(NOW) * 1_000_000))
        )
    reader = reader_of(memory, worker="worker 0")
    reader.endpoints(window=WEEK, now=NOW)
    assert reader.shared.alone is alone


def test_looking_ahead_never_fails_and_who_asks_is_told(tmp_path: Path) -> None:
    database = FlakyDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    watched = Watched(database)
    watched.calls()
    database.down = True
    watched.reader.look_ahead(NOW)
    with pytest.raises(StorageError, match="connection refused"):
        watched.calls()
    database.down = False
    assert watched.calls() == 0
    database.close()


def test_windows_that_were_asked_for_long_ago_are_not_read_ahead(watched: Watched) -> None:
    days = range(1, 9)
    for number in days:
        watched.calls(Window.of_days(number))
    watched.write()
    with watched.reading() as read:
        watched.reader.look_ahead(NOW)
    assert sum("sum(" in one for one in read) == MAX_WINDOWS < len(days)


def test_an_error_that_nobody_foresaw_holds_up_no_flush(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched.calls()
    watched.write()

    def fail(*_: Any, **__: Any) -> None:
        raise LookupError("unforeseen")

    monkeypatch.setattr(Sums, "all", fail)
    watched.reader.look_ahead(NOW)
    assert "failed to look ahead" in caplog.text
    assert "unforeseen" in caplog.text
    with pytest.raises(LookupError, match="unforeseen"):
        watched.calls()


def test_of_very_many_endpoints_fewer_windows_are_remembered(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "MAX_MADE", 3)
    watched.register(*(facts(f"/{number}") for number in range(2)))
    for days in (7, 30):
        watched.calls(Window.of_days(days))
    with watched.reading() as read:
        watched.write()
        watched.reader.look_ahead(NOW)
    assert sum("sum(" in one for one in read) == 1


def test_told_to_forget_it_reads_what_nobody_has_written(watched: Watched) -> None:
    watched.write()
    assert watched.calls() == 1
    with watched.database.write() as connection:
        connection.execute(sa.delete(BUCKET))
    assert watched.calls() == 1
    watched.reader.forget()
    assert watched.calls() == 0
