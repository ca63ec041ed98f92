"""No page answers 500 because of what rows hold, and doctor names and mends such rows."""

import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from fastapi_lens.storage.database import Database
from fastapi_lens.storage.mending import mend, wrong_rows
from fastapi_lens.storage.settings import AuditEntry, Stored, write_section
from fastapi_lens.storage.snapshot import IMPORT_NOTE, MOVED
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, META
from tests.admin.conftest import Site
from tests.cli.helpers import run

PAGES = (
    *("/", "/?days=all", "/?ignored=on", "/report", "/report/top", "/report/dead", "/requests"),
    *("/failures", "/requests.csv", "/requests.json", "/export.csv", "/export.json", "/settings"),
    *("/settings/now", "/settings/audit", "/settings/danger", "/settings/rules"),
)
VALUES: tuple[Any, ...] = ("oops", '{"a":1}', "[1,null]", -5, 10**18, 9e18, b"\x0f\xff\xff", 2**63 - 1)


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """A site with a row in every table that moves."""
    app = FastAPI()

    def order(number: int) -> int:
        return 1 // number

    app.add_api_route("/orders/{number}", order, tags=["a"])
    found = Site(app, db_path=str(tmp_path / "lens.db"), log_sample_rate=1.0)
    found.client.get("/orders/1")
    with pytest.raises(ZeroDivisionError):
        found.client.get("/orders/0")
    assert found.lens.flusher.flush()
    entry = AuditEntry(at_us=1_773_014_400_000_000, actor="a", client="", action="save")
    write_section(found.lens.database, found.lens.app_name, "thresholds", Stored({}, 0), entry)
    yield found
    found.lens.stop()


def poison(database: Database, table: sa.Table, column: str, value: Any) -> None:
    """Put a value into a column of all rows of a table, whatever its type."""
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE OR IGNORE {table.name} SET {column} = ?", (value,))  # noqa: S608  Its own names.


def failing(site: Site) -> list[tuple[str, int]]:
    site.lens.reader.forget()
    keys = [f"/endpoints/{one.key}" for one in _endpoints(site)]
    with site.lens.database.read() as connection:
        for name in ("request", "failure"):
            ids = connection.exec_driver_sql(f"SELECT id FROM lens_{name}").scalars()  # noqa: S608  The same.
            keys += [f"/{name}s/{one:016x}" for one in ids if isinstance(one, int) and one >= 0]
    answers = [(page, site.get(f"/lens{page}").status_code) for page in (*PAGES, *keys)]
    return [(page, status) for page, status in answers if status >= 500]


def _endpoints(site: Site) -> Any:
    from fastapi_lens.reporting.model import Window

    return site.lens.reader.endpoints(window=Window(None), now=site.lens.clock())


@pytest.mark.parametrize("table", MOVED, ids=lambda table: table.name)
def test_no_page_fails_whatever_one_column_holds(site: Site, table: sa.Table) -> None:
    database = site.lens.database
    with database.read() as connection:
        before = connection.exec_driver_sql(f"SELECT * FROM {table.name}").fetchall()  # noqa: S608  The same.
    assert before
    assert failing(site) == []
    for column in table.c:
        if column.name in ("app", "name") and column.primary_key:
            continue
        for value in VALUES:
            poison(database, table, column.name, value)
            assert failing(site) == [], (column.name, value)
            with database.write() as connection:
                connection.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608  The same.
                marks = ",".join("?" * len(before[0]))
                connection.exec_driver_sql(
                    f"INSERT INTO {table.name} VALUES ({marks})",  # noqa: S608  The same.
                    [tuple(row) for row in before],
                )
