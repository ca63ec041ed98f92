"""The rows of the request log on each database."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import FlakyDatabase, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.errors import DeadlockError, RefusedError, SchemaTooNewError
from fastapi_lens.storage.coordination.sequence import TRIES
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import data_version
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.schema.tables import EXCEPTION, EXCEPTION_COUNT, GONE, META, REQUEST
from fastapi_lens.storage.writing.log_writer import (
    CountedException,
    CountedGone,
    LogBatch,
    LoggedRequest,
    LogWriter,
    exception_id,
)
from tests.support.statements import listening

AT = 1_773_014_400_000_000
MINUTE = AT // 60_000_000


def request(second: int = 0, **facts: Any) -> LoggedRequest:
    values: dict[str, Any] = {
        "id": (AT + second * 1_000_000) << REQUEST_ID_BITS,
        "endpoint_id": 7,
        "method": "GET",
        "path": "/orders/7",
        "query": "a&b",
        "status": 200,
        "duration_us": 1_500,
        "reason": "sample",
        "client": "",
        "agent": "curl",
        "exception_id": 0,
    }
    return LoggedRequest(**{**values, **facts})


def exception(second: int = 0, **facts: Any) -> CountedException:
    values: dict[str, Any] = {
        "id": exception_id(7, "ValueError", "app.py:1 in f"),
        "endpoint_id": 7,
        "type": "ValueError",
        "message": f"at {second}",
        "place": "app.py:1 in f",
        "traceback": f"trace {second}",
        "calls": 1,
        "first_at": AT + second * 1_000_000,
        "last_at": AT + second * 1_000_000,
    }
    values |= facts
    return CountedException(**{"minutes": ((MINUTE + second // 60, values["calls"]),), **values})


def counted(database: Database) -> dict[tuple[int, int], int]:
    """Exceptions by tier and begin in seconds after the first."""
    rows = table_rows(database, EXCEPTION_COUNT)
    return {(row.tier, row.bucket * row.tier - AT // 1_000_000): row.calls for row in rows}


def writer_of(database: Database, name: str = "w1") -> LogWriter:
    Writer(database, worker(name)).register([], applied=0, now_us=AT)
    return LogWriter(database, worker(name))


def test_a_batch_is_applied_once_however_often_it_is_written(database: Database) -> None:
    writer = writer_of(database)
    batch = LogBatch(1, (request(1), request(2)), (exception(1, calls=3),))
    for _ in range(3):
        writer.write(batch)
    writer.write(LogBatch(2, (request(2), request(3)), (exception(9, calls=2),)))

    assert len(table_rows(database, REQUEST)) == 3
    (row,) = table_rows(database, EXCEPTION)
    assert (row.calls, row.message, row.traceback) == (5, "at 9", "trace 9")
    assert (row.first_at, row.last_at) == (AT + 1_000_000, AT + 9_000_000)
    assert counted(database) == {(60, 0): 5, (3_600, 0): 5}


def test_exceptions_are_counted_by_minute_and_hour(database: Database) -> None:
    minutes = ((MINUTE, 1), (MINUTE + 59, 2), (MINUTE + 60, 4))
    writer_of(database).write(LogBatch(1, (), (exception(calls=7, minutes=minutes),)))
    other = writer_of(database, "w2")
    other.write(LogBatch(1, (), (exception(60, calls=8, minutes=((MINUTE + 60, 8),)),)))
    assert counted(database) == {
        (60, 0): 1,
        (60, 59 * 60): 2,
        (60, 3_600): 12,
        (3_600, 0): 3,
        (3_600, 3_600): 12,
    }


def test_calls_of_removed_endpoints_of_several_workers_are_added_once_each(
    database: Database,
) -> None:
    counted = [CountedGone(20_000, number, is_noise=False, calls=number) for number in (3, 1, 2)]
    noise = CountedGone(20_000, 1, is_noise=True, calls=5)
    first, second = writer_of(database), writer_of(database, "w2")
    for _ in range(2):
        first.write(LogBatch(1, (), (), (*counted, noise)))
        second.write(LogBatch(1, (), (), (noise,)))

    found = [tuple(row) for row in table_rows(database, GONE)]
    assert sorted(found) == [
        *((20_000, 1, 0, 1), (20_000, 1, 1, 10), (20_000, 2, 0, 2), (20_000, 3, 0, 3)),
    ]


def test_calls_of_removed_endpoints_change_what_pages_show(database: Database) -> None:
    writer, versions = writer_of(database), list[str]()
    for seq in (1, 2):
        writer.write(LogBatch(seq, (), (), (CountedGone(20_000, 1, is_noise=False, calls=1),)))
        with database.read() as connection:
            versions.append(connection.execute(sa.select(data_version())).scalar_one())
    assert versions[0] != versions[1]


def test_an_older_message_of_another_worker_replaces_no_newer_one(database: Database) -> None:
    writer_of(database).write(LogBatch(1, (), (exception(5),)))
    writer_of(database, "w2").write(LogBatch(1, (), (exception(2),)))

    (row,) = table_rows(database, EXCEPTION)
    assert (row.calls, row.message) == (2, "at 5")
    assert (row.first_at, row.last_at) == (AT + 2_000_000, AT + 5_000_000)


def test_what_a_database_cannot_hold_is_replaced(database: Database) -> None:
    odd = "/\0\ud800" + "\N{PILE OF POO}" * 2_000
    row = request(path=odd, query=odd, exception_id=exception_id(1, odd, odd))
    writer_of(database).write(LogBatch(1, (row,), (exception(message=odd, type=odd, place=odd),)))

    (found,) = table_rows(database, REQUEST)
    assert found.path.startswith("/\N{REPLACEMENT CHARACTER}?\N{PILE OF POO}")
    assert len(table_rows(database, EXCEPTION)[0].message) == 2_003


def test_a_deadlock_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = writer_of(database)
    tries: list[int] = []
    write = database.write

    def deadlocked() -> AbstractContextManager[sa.Connection]:
        tries.append(1)
        if len(tries) < TRIES:
            raise DeadlockError("of two")
        return write()

    monkeypatch.setattr(database, "write", deadlocked)
    writer.write(LogBatch(1, (request(),), ()))

    assert len(tries) == TRIES
    assert len(table_rows(database, REQUEST)) == 1


def test_nothing_is_written_into_the_tables_of_a_newer_release(database: Database) -> None:
    writer = writer_of(database)
    with database.write() as connection:
        connection.execute(
            sa.update(META).where(META.c.name == "schema_version").values(value="99")
        )
    with pytest.raises(SchemaTooNewError):
        writer.write(LogBatch(1, (request(),), ()))
    assert table_rows(database, REQUEST) == []


def test_the_id_of_a_kind_of_exception_depends_on_all_that_it_is_made_of() -> None:
    kinds = [(7, "A", "b"), (8, "A", "b"), (7, "B", "b"), (7, "A", "c"), (7, "A\0", "b")]
    assert len({exception_id(*kind) for kind in kinds}) == len(kinds)
    assert all(0 < exception_id(*kind) < 1 << 63 for kind in kinds)


def test_a_batch_of_exceptions_adds_each_of_them(database: Database) -> None:
    kinds = [replace(exception(), id=number, place=str(number)) for number in (3, 1, 2)]
    writer_of(database).write(LogBatch(1, (), tuple(kinds)))
    assert sorted((row.id, row.calls) for row in table_rows(database, EXCEPTION)) == [
        *((1, 1), (2, 1), (3, 1))
    ]


TOO_LARGE = 1 << 63
"""More than a column holds. MariaDB's INSERT IGNORE makes it smaller instead."""


