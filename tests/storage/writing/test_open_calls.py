"""Open calls in the rows of workers and of endpoints."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.rows import APP, MINUTE, delta, facts, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.coordination.heartbeat import new_row
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import ENDPOINT, META, SCHEMA_VERSION, WORKER
from fastapi_lens.storage.transfer.import_ import Importer
from fastapi_lens.storage.transfer.inspect import contents
from fastapi_lens.storage.writing.batches import Batch, Use
from fastapi_lens.storage.writing.open_calls import Open, as_text, parsed

TALK, EVENTS = facts("/talk", "WEBSOCKET"), facts("/events")

_numbers = st.integers(1, (1 << 63) - 1)
_uses = st.lists(
    st.builds(Use, st.integers(0, (1 << 63) - 1), _numbers, _numbers, _numbers),
    unique_by=lambda use: use.endpoint_id,
)


@given(_uses)
def test_what_is_told_is_what_is_read(uses: list[Use]) -> None:
    assert parsed(as_text(uses) or None) == {
        use.endpoint_id: Open(use.connections, use.since_us) for use in uses
    }


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "x", "[]", "7", "null", '"7"', "9" * 5_000),
        *('{"7": 1}', '{"7": [1]}', '{"7": [1, 2, 3]}', '{"7": {"a": 1}}', '{"x": [1, 2]}'),
        *('{"7": [0, 2]}', '{"7": [1, -2]}', '{"7": [true, 2]}', '{"7": [1.5, 2]}'),
        *('{"7": [1, 9223372036854775808]}', '{"٣": [1, 2]}', f'{{"{"7" * 20}": [1, 2]}}'),
        *('{"7": [NaN, 1]}', '{"-7": [1, 2]}', '{"7": ["1", "2"]}'),
    ],
)
def test_nothing_is_open_of_what_no_worker_writes(text: str | None) -> None:
    assert parsed(text) == {}


def test_an_entry_that_is_wrong_takes_none_along() -> None:
    assert parsed('{"7": [1, 2], "x": 4}') == {7: Open(1, 2)}


def endpoint_rows(database: Database) -> dict[str, tuple[int, int, int]]:
    return {
        row.path: (row.total_calls, row.first_called_at, row.last_called_at)
        for row in table_rows(database, ENDPOINT)
    }


def told(database: Database) -> list[str | None]:
    return [row.open_calls for row in table_rows(database, WORKER)]


def test_a_use_moves_the_last_call_on_and_counts_none(database: Database) -> None:
    migrate(database)
    writer = Writer(database, worker())
    writer.register([TALK, EVENTS], applied=0, now_us=1)
    use = Use(TALK.id, 2, since_us=50, until_us=90)
    writer.write(Batch(1, uses=(use,), open_calls=as_text([use])))
    assert endpoint_rows(database) == {"/talk": (0, 50, 90), "/events": (0, 0, 0)}
    assert [parsed(text) for text in told(database)] == [{TALK.id: Open(2, 50)}]
    # Once more, as after an acknowledgement that got lost; another clock is behind.
    writer.write(Batch(1, uses=(use,), open_calls=""))
    late = Use(TALK.id, 2, since_us=60, until_us=80)
    writer.write(Batch(2, uses=(late,)))
    assert endpoint_rows(database)["/talk"] == (0, 50, 90)
    assert [parsed(text) for text in told(database)] == [{TALK.id: Open(2, 50)}]
    one = delta(TALK.id, [500], minute=MINUTE)
    writer.write(Batch(3, (one,), (Use(TALK.id, 1, 70, MINUTE * 60_000_000 * 2),), ""))
    assert endpoint_rows(database)["/talk"] == (1, 50, MINUTE * 60_000_000 * 2)
    assert told(database) == [None]
    writer.write(Batch(4, open_calls=""))
    assert told(database) == [None]


def test_an_endpoint_whose_first_call_is_open_was_called(memory: Database) -> None:
    migrate(memory)
    writer = Writer(memory, worker())
    writer.register([TALK, EVENTS], applied=0, now_us=1)
    writer.write(Batch(1, uses=(Use(TALK.id, 1, 50, 90),)))
    assert contents(memory).never_called == {APP: 1}


@pytest.fixture
def memory() -> Any:
    made = Database("sqlite://")
    yield made
    made.close()


def test_a_database_of_the_schema_before_gets_the_column(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE lens_worker DROP COLUMN open_calls")
        connection.exec_driver_sql("ALTER TABLE lens_worker DROP COLUMN core_ppm")
        row = new_row(worker("old"), applied=3, now_us=1)
        del row["open_calls"], row["core_ppm"]
        connection.execute(sa.insert(WORKER), row)
        connection.execute(sa.update(META).where(META.c.name == SCHEMA_VERSION).values(value="5"))
    for _ in range(2):
        migrate(database)
    assert told(database) == [None]
    # A worker of the release before goes on to write rows without it.
    with database.write() as connection:
        connection.execute(sa.insert(WORKER), {**row, "id": "older"})
    assert told(database) == [None, None]


def test_nothing_is_open_in_a_worker_that_was_imported(memory: Database) -> None:
    importer = Importer(memory, "0" * 32, 1, {APP: ["sign"]}, now=1.0)
    importer.repeated_apps()
    importer.begin()
    row = new_row(worker("elsewhere"), applied=3, now_us=1)
    importer.add(WORKER, 0, [{**row, "open_calls": as_text([Use(TALK.id, 1, 50, 90)])}])
    assert told(memory) == [None]
