"""`purge`: what was chosen goes, after a question, and nothing else."""

import socket
import time
from pathlib import Path

import pytest

from benchmarks.support.rows import delta, table_rows
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import BASELINE_BUCKET
from fastapi_lens.storage.schema.tables import AUDIT, BUCKET, ENDPOINT, STATUS, WORKER
from tests.cli.helpers import fill, ids_of, moved, run

TODAY = int(time.time()) // 60
NUMBERS = {identity: number for number, identity in (ids_of() | ids_of("billing", 11)).items()}


@pytest.fixture
def filled(database_url: str) -> str:
    fill(
        database_url,
        [delta(number, minute=TODAY - age * 1_440) for number in (1, 2, 4) for age in (0, 50)],
    )
    fill(database_url, [delta(11)], app="billing", first=11)
    return database_url


def ids(url: str) -> list[set[int]]:
    database = Database(url)
    try:
        return [
            {NUMBERS[row.endpoint_id] for row in table_rows(database, BUCKET)},
            {NUMBERS[row.endpoint_id] for row in table_rows(database, STATUS)},
            {NUMBERS[row.id] for row in table_rows(database, ENDPOINT)} - {12, 13, 14},
        ]
    finally:
        database.close()


def test_endpoints_go_by_path_and_method_with_all_they_have(filled: str) -> None:
    options = ("--database", filled, "--app", "orders", "--yes")

    assert run("purge", "--path", "/orders/*", "--method", "post", *options).exit_code == 0
    assert ids(filled)[2] == {1, 2, 3, 4, 11}
    done = run("purge", "--path", "/orders/*", "--path", "/v1/**", "--method", "get", *options)

    assert done.exit_code == 0
    assert ids(filled) == [{1, 11}, {1, 11}, {1, 3, 11}]


def test_what_is_older_goes_and_the_endpoints_stay(filled: str) -> None:
    done = run("purge", "--older-than", 30, "--database", filled, "--app", "orders", "--yes")

    assert done.exit_code == 0
    database = Database(filled)
    ages = {
        TODAY - row.bucket * row.tier // 60
        for row in table_rows(database, BUCKET)
        if NUMBERS[row.endpoint_id] < 11 and row.bucket != BASELINE_BUCKET
    }
    totals = {
        row.total_calls for row in table_rows(database, ENDPOINT) if NUMBERS[row.id] in (1, 2, 4)
    }
    database.close()
    assert max(ages) < 30 * 1_440
    assert totals == {2}
    assert ids(filled)[2] == {1, 2, 3, 4, 11}


def test_everything_of_an_app_goes_and_nothing_of_another(filled: str) -> None:
    done = run("purge", "--everything", "--database", filled, "--app", "orders", "--yes")

    assert done.exit_code == 0
    assert ids(filled) == [{11}, {11}, {11}]
    database = Database(filled)
    assert [row.app for row in table_rows(database, WORKER)] == ["billing"]
    database.close()


def test_a_dry_run_and_a_no_change_nothing(filled: str) -> None:
    before = moved(filled)
    options = ("--everything", "--database", filled, "--app", "orders")

    dry = run("purge", *options, "--dry-run")
    refused = run("purge", *options, stdin="n\n")

    assert (dry.exit_code, refused.exit_code) == (0, 1)
    assert dry.stdout == (
        "orders: 4 endpoints, 24 sums, 6 status codes of days, 1 workers, "
        "0 requests and 0 kinds of exceptions of the log, "
        "0 rows of callers\n"
    )
    assert moved(filled) == before
    assert run("purge", *options, stdin="y\n").exit_code == 0
    assert moved(filled) != before


def nobody() -> str:
    raise KeyError("getpwuid(): uid not found: 1000")


def test_who_has_deleted_what_is_noted(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--database", filled, "--app", "orders", "--yes")
    assert run("purge", "--path", "/v1/**", "--dry-run", *options).exit_code == 0
    assert run("purge", "--older-than", 30, *options).exit_code == 0
    # As in a container whose user has no name.
    monkeypatch.setattr("getpass.getuser", nobody)
    assert run("purge", "--everything", *options).exit_code == 0
    database = Database(filled)
    older, all_of_it = table_rows(database, AUDIT)
    database.close()
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 30 * 86_400))
    assert older.target == f"4 endpoints, up to {day}"
    assert older.before.startswith("orders: 0 endpoints, ")
    assert older.actor.startswith("command line: ")
    assert older.client == all_of_it.client == socket.gethostname()[:64]
    assert (all_of_it.target, all_of_it.actor) == ("everything", "command line")
    assert {(one.app, one.action) for one in (older, all_of_it)} == {("orders", "purge")}


def test_a_large_file_gets_smaller(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lens.db'}"
    paths = [f"/{number}/{'x' * 4_000}" for number in range(600)]
    fill(url, [], paths=paths)

    assert run("purge", "--everything", "--yes", "--database", url).exit_code == 0

    database = Database(url)
    with database.read() as connection:
        assert (database.size_bytes(connection) or 0) < 2_000_000
    database.close()


@pytest.mark.parametrize(
    "options", [(), ("--everything", "--path", "/x"), ("--path", "x"), ("--older-than", 0)]
)
def test_what_says_nothing_or_too_much_is_wrong_usage(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'lens.db'}"
    fill(url, [delta(1)])

    assert run("purge", *options, "--yes", "--database", url).exit_code == 2
