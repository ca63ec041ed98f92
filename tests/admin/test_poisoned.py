"""No page answers 500 because of what rows hold, and doctor names and mends such rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.import_notes import IMPORT_NOTE
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, EXCEPTION, META, MOVED, REQUEST
from fastapi_lens.storage.transfer.export import count_rows
from fastapi_lens.storage.transfer.repair import repair, wrong_rows
from tests.admin.conftest import Site
from tests.cli.helpers import run

PAGES = (
    *("/", "/?days=all", "/?ignored=on", "/report", "/report/top", "/report/dead", "/requests"),
    *(
        "/exceptions",
        "/requests.csv",
        "/requests.json",
        "/endpoints.csv",
        "/endpoints.json",
        "/settings",
    ),
    *("/settings/now", "/settings/audit", "/settings/danger", "/settings/rules"),
)
VALUES: tuple[object, ...] = ("oops", "[1,null]", -5, 9e18, b"\x0f\xff\xff", 2**63 - 1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
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


def poison(database: Database, table: sa.Table, columns: list[str], value: object) -> None:
    """Put a value into columns of all rows of a table, whatever their types are."""
    changes = ", ".join(f"{name} = ?" for name in columns)
    with database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE OR IGNORE {table.name} SET {changes}",  # noqa: S608  Names of ours.
            (value,) * len(columns),
        )


def failing(site: Site) -> list[tuple[str, int]]:
    keys = [f"/endpoints/{one.key}" for one in _endpoints(site)]
    with site.lens.database.read() as connection:
        for table, page in ((REQUEST, "requests"), (EXCEPTION, "exceptions")):
            ids = connection.execute(sa.select(table.c.id)).scalars()
            keys += [f"/{page}/{one:016x}" for one in ids if isinstance(one, int) and one >= 0]
    answers = [(page, site.get(f"/lens{page}").status_code) for page in (*PAGES, *keys)]
    return [(page, status) for page, status in answers if status >= 500]


def _endpoints(site: Site) -> Any:
    return site.lens.reader.endpoints(window=Window(None), now=site.lens.clock())


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_no_page_fails_whatever_the_columns_of_all_tables_hold(site: Site, value: object) -> None:
    for table in MOVED:
        others = (column for column in table.c if not column.primary_key)
        names = [column.name for column in others if column.name not in ("app", "endpoint_id")]
        poison(site.lens.database, table, names, value)

    assert failing(site) == []


@pytest.mark.parametrize("value", ["x", -1, 10**18], ids=repr)
def test_no_page_fails_whatever_the_names_of_rows_are(site: Site, value: object) -> None:
    for table in MOVED[:6]:
        for column in table.primary_key:
            poison(site.lens.database, table, [column.name], value)

    assert failing(site) == []


def test_doctor_names_what_is_wrong_and_repairs_it(site: Site, tmp_path: Path) -> None:
    database, file = site.lens.database, tmp_path / "lens.db"
    poison(database, ENDPOINT, ["tags", "summary"], "oops")
    poison(database, ENDPOINT, ["last_called_at"], 10**18)
    poison(database, BUCKET, ["histogram"], "AAAA")
    with database.write() as connection:
        note = {"name": f"{IMPORT_NOTE}x", "value": '{"applied":0,"rows":0,"origins":["Other"]}'}
        connection.execute(sa.insert(META), note)

    with database.read() as connection:
        # Two requests may lie in one minute or in two.
        poisoned = sum(count_rows(connection, table, ["site"]) for table in (ENDPOINT, BUCKET))
    found = run("doctor", "--database", file)
    repaired = run("doctor", "--repair", "--database", file)
    again = run("doctor", "--repair", "--database", file)

    assert found.exit_code == 1
    for told in (
        "tags of",
        "is not a list of texts",
        "is not a histogram",
        "is not a note of an import",
    ):
        assert told in found.output
    assert f"Repaired {poisoned + 1} rows." in repaired.output
    assert "rows: all values are valid" in again.output
    assert "Repaired" not in again.output
    (endpoint,) = _endpoints(site)
    assert (endpoint.tags, endpoint.total_calls) == ((), 2)
    assert run("export", tmp_path / "out.jsonl", "--database", file).exit_code == 0


def test_a_row_whose_name_is_wrong_is_deleted(site: Site) -> None:
    database = site.lens.database
    poison(database, ENDPOINT, ["id"], "x")

    rows = list(wrong_rows(database))
    repair(database, rows, now=site.lens.clock())

    assert [(row.table.name, row.key) for row in rows] == [("lens_endpoint", "x")]
    assert list(wrong_rows(database)) == []
