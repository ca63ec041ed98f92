"""Commands on a database whose processes were all killed: what waits in the inbox is not lost."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import Rows, delta, rows_in, rows_of, table_rows
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import INBOX, WORKER
from fastapi_lens.storage.writing.batches import Delta
from fastapi_lens.storage.writing.drain import drain_all
from tests.cli.helpers import NOW, change, fill, ids_of, moved, named, run, url_of

WAITING = [delta(1, (1_000, 2_000)), delta(2, status=503), delta(4)]
OPTIONS = ("--app", "orders", "--yes")


def waiting_in(url: str) -> int:
    database = Database(url)
    try:
        return len(table_rows(database, INBOX))
    finally:
        database.close()


def drained(url: str) -> Rows:
    """The rows after the application was started again."""
    database = Database(url)
    try:
        drain_all(database)
        return rows_in(database)
    finally:
        database.close()


def rows_of_paths(deltas: Sequence[Delta]) -> Rows:
    return rows_of(named(deltas, ids_of()))


def total_in_report(url: str) -> int:
    done = run("report", "--database", url, "--format", "json", "--app", "orders")
    assert done.exit_code == 0
    total: int = json.loads(done.stdout)["summary"]["total_requests"]
    return total


def test_a_report_shows_what_waits(database_url: str) -> None:
    fill(database_url, WAITING, waits_since=NOW)
    assert total_in_report(database_url) == 4
    assert waiting_in(database_url) == 0
    assert drained(database_url) == rows_of_paths(WAITING)


def test_an_export_contains_what_waits(tmp_path: Path) -> None:
    waits, shown, imported = (url_of(tmp_path / f"{name}.db") for name in ("a", "b", "c"))
    fill(waits, WAITING, waits_since=NOW)
    fill(shown, WAITING)
    file = tmp_path / "out.jsonl"

    assert run("export", file, "--database", waits).exit_code == 0
    assert run("import", file, "--database", imported).exit_code == 0

    assert moved(imported) == moved(shown)
    assert drained(waits) == drained(imported) == rows_of_paths(WAITING)


def test_an_import_adds_to_what_waits(tmp_path: Path) -> None:
    source, target, file = url_of(tmp_path / "a"), url_of(tmp_path / "b"), tmp_path / "out.jsonl"
    fill(source, WAITING)
    fill(target, WAITING[:1], waits_since=NOW)
    assert run("export", file, "--database", source).exit_code == 0

    assert run("import", file, "--database", target, "--again").exit_code == 0

    assert drained(target) == rows_of_paths([*WAITING, WAITING[0]])


def test_a_purge_deletes_what_waits_and_it_does_not_come_back(database_url: str) -> None:
    fill(database_url, WAITING, waits_since=NOW)
    fill(database_url, [delta(11)], app="billing", first=11, waits_since=NOW)

    assert run("purge", "--everything", "--database", database_url, *OPTIONS).exit_code == 0

    of_billing = named([delta(11)], ids_of("billing", 11))
    assert drained(database_url) == rows_of(of_billing)


def test_a_purge_of_some_endpoints_keeps_what_waits_of_the_others(tmp_path: Path) -> None:
    url = url_of(tmp_path / "lens.db")
    fill(url, WAITING, waits_since=NOW)

    assert run("purge", "--path", "/orders", "--database", url, *OPTIONS).exit_code == 0

    assert drained(url) == rows_of_paths(WAITING[1:])


def test_a_dry_run_counts_what_waits(tmp_path: Path) -> None:
    waits, shown = url_of(tmp_path / "waits.db"), url_of(tmp_path / "shown.db")
    fill(waits, WAITING, waits_since=NOW)
    fill(shown, WAITING)
    said = {
        run("purge", "--everything", "--database", url, "--app", "orders", "--dry-run").stdout
        for url in (waits, shown)
    }
    assert len(said) == 1


def test_what_can_never_be_added_keeps_no_command_from_its_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = url_of(tmp_path / "lens.db")
    fill(url, WAITING, waits_since=NOW)
    change(url, sa.update(INBOX).values(body=b"\1broken"))
    fill(url, [delta(22)], first=20)

    assert total_in_report(url) == 1
    assert "drops 4 calls" in caplog.text


def lives(url: str) -> None:
    """Let its worker have said so just now."""
    now_us = round(time.time() * 1_000_000)
    change(url, sa.update(WORKER).values(seen_at=now_us, complete_to=now_us))


def doctor_says(url: str) -> tuple[int, str]:
    done = run("doctor", "--database", url)
    (line,) = (one for one in done.stdout.splitlines() if "inbox:" in one)
    return done.exit_code, line


@pytest.mark.parametrize("age", [0, 50])
def test_a_doctor_finds_nothing_in_what_was_written_just_now(tmp_path: Path, age: int) -> None:
    url = url_of(tmp_path / "lens.db")
    fill(url, [delta(1, minute=int(time.time()) // 60)], waits_since=time.time() - age)
    lives(url)
    code, line = doctor_says(url)
    assert (code, "all batches are added to the reports" in line) == (0, True)


def test_batches_of_a_newer_release_wait_for_it_and_a_doctor_says_so(database_url: str) -> None:
    fill(database_url, WAITING, waits_since=NOW)
    change(database_url, sa.update(INBOX).values(body=b"\3of a newer release"))
    fill(database_url, [delta(22)], first=20, waits_since=NOW)

    assert total_in_report(database_url) == 1

    assert waiting_in(database_url) == 1
    line = doctor_says(database_url)[1]
    assert "1 batches wait for a worker of the newer release that wrote them" in line


def test_a_doctor_names_what_has_waited_for_more_than_a_minute_and_changes_nothing(
    database_url: str,
) -> None:
    fill(database_url, [delta(1, minute=int(time.time()) // 60)], waits_since=time.time() - 4_000)
    lives(database_url)
    done = run("doctor", "--database", database_url)
    assert "1 batches have waited for 4,00" in done.stdout
    assert "start the application: its workers add them" in done.stdout
    assert waiting_in(database_url) == 1
    total_in_report(database_url)
    assert "all batches are added to the reports" in doctor_says(database_url)[1]
