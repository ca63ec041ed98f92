"""`doctor`: what is wrong is named, with what to do, and the exit code says so."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, delta
from fastapi_lens.cli import doctor
from fastapi_lens.storage.coordination.observed import mark_minutes
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import known_version, migrate
from fastapi_lens.storage.schema.tables import WORKER
from fastapi_lens.verdict.days import date_of
from tests.cli.helpers import change, fill, run, url_of

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = ("seen_at", "ended_at")


def now_us() -> int:
    # Not once for all: the suite may come here minutes after it was read.
    return round(time.time() * 1_000_000)


def healthy(url: str) -> None:
    fill(url, [delta(1, minute=int(time.time()) // 60)], paths=("/orders",))
    change(url, sa.update(WORKER).values(seen_at=now_us(), complete_to=now_us()))


def what_is_said_of_a_healthy(url: str) -> str:
    healthy(url)
    done = run("doctor", "--database", url)
    assert (done.exit_code, "wrong" in done.stdout) == (0, False)
    for word in (
        f"schema: version {known_version()}",
        "rows: lens_endpoint 1",
        "retention",
        "1 workers running",
    ):
        assert word in done.stdout
    return done.stdout


def test_observed_days_and_their_holes_are_named(tmp_path: Path) -> None:
    url = url_of(tmp_path / "lens.db")
    healthy(url)
    assert f"app {APP}: not observed yet" in run("doctor", "--database", url).stdout
    midnight = int(time.time() // 86_400) * 1_440
    database = Database(url)
    mark_minutes(database, APP, "1", range(midnight - 2_880, midnight - 1_440))
    mark_minutes(database, APP, "1", range(midnight - 1_380, int(time.time() // 60)))
    database.close()
    done = run("doctor", "--database", url)
    since = date_of(midnight // 1_440 - 2)
    assert f"observed since {since}: 3 days, 1 of them with holes of an hour" in done.stdout


def test_a_healthy_file_is_fine(tmp_path: Path) -> None:
    said = what_is_said_of_a_healthy(url_of(tmp_path / "lens.db"))
    assert "WAL" in said
    assert "this host's" not in said


def test_a_healthy_database_on_a_server_is_fine(server_url: str) -> None:
    said = what_is_said_of_a_healthy(server_url)
    assert "WAL" not in said
    assert "this host's agrees" in said


@pytest.mark.parametrize(
    ("values", "says", "code"),
    [
        ({"seen_at": -600_000_000, "pending": 1_234}, "is silent; 1,234 calls waited", 1),
        ({"ended_at": 0, "killed": True}, "was killed", 0),
        ({"dropped": 7}, "has lost 7 calls", 1),
        ({"clock_ahead_us": -90_000_000}, "is 90 s behind the database's", 1),
        ({"clock_ahead_us": 90_000_000}, "is 90 s ahead of the database's", 1),
        ({"ended_at": 0}, "no worker running", 0),
    ],
)
def test_what_its_workers_suffer_from_is_told(
    values: dict[str, Any], says: str, code: int, tmp_path: Path
) -> None:
    url = url_of(tmp_path / "lens.db")
    healthy(url)
    at = now_us()
    values = {name: at + value if name in TIMES else value for name, value in values.items()}
    change(url, sa.update(WORKER).values(values))

    done = run("doctor", "--database", url)

    assert (done.exit_code, says in done.stdout) == (code, True)
    assert "→" in done.stdout


def test_endpoints_without_calls_and_rows_that_outlive_the_retention_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url_of(tmp_path / "lens.db")
    fill(url, [delta(1, minute=int(time.time()) // 60 - 3 * 1_440)])

    assert "past their retention: minutes by 3 days" in run("doctor", "--database", url).stdout
    monkeypatch.setenv("LENS_TTL_DAYS", "1")
    done = run("doctor", "--database", url)

    assert done.exit_code == 1
    assert "hours by 2 days" in done.stdout
    assert "3 endpoints were never called" in done.stdout


def test_a_database_without_apps_is_no_error(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path / "lens.db"))
    migrate(database)
    database.close()

    done = run("doctor", "--database", tmp_path / "lens.db")

    assert (done.exit_code, "no app has recorded here yet" in done.stdout) == (0, True)


def test_a_damaged_file_is_told_with_the_way_out(tmp_path: Path) -> None:
    url = url_of(tmp_path / "lens.db")
    fill(url, [delta(1)])
    with closing(sqlite3.connect(tmp_path / "lens.db")) as connection:
        # The rows of one table where another one's should be.
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master "
            "WHERE name = 'lens_lease') WHERE name = 'ix_lens_endpoint_app'"
        )
        connection.commit()

    done = run("doctor", "--database", url)

    assert (done.exit_code, ".recover" in done.stdout) == (1, True)


def test_a_file_that_may_not_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy(url_of(tmp_path / "lens.db"))
    access: Callable[..., bool] = os.access
    monkeypatch.setattr(
        "fastapi_lens.cli.doctor.os.access",
        lambda path, mode: Path(path) != tmp_path and access(path, mode),
    )

    done = run("doctor", "--database", tmp_path / "lens.db")

    assert (done.exit_code, f"may not write to {tmp_path}" in done.stdout) == (1, True)


def test_a_file_in_another_mode_with_a_long_log_and_free_space_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy(url_of(tmp_path / "lens.db"))
    monkeypatch.setattr(doctor, "journal_mode", lambda database: "delete")
    monkeypatch.setattr(doctor, "log_bytes", lambda path: 100_000_000)
    monkeypatch.setattr(doctor, "keeps_its_size", lambda database: True)

    done = run("doctor", "--database", tmp_path / "lens.db")

    assert done.exit_code == 1
    for says in ("mode delete in place of WAL", "100.0 MB long", "does not shrink"):
        assert says in done.stdout


def test_a_wrong_clock_of_this_host_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy(url_of(tmp_path / "lens.db"))
    monkeypatch.setattr(doctor, "clock_ahead_us", lambda connection, clock: 61_000_000)

    done = run("doctor", "--database", tmp_path / "lens.db")

    assert (done.exit_code, "61 s ahead of the database's" in done.stdout) == (1, True)


def test_an_unknown_size_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy(url_of(tmp_path / "lens.db"))
    monkeypatch.setattr(Database, "size_bytes", lambda self, connection: None)

    assert "size: unknown size" in run("doctor", "--database", tmp_path / "lens.db").stdout


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root@127.0.0.1/lens?ssl-mode=REQUIRED", "ssl-mode"),
        ("mysql://root@127.0.0.1/lens?ssl=true", "'str' object"),
        ("mysql://root@127.0.0.1/lens?ssl_ca=/nowhere.pem", "No such file"),
        ("mysql://root@127.0.0.1/lens?connect_timeout=soon", "'soon'"),
        ("postgresql://lens@127.0.0.1/lens?prepare_threshold=often", "a number or none, not often"),
    ],
)
def test_an_option_that_the_driver_cannot_use_is_told_in_one_line(url: str, says: str) -> None:
    done = run("doctor", "--database", url)
    assert done.exit_code == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: the driver cannot connect with the database's URL (")
    assert says in line


def test_a_file_may_be_named_by_an_absolute_uri(tmp_path: Path) -> None:
    healthy(url_of(tmp_path / "len s.db"))
    done = run("doctor", "--database", f"sqlite:///file:{tmp_path}/len%20s.db?uri=true&mode=rw")
    assert done.exit_code == 0
    assert str(tmp_path / "len s.db") in done.stdout
