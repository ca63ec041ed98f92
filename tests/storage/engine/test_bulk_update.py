"""Many rows, each changed by values of its own, as each server does it quickest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from benchmarks.support.rows import make_endpoints, table_rows
from fastapi_lens.storage.engine.bulk_update import BulkUpdate
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects.mariadb import MOST, in_powers
from fastapi_lens.storage.engine.prepared import primary_key
from fastapi_lens.storage.schema.counters import COUNTERS
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS
from fastapi_lens.storage.writing.increments import UPDATE_BUCKET, UPDATE_ENDPOINT

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

COUNT = MOST + 45


@pytest.fixture
def server(server_url: str) -> Iterator[Database]:
    made = Database(server_url)
    migrate(made)
    yield made
    made.close()


def a_new_update() -> BulkUpdate:
    """One that has made no statement yet."""
    values = {"add_calls": sa.BigInteger}
    return BulkUpdate(STATUS, values, lambda new: {"calls": STATUS.c.calls + new("add_calls")})


def test_more_rows_than_one_statement_takes_are_changed_each_by_its_own(server: Database) -> None:
    keys = [(1, number, 200) for number in range(COUNT)]
    rows = [{**dict(zip(("day", "endpoint_id", "status"), key, strict=True))} for key in keys]
    added = [{**primary_key(STATUS, key), "add_calls": 2 * key[1]} for key in keys]
    # Of a row that is not there, nothing comes.
    gone = {**primary_key(STATUS, (1, COUNT, 200)), "add_calls": 5}
    with server.write() as connection:
        connection.execute(sa.insert(STATUS), [{**row, "calls": 7} for row in rows])
        a_new_update().run(connection, [*added, gone])
        a_new_update().run(connection, [])
    found = {row.endpoint_id: row.calls for row in table_rows(server, STATUS)}
    assert found == {number: 7 + 2 * number for number in range(COUNT)}


def test_sums_are_added_to_and_a_histogram_is_replaced(server: Database) -> None:
    key = {"tier": 60, "bucket": 5, "endpoint_id": 1 << 62}
    before = {**key, **dict.fromkeys(COUNTERS, 1), "max_us": 3, "histogram": b"\x00\xffold"}
    change = {
        **primary_key(BUCKET, list(key.values())),
        **{f"add_{name}": number for number, name in enumerate(COUNTERS, 10)},
        "new_max_us": 9,
        "new_histogram": b"\\\x00'{}\xfe",
    }
    with server.write() as connection:
        connection.execute(sa.insert(BUCKET), before)
        UPDATE_BUCKET.run(connection, [change])
    (row,) = table_rows(server, BUCKET)
    assert [getattr(row, name) for name in COUNTERS] == [11, 12, 13, 14, 15]
    assert (row.max_us, bytes(row.histogram)) == (9, b"\\\x00'{}\xfe")


@pytest.mark.parametrize(
    ("stored", "told", "kept"),
    [
        ((0, 0), (50, 60), (50, 60)),
        ((40, 70), (50, 60), (40, 70)),
        ((50, 60), (40, 70), (40, 70)),
        # A last call that lies ahead came from a wrong clock.
        ((40, 900), (50, 60), (40, 60)),
    ],
)
def test_the_first_and_the_last_call_of_all_are_kept(
    server: Database, stored: tuple[int, int], told: tuple[int, int], kept: tuple[int, int]
) -> None:
    make_endpoints(server)
    (first, *_) = table_rows(server, ENDPOINT)
    values = dict(zip(("first_called_at", "last_called_at"), stored, strict=True))
    values["last_used_at"] = stored[1]
    change = {
        "add_calls": 2,
        "first_at": told[0],
        "last_at": told[1],
        "ahead": 500,
        "used_at": told[1],
        "first_release": 8,
        "last_release": 9,
        "is_attributed": 0,
        "unattributed": told[1],
    }
    with server.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(values))
        UPDATE_ENDPOINT.run(connection, [{**primary_key(ENDPOINT, (first.id,)), **change}])
    row = next(row for row in table_rows(server, ENDPOINT) if row.id == first.id)
    assert (row.total_calls, row.first_called_at, row.last_called_at) == (2, *kept)
    assert row.last_used_at == kept[1]
    # The release of a time changes with it, and only with it.
    assert row.first_called_release_id == (8 if kept[0] != stored[0] else 0)
    assert row.last_called_release_id == (9 if kept[1] != stored[1] else 0)


def test_rows_are_cut_into_parts_of_few_lengths() -> None:
    for count in (0, 1, 5, MOST, 2 * MOST + 3):
        parts = list(in_powers(range(count)))
        assert [one for part in parts for one in part] == list(range(count))
        assert all(len(part).bit_count() == 1 and len(part) <= MOST for part in parts)


class Noting:
    """Stands for a connection to MariaDB, whose server no coverage is measured with."""

    def __init__(self) -> None:
        self.dialect = mysql.dialect()
        self.sent: list[tuple[str, tuple[Any, ...]]] = []

    def exec_driver_sql(self, text: str, values: tuple[Any, ...]) -> None:
        self.sent.append((text, values))


def test_mariadb_gets_few_statements_with_all_rows_written_out() -> None:
    connection, update = Noting(), a_new_update()
    rows = [{**primary_key(STATUS, (1, number, 200)), "add_calls": number} for number in range(3)]
    for _ in range(2):
        update.run(cast("Connection", connection), rows)
    texts = [text for text, _ in connection.sent]
    assert [text.count("SELECT") for text in texts] == [2, 1, 2, 1]
    assert texts[1] == (
        "UPDATE lens_status JOIN (SELECT %s AS key_day, %s AS key_endpoint_id, %s AS key_status, "
        "%s AS add_calls) AS incoming ON lens_status.day = incoming.key_day AND "
        "lens_status.endpoint_id = incoming.key_endpoint_id AND "
        "lens_status.status = incoming.key_status SET lens_status.calls = "
        "lens_status.calls + incoming.add_calls"
    )
    assert [values for _, values in connection.sent[:2]] == [
        (1, 0, 200, 0, 1, 1, 200, 1),
        (1, 2, 200, 2),
    ]
