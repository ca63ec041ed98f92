"""Calls of removed endpoints, read back."""

from collections.abc import Mapping

import sqlalchemy as sa

from benchmarks.support.rows import facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.reporting.evidence.gone import Gone, read_gone
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import GONE

TODAY = 20_000
ORDERS, ORDER, OTHER = facts("/orders"), facts("/orders/{id}"), facts("/orders", app="billing")


def fill(database: Database, rows: list[tuple[int, int, int, int]]) -> None:
    migrate(database)
    for endpoint in (ORDERS, ORDER, OTHER):
        writer = Writer(database, worker(endpoint.app, endpoint.app))
        writer.register([endpoint], applied=0, now_us=1)
    names = ("day", "endpoint_id", "is_noise", "calls")
    with database.write() as connection:
        connection.execute(sa.insert(GONE), [dict(zip(names, row, strict=True)) for row in rows])


def read(database: Database, since_day: int = TODAY - 400) -> Mapping[int, Gone]:
    with database.read() as connection:
        return read_gone(connection, "orders", since_day=since_day, today=TODAY)


def test_calls_and_days_are_added_up_with_noise_apart(database: Database) -> None:
    fill(
        database,
        [
            *((TODAY - 3, ORDERS.id, 0, 5), (TODAY - 1, ORDERS.id, 0, 2)),
            *((TODAY - 1, ORDERS.id, 1, 9), (TODAY, ORDERS.id, 1, 1)),
            (TODAY, ORDER.id, 1, 4),
        ],
    )
    assert read(database) == {
        ORDERS.id: Gone(calls=7, noise_calls=10, days=2, last_day=TODAY - 1, noise_last_day=TODAY),
        ORDER.id: Gone(noise_calls=4, noise_last_day=TODAY),
    }


def test_other_apps_other_days_and_rows_without_calls_are_left_out(database: Database) -> None:
    fill(
        database,
        [
            (TODAY, OTHER.id, 0, 1),
            (TODAY, 7, 0, 1),  # Its endpoint is deleted.
            *((TODAY - 31, ORDERS.id, 0, 1), (TODAY + 1, ORDERS.id, 0, 1)),
            *((TODAY, ORDERS.id, 0, 0), (TODAY - 30, ORDER.id, 0, 3)),
        ],
    )
    assert read(database, TODAY - 30) == {ORDER.id: Gone(calls=3, days=1, last_day=TODAY - 30)}
