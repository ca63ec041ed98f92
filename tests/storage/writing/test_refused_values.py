"""Values that a database refuses: an error of its own, since trying again does not help."""

from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import (
    FlakyDatabase,
    delta,
    facts,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from benchmarks.support.writing import Writer
from fastapi_lens.errors import RefusedError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import ENDPOINT, LEASE
from fastapi_lens.storage.writing.batches import Batch

ROW = {"name": "prune", "owner": "w1", "expires_at": 7}


@pytest.mark.parametrize(
    "values",
    [{"expires_at": 2**63}, {"name": None}, {"owner": "\ud800"}],
    ids=["a number that is too large", "no key", "a text that no driver can encode"],
)
def test_a_value_that_the_database_refuses_has_an_error_of_its_own(
    database: Database, values: dict[str, object]
) -> None:
    with pytest.raises(RefusedError) as caught, database.write() as connection:
        connection.execute(sa.insert(LEASE), {**ROW, **values})
    assert "INSERT" not in str(caught.value)
    assert table_rows(database, LEASE) == []


def test_a_key_that_is_there_already_is_refused(database: Database) -> None:
    with pytest.raises(RefusedError), database.write() as connection:
        connection.execute(sa.insert(LEASE), [ROW, ROW])
    assert table_rows(database, LEASE) == []


def test_a_sum_that_is_too_large_is_refused(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)
    with database.write() as connection:
        connection.execute(sa.insert(LEASE), {**ROW, "expires_at": 2**63 - 1})
    more = sa.update(LEASE).values(expires_at=LEASE.c.expires_at + 1)
    with pytest.raises(RefusedError), database.write() as connection:
        connection.execute(more)
    database.close()


def test_an_endpoint_that_postgresql_refuses_stops_no_other(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(postgres_url)
    migrate(database)
    register_with_a_refused_one(database, caplog, kind="k" * 17)
    database.close()


def test_an_endpoint_that_sqlite_refuses_stops_no_other(
    sqlite_database: FlakyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    register_with_a_refused_one(sqlite_database, caplog, seen_at_us=1 << 63)


def register_with_a_refused_one(
    database: Database, caplog: pytest.LogCaptureFixture, **wrong: Any
) -> None:
    endpoints = [facts("/a"), facts("/odd\n", **wrong), facts("/z")]
    writer = Writer(database, worker())
    writer.register(endpoints, applied=0, now_us=1)
    assert {row.path for row in table_rows(database, ENDPOINT)} == {"/a", "/z"}
    # The driver says something of its pipeline, too.
    (record,) = (one for one in caplog.records if one.name == "fastapi_lens")
    assert record.getMessage().startswith(
        r"fastapi_lens skipped 1 endpoints that the database refuses, such as GET /odd\n: "
    )
    one = delta(endpoints[0].id)
    writer.write(Batch(1, (one,)))
    assert rows_in(database) == rows_of([one])
