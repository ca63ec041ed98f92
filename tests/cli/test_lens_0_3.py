"""Import of what the package fastapi-lens 0.3 of PyPI has recorded, with files made by hand.

tests/packaging/test_lens_0_3.py does the same with a file that the package itself has written.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.rows import APP, table_rows
from fastapi_lens.errors import StorageError
from fastapi_lens.histogram.histogram import RELATIVE_ERROR, Histogram
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS
from fastapi_lens.storage.transfer import lens_0_3
from fastapi_lens.storage.transfer.endpoint_matcher import EndpointMatcher
from fastapi_lens.storage.transfer.lens_0_3 import CallImporter, recorded_calls
from tests.cli.helpers import NOW, fill, ids_of, run, url_of

SCHEMA = """
CREATE TABLE lens_requests (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL,
 method TEXT NOT NULL, status_code INTEGER NOT NULL, duration_ms REAL NOT NULL,
 timestamp REAL NOT NULL, client_ip TEXT)
"""
INSERT = (
    "INSERT INTO lens_requests (method, path, status_code, duration_ms, timestamp, client_ip) "
    "VALUES (?, ?, ?, ?, ?, '203.0.113.9')"
)
Call = tuple[Any, Any, Any, Any, Any]
"""Method, path, status, milliseconds, epoch seconds."""

CALL: Call = ("GET", "/users", 200, 1.0, NOW)
ORDERS, ORDER, USERS, USER = ids_of().values()


def recorded(path: Path, calls: Iterable[Call]) -> Path:
    """A file of that package with calls, as a process that has ended leaves it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(SCHEMA.replace("TABLE", "TABLE IF NOT EXISTS"))
        connection.executemany(INSERT, calls)
        connection.commit()
    return path


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A database of ours with four endpoints that nobody has called."""
    path = tmp_path / "ours.db"
    fill(url_of(path), [])
    return path


def take_over(theirs: Path, ours: Path, *more: object) -> Any:
    return run("import", "--from-lens-0.3", theirs, "--database", ours, *more)


def rows(ours: Path, table: sa.Table) -> list[dict[str, Any]]:
    database = Database(url_of(ours))
    try:
        return [dict(row._mapping) for row in table_rows(database, table)]
    finally:
        database.close()


def endpoint(ours: Path, key: int) -> dict[str, Any]:
    return next(row for row in rows(ours, ENDPOINT) if row["id"] == key)


def total(ours: Path) -> int:
    return sum(int(row["total_calls"]) for row in rows(ours, ENDPOINT))


def test_calls_become_counts_durations_statuses_and_times(tmp_path: Path, ours: Path) -> None:
    calls = [
        ("GET", "/orders/{id}", 200, 10.0, NOW),
        ("GET", "/orders/{id}", 200, 30.0, NOW + 1.5),
        ("GET", "/orders/{id}", 404, 0.25, NOW + 86_400),
    ]
    done = take_over(recorded(tmp_path / "lens.db", calls), ours)

    assert done.exit_code == 0, done.output
    assert "Imported 3 calls of 1 endpoints into orders." in done.stderr
    found = endpoint(ours, ORDER)
    assert found["total_calls"] == 3
    assert found["first_called_at"] == NOW * 1e6
    assert found["last_called_at"] == (NOW + 86_400) * 1e6
    statuses = {(row["day"], row["status"]): row["calls"] for row in rows(ours, STATUS)}
    assert statuses == {(NOW // 86_400, 200): 2, (NOW // 86_400 + 1, 404): 1}
    day = next(
        row
        for row in rows(ours, BUCKET)
        if row["tier"] == Tier.DAY and row["bucket"] == NOW // 86_400
    )
    assert (day["calls"], day["errors_4xx"], day["duration_us"]) == (2, 0, 40_000)
    assert day["max_us"] == 30_000
    quantiles = Histogram.from_bytes(day["histogram"]).quantiles((0.5, 1.0))
    assert quantiles
    median, slowest = quantiles
    assert median == pytest.approx(10, rel=RELATIVE_ERROR)
    assert slowest == pytest.approx(30, rel=RELATIVE_ERROR)


def test_paths_that_were_stored_in_place_of_templates_find_their_endpoints(
    tmp_path: Path, ours: Path
) -> None:
    calls: list[Call] = [
        ("GET", "/v1/users/7", 200, 1.0, NOW),
        ("GET", "/v1/users/8", 404, 1.0, NOW),
        ("GET", "/orders/{order_id}", 200, 1.0, NOW),
        ("GET", "/users", 200, 1.0, NOW),
    ]
    assert take_over(recorded(tmp_path / "lens.db", calls), ours).exit_code == 0
    assert {row["id"]: row["total_calls"] for row in rows(ours, ENDPOINT)} == {
        ORDERS: 0,
        ORDER: 1,
        USERS: 1,
        USER: 2,
    }


def test_a_path_of_no_endpoint_becomes_none_and_is_named(tmp_path: Path, ours: Path) -> None:
    calls = [("GET", f"/v1/users/7/photos/{number}", 200, 1.0, NOW) for number in range(1, 2_000)]
    theirs = recorded(tmp_path / "lens.db", [*calls, ("DELETE", "/orders/1\n", 405, 1.0, NOW)] * 2)
    done = take_over(theirs, ours)
    assert done.exit_code == 0
    assert "No call was imported." in done.stderr
    assert "Left out: 4,000 calls of paths that match no endpoint of orders" in done.stderr
    assert "GET /v1/users/7/photos/1, " in done.stderr
    assert len(rows(ours, ENDPOINT)) == 4


def test_control_characters_of_a_path_are_written_out(tmp_path: Path, ours: Path) -> None:
    call: Call = ("GET", "/\x1b[2J\n/orders", 404, 1.0, NOW)
    done = take_over(recorded(tmp_path / "lens.db", [call]), ours)
    assert "for example GET /\\x1b[2J\\n/orders." in done.stderr


def test_a_row_with_impossible_values_is_left_out(tmp_path: Path, ours: Path) -> None:
    good: Call = ("GET", "/users", 200, 1.0, NOW)
    wrong: list[Call] = [
        ("GET", "/users", 99, 1.0, NOW),
        ("GET", "/users", 600, 1.0, NOW),
        ("GET", "/users", "200 OK", 1.0, NOW),
        ("GET", "/users", 200, -1.0, NOW),
        ("GET", "/users", 200, float("inf"), NOW),
        ("GET", "/users", 200, "slow", NOW),
        ("GET", "/users", 200, 1.0, 0.0),
        ("GET", "/users", 200, 1.0, 9e12),
        ("GET", "/users", 200, 1.0, "yesterday"),
        ("GET", b"/users", 200, 1.0, NOW),
        (b"GET", "/users", 200, 1.0, NOW),
    ]
    done = take_over(recorded(tmp_path / "lens.db", [*wrong, good]), ours)
    assert "Imported 1 calls" in done.stderr
    assert f"Left out: {len(wrong)} calls with values that no call has." in done.stderr
    assert total(ours) == 1


def test_a_second_import_adds_only_what_was_recorded_since(tmp_path: Path, ours: Path) -> None:
    call: Call = ("GET", "/users", 200, 1.0, NOW)
    theirs = recorded(tmp_path / "lens.db", [call] * 3)
    assert take_over(theirs, ours).exit_code == 0
    assert "No call was imported." in take_over(theirs, ours).stderr
    recorded(theirs, [call] * 2)
    assert "Imported 2 calls" in take_over(theirs, ours).stderr
    assert total(ours) == 5


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_an_interrupted_import_continues_where_it_stopped(
    tmp_path: Path, ours: Path, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [("GET", f"/orders/{number}", 200, 1.0, NOW + number) for number in range(5)]
    theirs = recorded(tmp_path / "lens.db", calls)
    monkeypatch.setattr(lens_0_3, "CALLS_AT_ONCE", 2)
    database = Database(url_of(ours))
    seen: list[int] = []

    def stop(number: int) -> None:
        seen.append(number)
        if len(seen) > chunks:
            raise KeyboardInterrupt

    with recorded_calls(theirs) as source, pytest.raises(KeyboardInterrupt):
        CallImporter(database, APP, source, now=NOW + 9).run(stop)
    assert total(ours) == 2 * chunks
    with recorded_calls(theirs) as source:
        CallImporter(database, APP, source, now=NOW + 9).run(seen.append)
    database.close()
    assert total(ours) == 5


def test_two_imports_of_one_file_at_once_count_nothing_twice(tmp_path: Path, ours: Path) -> None:
    theirs = recorded(tmp_path / "lens.db", [("GET", "/users", 200, 1.0, NOW)])
    database = Database(url_of(ours))

    with recorded_calls(theirs) as source:
        slow = CallImporter(database, APP, source, now=NOW + 9)

        def be_faster(_: int) -> None:
            assert take_over(theirs, ours).exit_code == 0

        with pytest.raises(StorageError, match="another process imports the same file"):
            slow.run(be_faster)
    database.close()
    assert total(ours) == 1


def test_a_file_of_another_host_needs_again(tmp_path: Path, ours: Path) -> None:
    first = recorded(tmp_path / "one.db", [("GET", "/users", 200, 1.0, NOW)])
    other = recorded(tmp_path / "two.db", [("GET", "/users", 200, 1.0, NOW + 1)])
    assert take_over(first, ours).exit_code == 0
    refused = take_over(other, ours)
    assert refused.exit_code == 1
    assert "--again" in refused.stderr
    assert take_over(other, ours, "--again").exit_code == 0
    assert total(ours) == 2


def test_the_evidence_of_the_app_begins_with_the_import(tmp_path: Path, ours: Path) -> None:
    fill(url_of(ours), [], app="another", first=9)
    done = take_over(recorded(tmp_path / "lens.db", [("GET", "/users", 200, 1.0, NOW)]), ours)
    assert done.exit_code == 2  # Two apps: which one?
    assert not any(row["evidence_since"] for row in rows(ours, ENDPOINT))
    assert take_over(tmp_path / "lens.db", ours, "--app", APP).exit_code == 0
    for row in rows(ours, ENDPOINT):
        assert (row["evidence_since"] > NOW * 1e6) == (row["app"] == APP)
        assert row["first_seen_at"] == NOW * 1e6
    before = rows(ours, ENDPOINT)
    assert take_over(tmp_path / "lens.db", ours, "--app", APP).exit_code == 0
    assert rows(ours, ENDPOINT) == before


def test_the_file_and_its_folder_stay_as_they_are(tmp_path: Path, ours: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    theirs = recorded(folder / "lens.db", [("GET", "/users", 200, 1.0, NOW)])
    before = theirs.read_bytes(), theirs.stat().st_mtime_ns
    assert take_over(theirs, ours).exit_code == 0
    assert (theirs.read_bytes(), theirs.stat().st_mtime_ns) == before
    assert list(folder.iterdir()) == [theirs]


def test_calls_that_are_only_in_the_log_of_a_running_application_are_read(
    tmp_path: Path, ours: Path
) -> None:
    theirs = recorded(tmp_path / "lens.db", [])
    with closing(sqlite3.connect(theirs)) as running:
        running.execute(INSERT, ("GET", "/users", 200, 1.0, NOW))
        running.commit()
        assert "Imported 1 calls" in take_over(theirs, ours).stderr


def test_a_table_beside_ours_is_taken_over_from_the_same_file(ours: Path) -> None:
    recorded(ours, [("GET", "/users", 200, 1.0, NOW)])
    assert "Imported 1 calls" in take_over(ours, ours).stderr


def test_a_file_that_is_none_of_theirs_is_refused(tmp_path: Path, ours: Path) -> None:
    names = ("missing", "text.db", "other.db", "numbers.db")
    missing, text, other, numbers = (tmp_path / name for name in names)
    text.write_text("no database" * 100, encoding="ascii")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE lens_requests (id INTEGER PRIMARY KEY, path TEXT)")
    with closing(sqlite3.connect(numbers)) as connection:
        connection.execute(SCHEMA.replace("id INTEGER PRIMARY KEY AUTOINCREMENT", "id TEXT"))
        connection.execute(INSERT.replace("(method", "(id, method").replace("(?", "('a', ?"), CALL)
        connection.commit()
    for path, words in (
        (numbers, "are not numbered"),
        (missing, "there is no file"),
        (text, "cannot be read"),
        (other, "is not a database of fastapi-lens 0.3"),
    ):
        done = take_over(path, ours)
        assert done.exit_code == 4
        assert words in done.stderr


def test_text_that_is_no_utf_8_is_no_path(tmp_path: Path, ours: Path) -> None:
    theirs = recorded(tmp_path / "lens.db", [("GET", "/users", 200, 1.0, NOW)])
    with closing(sqlite3.connect(theirs)) as connection:
        connection.execute("UPDATE lens_requests SET path = CAST(x'2fff' AS TEXT)")
        connection.commit()
    assert "for example GET /\ufffd." in take_over(theirs, ours).stderr


def test_an_app_is_named_only_with_the_option(tmp_path: Path, ours: Path) -> None:
    done = run("import", tmp_path / "export.jsonl", "--database", ours, "--app", "orders")
    assert done.exit_code == 2
    assert "only with --from-lens-0.3" in done.stderr


def test_a_purge_of_the_app_forgets_the_import(tmp_path: Path, ours: Path) -> None:
    theirs = recorded(tmp_path / "lens.db", [("GET", "/users", 200, 1.0, NOW)])
    assert take_over(theirs, ours).exit_code == 0
    purged = run("purge", "--database", ours, "--everything", "--yes")
    assert purged.exit_code == 0, purged.output
    fill(url_of(ours), [])
    assert "Imported 1 calls" in take_over(theirs, ours).stderr
    assert total(ours) == 1


TEMPLATES = ("/users/{id}", "/users/me", "/{rest:path}", "/{kind}/{id}", "/a/{x}/{y}", "/a/{x}/{z}")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/users/7", 0),
        ("/users/me", 1),
        ("/users/{name}", 0),
        ("/users/7/photos", 2),
        ("/users/a\nb", 0),
        ("/teams/7", 3),
        ("/{kind}/{id}", 3),
        ("/a/1/2", None),
        ("/", 2),
        ("nothing", None),
    ],
)
def test_the_template_that_fits_best_is_found(path: str, found: int | None) -> None:
    matcher = EndpointMatcher((number, "GET", text) for number, text in enumerate(TEMPLATES))
    assert matcher.find("GET", path) == found
    assert matcher.find("POST", path) is None


DAYS = st.sampled_from([0, 0.1, 0.9, 1.1, 20, 35.9, 36.1, 100, 399, 900])
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["/users", "/orders/{id}", "/orders/7"]),
        st.sampled_from([200, 301, 404, 500]),
        st.floats(0, 1e5),
        DAYS,
        st.floats(0, 86_400),
    ),
    max_size=30,
)


@settings(max_examples=25)  # Each makes two databases.
@given(found=CALLS, at_once=st.integers(1, 7))
def test_days_and_weeks_are_those_of_a_recount(
    tmp_path_factory: pytest.TempPathFactory, found: Sequence[Any], at_once: int
) -> None:
    now = NOW + 1_000_000
    calls = [
        ("GET", path, status, ms, now - days * 86_400 - seconds)
        for path, status, ms, days, seconds in found
    ]
    folder = tmp_path_factory.mktemp("imported")
    ours = folder / "ours.db"
    fill(url_of(ours), [])
    database = Database(url_of(ours))
    theirs = recorded(folder / "lens.db", calls)
    with recorded_calls(theirs) as source, pytest.MonkeyPatch.context() as patched:
        patched.setattr(lens_0_3, "CALLS_AT_ONCE", at_once)
        outcome = CallImporter(database, APP, source, now=now).run(lambda _: None)
    database.close()

    keys = {"/users": USERS, "/orders/{id}": ORDER, "/orders/7": ORDER}
    sums: dict[tuple[int, int, int], list[int]] = {}
    statuses: dict[tuple[int, int, int], int] = {}
    for _, path, status, ms, at in calls:
        for tier in (Tier.DAY, Tier.WEEK):
            one = sums.setdefault((tier, int(at // tier), keys[path]), [0, 0, 0])
            one[0] += 1
            one[1] += round(ms * 1_000)
            one[2] = max(one[2], round(ms * 1_000))
        key = int(at // 86_400), keys[path], status
        statuses[key] = statuses.get(key, 0) + 1
    assert outcome.calls == len(calls) == total(ours)
    assert {
        (row["tier"], row["bucket"], row["endpoint_id"]): [
            *(row[name] for name in ("calls", "duration_us", "max_us"))
        ]
        for row in rows(ours, BUCKET)
        if row["tier"] >= Tier.DAY
    } == sums
    assert {
        (row["day"], row["endpoint_id"], row["status"]): row["calls"] for row in rows(ours, STATUS)
    } == statuses


def test_the_note_of_an_import_is_no_fault_of_the_database(tmp_path: Path, ours: Path) -> None:
    take_over(recorded(tmp_path / "lens.db", [("GET", "/users", 200, 1.0, NOW)]), ours)
    assert "lens_meta" not in run("doctor", "--database", ours).stdout