def test_a_row_that_the_database_refuses_stops_no_other(
    sqlite_database: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    write_with_refused_rows(sqlite_database, caplog)


def test_a_row_that_postgresql_refuses_stops_no_other(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(postgres_url)
    migrate(database)
    write_with_refused_rows(database, caplog)
    database.close()


def write_with_refused_rows(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    writer = writer_of(database)
    requests = (request(1), request(2, duration_us=TOO_LARGE, path="/odd\n"), request(3))
    kinds = (
        exception(1),
        replace(exception(2), id=2, place="b"),
        exception(3, id=3, calls=TOO_LARGE),
    )
    gone = [
        CountedGone(20_000, number, is_noise=False, calls=calls)
        for number, calls in ((1, 1), (2, TOO_LARGE), (3, 1))
    ]
    for _ in range(2):
        writer.write(LogBatch(1, requests, kinds, tuple(gone)))

    assert [row.path for row in table_rows(database, REQUEST)] == ["/orders/7"] * 2
    # One without calls is shown nowhere.
    assert sorted(row.calls for row in table_rows(database, EXCEPTION)) == [0, 1, 1]
    (record,) = (one for one in caplog.records if one.name == "fastapi_lens")
    assert sorted(row.calls for row in table_rows(database, GONE)) == [0, 1, 1]
    # With the two counts of the refused exception.
    assert "skipped 5 rows of the request log" in record.getMessage()
    assert r"GET /odd\n: " in record.getMessage()


def test_a_refusal_that_is_over_when_rows_are_tried_one_by_one_is_not_logged(
    sqlite_database: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    writer, refusals = writer_of(sqlite_database), [RefusedError("a key that is there already")]

    def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "lens_request" in statement and refusals:
            raise refusals.pop()

    with listening(sqlite_database, "before_cursor_execute", refuse):
        writer.write(LogBatch(1, (request(1),), ()))
    assert refusals == []
    assert len(table_rows(sqlite_database, REQUEST)) == 1
    assert not caplog.records
