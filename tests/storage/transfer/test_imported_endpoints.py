"""Importing endpoints: what becomes of the columns that a verdict is made of."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, FlakyDatabase, facts, table_rows, worker
from fastapi_lens.storage.coordination.heartbeat import new_row
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.tables import ENDPOINT, RELEASE, WORKER
from fastapi_lens.storage.transfer.import_ import ADDED_COLUMNS, Importer

NOW = 1_773_014_400.0
NOW_US = round(NOW * 1e6)
A = facts("/orders/{id}", name="app.a")
ROW: Mapping[str, Any] = {
    "id": A.id,
    "app": APP,
    "method": "GET",
    "path": A.path,
    "kind": "http",
    "name": A.name,
    "source": "",
    "summary": "",
    "tags": "[]",
    "deprecated": False,
    "overrides": None,
    "first_seen_at": 100,
    "last_seen_at": 500,
    "first_called_at": 110,
    "last_called_at": 400,
    "total_calls": 3,
    "shape_id": shape_id(APP, "GET", A.path),
    "present_since": 0,
    "evidence_since": 0,
    "removed_at": 0,
    "last_used_at": 390,
    "first_release_id": 1,
    "last_release_id": 2,
    "first_called_release_id": 1,
    "last_called_release_id": 2,
    "callers": 0,
    "attributed_until": 400,
    "unattributed_at": 0,
}


def insert(database: Database, **changes: Any) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(ENDPOINT), {**ROW, **changes})


def imported(database: Database, row: Mapping[str, Any], number: int = 1) -> Any:
    """The row of the endpoint after an import of a row."""
    importer = Importer(database, str(number) * 32, 1, {APP: ["sign"]}, now=NOW)
    importer.repeated_apps()
    importer.begin()
    importer.add(ENDPOINT, 0, [dict(row)])
    (found,) = table_rows(database, ENDPOINT)
    return found


def older(**changes: Any) -> dict[str, Any]:
    """The row as an older release exports it."""
    added = ADDED_COLUMNS[ENDPOINT.name]
    return {name: value for name, value in {**ROW, **changes}.items() if name not in added}


def test_an_endpoint_arrives_as_it_is(database: Database) -> None:
    gone = {**ROW, "removed_at": 450, "evidence_since": 120, "present_since": 105}
    assert imported(database, gone)._asdict() == gone


def test_an_older_export_has_no_evidence_before_its_import(database: Database) -> None:
    row = imported(database, older())
    assert row.evidence_since == NOW_US
    assert row.shape_id == shape_id(APP, "GET", A.path)
    assert (row.present_since, row.removed_at, row.last_used_at, row.overrides) == (0, 0, 0, None)
    assert (row.total_calls, row.last_called_at) == (3, 400)


def test_the_shape_is_not_what_somebody_wrote_into_the_file(database: Database) -> None:
    assert imported(database, {**ROW, "shape_id": 7}).shape_id == ROW["shape_id"]


def test_both_histories_have_to_be_whole(database: Database) -> None:
    insert(database, present_since=130, evidence_since=140)
    row = imported(
        database,
        {**ROW, "present_since": 120, "evidence_since": 160, "last_used_at": 395},
    )
    assert (row.present_since, row.evidence_since, row.last_used_at) == (130, 160, 395)


@pytest.mark.parametrize("is_here_later", [True, False])
def test_presence_at_one_place_is_none_at_the_other(
    database: Database, *, is_here_later: bool
) -> None:
    here, there = (300, 100) if is_here_later else (100, 300)
    insert(database, first_seen_at=here)
    row = imported(database, {**ROW, "first_seen_at": there})
    assert (row.first_seen_at, row.evidence_since) == (100, 300)


@pytest.mark.parametrize(
    ("here", "there", "joined"), [(0, 0, 0), (450, 0, 0), (0, 450, 0), (450, 470, 450)]
)
def test_an_endpoint_is_removed_if_it_is_at_both_places(
    database: Database, here: int, there: int, joined: int
) -> None:
    insert(database, removed_at=here)
    assert imported(database, {**ROW, "removed_at": there}).removed_at == joined


def test_releases_are_those_of_the_first_and_of_the_last(database: Database) -> None:
    insert(database, first_called_at=0, last_called_at=0, last_used_at=0, total_calls=0)
    earlier = {
        **ROW,
        "first_seen_at": 50,
        "last_seen_at": 60,
        "first_called_at": 55,
        "last_called_at": 58,
        "first_release_id": 7,
        "last_release_id": 8,
        "first_called_release_id": 7,
        "last_called_release_id": 8,
    }
    row = imported(database, earlier)
    assert (row.first_release_id, row.last_release_id) == (7, 2)
    assert (row.first_called_release_id, row.last_called_release_id) == (7, 8)
    later = {
        **ROW,
        "first_seen_at": 600,
        "last_seen_at": 900,
        "first_called_at": 700,
        "last_called_at": 800,
        "first_release_id": 9,
        "last_release_id": 9,
        "first_called_release_id": 9,
        "last_called_release_id": 9,
    }
    row = imported(database, later, 2)
    assert (row.first_release_id, row.last_release_id) == (7, 9)
    assert (row.first_called_release_id, row.last_called_release_id) == (7, 9)
    assert row.last_seen_at == 900


@pytest.mark.parametrize("recorded", ["worker", "release"])
def test_an_app_that_records_here_gains_no_evidence_from_elsewhere(
    sqlite_database: FlakyDatabase, recorded: str
) -> None:
    with sqlite_database.write() as connection:
        if recorded == "worker":
            row = new_row(worker("mine"), applied=0, now_us=1)
            connection.execute(sa.insert(WORKER), row)
        else:
            release = {"id": 1, "app": APP, "name": "1", "first_at": 1, "last_at": 1}
            connection.execute(sa.insert(RELEASE), release)
    assert imported(sqlite_database, ROW).evidence_since == NOW_US
    later = {**ROW, "evidence_since": NOW_US + 5}
    assert imported(sqlite_database, later, 2).evidence_since == NOW_US + 5


def test_an_import_ends_the_evidence_of_endpoints_that_only_this_database_has(
    sqlite_database: FlakyDatabase,
) -> None:
    """The observation of another place would fill the holes of this one."""
    insert(sqlite_database, id=7, path="/here", shape_id=7)
    with sqlite_database.write() as connection:
        connection.execute(sa.insert(WORKER), new_row(worker("mine"), applied=0, now_us=1))
    importer = Importer(sqlite_database, "1" * 32, 2, {APP: ["sign"]}, now=NOW)
    importer.repeated_apps()
    importer.begin()
    assert {row.evidence_since for row in table_rows(sqlite_database, ENDPOINT)} == {NOW_US}
    importer.add(ENDPOINT, 0, [dict(ROW)])
    later = Importer(sqlite_database, "1" * 32, 2, {APP: ["sign"]}, now=NOW + 60)
    assert later.begin() == 1
    assert {row.evidence_since for row in table_rows(sqlite_database, ENDPOINT)} == {NOW_US}


def test_an_import_that_goes_on_keeps_what_it_has(sqlite_database: FlakyDatabase) -> None:
    first = imported(sqlite_database, ROW)
    again = imported(sqlite_database, ROW)
    assert again == first
