"""Export and import: whole, once, and on after a kill."""

import gzip
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.rows import (
    APP,
    delta,
    random_delta,
    rows_in,
    rows_of,
    table_rows,
    worker,
)
from fastapi_lens.errors import DeadlockError
from fastapi_lens.storage.coordination.observed import (
    mark_minutes,
    note_lost_hours,
    tell_release,
)
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import release_id
from fastapi_lens.storage.schema.migrations import known_version, migrate
from fastapi_lens.storage.schema.tables import (
    AUDIT,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    GONE,
    META,
    MOVED,
    OBSERVED,
    RELEASE,
    REQUEST,
    SETTING,
    STATUS,
)
from fastapi_lens.storage.transfer import export
from fastapi_lens.storage.transfer.import_ import TRIES, Importer
from fastapi_lens.storage.writing.batches import Delta
from fastapi_lens.storage.writing.log_writer import LogBatch, LogWriter
from tests.cli.helpers import change, fill, ids_of, moved, named, run, url_of
from tests.storage.writing.test_log_writer import exception, request

KILLED = """
import os, signal, sys
from fastapi_lens.storage.transfer.import_ import Importer
from fastapi_lens.__main__ import main

noted, note = [], Importer._note

def killing(self, connection, value):
    note(self, connection, value)
    noted.append(value)
    if len(noted) == 4:
        {commit}
        os.kill(os.getpid(), signal.SIGKILL)

Importer._note = killing
main()
"""


def deltas(seed: int, count: int = 40) -> list[Delta]:
    chance = random.Random(seed)
    return [random_delta(chance, 4) for _ in range(count)]


def expected(deltas: list[Delta]) -> object:
    return rows_of(named(deltas, ids_of() | ids_of("billing", 11)))


def recounted(url: str) -> object:
    database = Database(url)
    try:
        return rows_in(database)
    finally:
        database.close()


def broken(path: Path, how: str) -> None:
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    digit = whole.rindex(b'"lens_status":') + 14
    path.write_bytes(
        {
            "cut off in a line": whole[: len(whole) // 2],
            "without its end": b"".join(lines[:-1]),
            "a row missing": b"".join(lines[:5] + lines[6:]),
            "a digit changed": lines[0].replace(b'"created_at":', b'"created_at":1')
            + b"".join(lines[1:]),
            "another count": whole[:digit] + b"9" + whole[digit:],
            "rows after its end": whole + lines[4],
            "a row before its table": lines[0] + lines[2] + b"".join(lines[1:]),
            "another header": b'{"fastapi_lens_export":1,"hello":1}\n' + b"".join(lines[1:]),
            "no line at all": b"",
        }[how]
    )


def test_what_was_exported_is_the_same_after_the_import_and_after_the_way_back(
    database_url: str, tmp_path: Path
) -> None:
    first, last = url_of(tmp_path / "first.db"), url_of(tmp_path / "last.db")
    fill(first, deltas(1))
    out, back = tmp_path / "out.jsonl", tmp_path / "back.jsonl.gz"

    assert run("export", out, "--database", first).exit_code == 0
    assert run("import", out, "--database", database_url).exit_code == 0
    assert moved(database_url) == moved(first)
    assert run("export", back, "--database", database_url).exit_code == 0
    assert run("import", back, "--database", last).exit_code == 0

    assert moved(last) == moved(first)


def test_a_database_with_rows_of_its_own_gets_each_call_once(
    database_url: str, tmp_path: Path
) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, deltas(2))
    # The same endpoints, seen by another worker.
    fill(database_url, deltas(3), first=1)
    run("export", file, "--database", source)

    first = run("import", file, "--database", database_url)
    again = run("import", file, "--database", database_url)

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert again.stderr == "All rows were already imported.\n"
    assert recounted(database_url) == expected([*deltas(2), *deltas(3)])


@pytest.mark.unmeasured
@settings(max_examples=12)
@given(
    theirs=st.integers(0, 999), ours=st.integers(0, 999), sizes=st.tuples(*[st.integers(0, 9)] * 2)
)
def test_any_two_histories_add_up(
    tmp_path_factory: pytest.TempPathFactory, theirs: int, ours: int, sizes: tuple[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source, target, file = url_of(folder / "a.db"), url_of(folder / "b.db"), folder / "out.jsonl"
    fill(source, deltas(theirs, sizes[0]))
    fill(target, deltas(ours, sizes[1]))
    run("export", file, "--database", source)

    for _ in range(2):
        assert run("import", file, "--database", target).exit_code == 0
        assert recounted(target) == expected([*deltas(theirs, sizes[0]), *deltas(ours, sizes[1])])


@pytest.mark.unmeasured
@pytest.mark.parametrize("commit", ["pass", "connection.commit()"])
def test_an_import_that_was_killed_goes_on_where_it_was(commit: str, tmp_path: Path) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    target = url_of(tmp_path / "target.db")
    many = [delta(number % 4 + 1, minute=29_550_000 + number) for number in range(1_200)]
    fill(source, many)
    run("export", file, "--database", source)

    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(commit=commit), "import", file, "--database", target],
        check=False,
    )
    half = moved(target)
    run("import", file, "--database", target)

    assert killed.returncode == -9
    assert half != moved(source)
    assert moved(target) == moved(source)


def test_two_imports_of_one_file_at_once_add_each_row_once(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    file = tmp_path / "out.jsonl"
    fill(source, deltas(5))
    fill(target, [])
    run("export", file, "--database", source)
    add = Importer.add

    def add_twice(
        self: Importer, table: sa.Table, start: int, rows: list[dict[str, object]]
    ) -> None:
        add(self, table, start, rows)
        add(self, table, start, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Importer, "add", add_twice)
        assert run("import", file, "--database", target).exit_code == 0

    assert recounted(target) == expected(deltas(5))


@pytest.mark.parametrize(("deadlocks", "code"), [(TRIES - 1, 0), (TRIES, 3)])
def test_a_deadlock_is_tried_again_but_not_for_ever(
    deadlocks: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, [])
    run("export", file, "--database", source)
    left = [None] * deadlocks

    def deadlocked(database: Database, connection: sa.Connection) -> None:
        if left:
            left.pop()
            raise DeadlockError("deadlock detected")
        note_change(database, connection)

    monkeypatch.setattr("fastapi_lens.storage.transfer.import_.note_change", deadlocked)

    done = run("import", file, "--database", tmp_path / "target.db")

    assert done.exit_code == code
    assert "Traceback" not in done.output


def test_the_facts_of_an_endpoint_are_those_of_whoever_saw_it_later(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    file = tmp_path / "out.jsonl"
    for url in (source, target):
        fill(url, [delta(1)])
    ids = ids_of()
    later = ENDPOINT.c.last_seen_at + 1
    change(
        source,
        sa.update(ENDPOINT).where(ENDPOINT.c.id == ids[1]).values(name="newer", last_seen_at=later),
    )
    change(source, sa.update(ENDPOINT).where(ENDPOINT.c.id == ids[2]).values(name="same age"))
    run("export", file, "--database", source)

    run("import", file, "--database", target)

    names = {row[0]: row[5] for row in moved(target)[0]}
    assert (names[ids[1]], names[ids[2]]) == ("newer", "")


def test_counts_that_came_another_way_are_refused_unless_asked_for(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    fill(source, [delta(1)])
    for number in (1, 2):
        run("export", tmp_path / f"{number}.jsonl", "--database", source)
    run("import", tmp_path / "1.jsonl", "--database", target)

    second = run("import", tmp_path / "2.jsonl", "--database", target)
    home = run("import", tmp_path / "1.jsonl", "--database", source)
    again = run("import", tmp_path / "2.jsonl", "--database", target, "--again")

    assert (second.exit_code, home.exit_code, again.exit_code) == (1, 1, 0)
    assert "count twice" in second.stderr
    assert recounted(target) == expected([delta(1), delta(1)])


def test_a_round_trip_through_another_database_is_recognised_at_home(tmp_path: Path) -> None:
    source, other = url_of(tmp_path / "source.db"), url_of(tmp_path / "other.db")
    fill(source, [delta(1)])
    run("export", tmp_path / "1.jsonl", "--database", source)
    run("import", tmp_path / "1.jsonl", "--database", other)
    run("export", tmp_path / "2.jsonl", "--database", other)

    assert run("import", tmp_path / "2.jsonl", "--database", source).exit_code == 1
    assert recounted(source) == expected([delta(1)])


def test_a_purged_app_can_be_imported_again(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    file = tmp_path / "1.jsonl"
    fill(source, [delta(1)])
    run("export", file, "--database", source)
    run("import", file, "--database", target)

    for url in (source, target):
        assert run("purge", "--everything", "--yes", "--database", url).exit_code == 0
        *left, noted = moved(url)
        assert not any(left)
        assert len(noted) == 1  # The purge itself is in the audit log.
        assert run("import", file, "--database", url).exit_code == 0
        assert recounted(url) == expected([delta(1)])


def observe(url: str, minutes: range, *, release: str = "1", lost: Sequence[int] = ()) -> None:
    """Mark minutes, note lost hours, and count seven calls of the first endpoint as removed."""
    database = Database(url)
    migrate(database)
    mark_minutes(database, APP, release, minutes)
    (first, *_) = ids_of().values()
    with database.write() as connection:
        note_lost_hours(database, connection, APP, lost)
        tell_release(connection, release_id(APP, release), minutes.start, minutes.stop)
        gone = {"day": 20_000, "endpoint_id": first, "is_noise": 0, "calls": 7}
        connection.execute(database.insert_ignore(GONE), gone)
    database.close()


def observed_in(url: str) -> tuple[set[int], list[tuple[str, int, int]], int]:
    """Observed minutes of the first release, all releases with their times, and removed calls."""
    database = Database(url)
    rows, (gone,) = table_rows(database, OBSERVED), table_rows(database, GONE)
    releases = sorted(
        (one.name, one.first_at, one.last_at) for one in table_rows(database, RELEASE)
    )
    database.close()
    minutes = {
        row.hour * 60 + bit
        for row in rows
        if row.release_id == release_id(APP, "1")
        for bit in range(60)
        if row.minutes >> bit & 1
    }
    return minutes, releases, gone.calls


def test_observed_minutes_are_joined_and_removed_calls_are_added_once(
    database_url: str, tmp_path: Path
) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, [delta(1)])
    fill(database_url, [], first=1)
    observe(source, range(1_000, 1_200), lost=[18])
    observe(source, range(5_000, 5_001), release="2")
    observe(database_url, range(900, 1_100), lost=[17, 18])
    assert run("export", file, "--database", source).exit_code == 0

    for _ in range(2):
        assert run("import", file, "--database", database_url).exit_code == 0
        minutes, releases, gone = observed_in(database_url)
        assert minutes == set(range(900, 1_200))
        assert releases == [("1", 900, 1_200), ("2", 5_000, 5_001)]
        assert gone == 14


def test_the_observation_of_other_apps_is_neither_exported_nor_deleted(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    file = tmp_path / "out.jsonl"
    fill(source, [delta(1)])
    fill(source, [delta(11)], app="billing", first=11)
    observe(source, range(1_000, 1_200), lost=[18])
    before = moved(source)
    assert run("export", file, "--database", source, "--app", "billing").exit_code == 0
    assert run("import", file, "--database", target).exit_code == 0
    database = Database(target)
    assert not table_rows(database, OBSERVED) + table_rows(database, RELEASE)
    database.close()
    arguments = ("--app", "billing", "--everything", "--yes", "--database", source)
    assert run("purge", *arguments).exit_code == 0
    tables = [MOVED.index(table) for table in (OBSERVED, RELEASE)]
    assert [moved(source)[table] for table in tables] == [before[table] for table in tables]


def test_an_app_that_is_purged_leaves_no_observation(database_url: str) -> None:
    fill(database_url, [delta(1)])
    observe(database_url, range(90_000), lost=[18, 19])
    assert run("purge", "--everything", "--yes", "--database", database_url).exit_code == 0
    database = Database(database_url)
    assert not table_rows(database, OBSERVED) + table_rows(database, RELEASE)
    database.close()


def test_one_app_of_several_is_exported(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    fill(source, [delta(1)])
    fill(source, [delta(11)], app="billing", first=11)
    file = tmp_path / "1.jsonl"

    assert run("export", file, "--database", source, "--app", "billing").exit_code == 0
    run("import", file, "--database", target)
    assert recounted(target) == expected([delta(11)])
    assert run("export", tmp_path / "2", "--database", source, "--app", "nobody").exit_code == 1
    # The rest is another app's, which the target has not.
    rest = tmp_path / "3.jsonl"
    run("export", rest, "--database", source, "--app", "orders")
    assert run("import", rest, "--database", target).exit_code == 0
    both = tmp_path / "4.jsonl"
    run("export", both, "--database", target, "--app", "orders")
    assert list(json.loads(both.read_text().splitlines()[0])["apps"]) == ["orders"]


def test_an_export_is_one_moment_and_has_no_secret(tmp_path: Path) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, deltas(7))
    before = moved(source)
    count = export.count_rows

    def written_meanwhile(*arguments: object) -> int:
        found = count(*arguments)  # type: ignore[arg-type]
        change(source, sa.update(ENDPOINT).values(total_calls=ENDPOINT.c.total_calls + 1))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastapi_lens.cli.transfer.count_rows", written_meanwhile)
        assert run("export", file, "--database", source).exit_code == 0
    run("import", file, "--database", tmp_path / "target.db")

    assert moved(url_of(tmp_path / "target.db")) == before
    assert b"salt" not in file.read_bytes()


@pytest.mark.parametrize(
    "how",
    [
        "cut off in a line",
        "without its end",
        "a row missing",
        "a digit changed",
        "another count",
        "rows after its end",
        "a row before its table",
        "another header",
        "no line at all",
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_written(how: str, tmp_path: Path) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, deltas(8, 5))
    run("export", file, "--database", source)
    broken(file, how)

    done = run("import", file, "--database", tmp_path / "target.db")

    assert (done.exit_code, (tmp_path / "target.db").exists()) == (4, False)
    assert len(done.stderr.splitlines()) == 1


def test_a_gzipped_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl.gz"
    fill(source, deltas(9))
    run("export", file, "--database", source)
    file.write_bytes(file.read_bytes()[:-100])

    assert run("import", file, "--database", tmp_path / "target.db").exit_code == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"fastapi_lens_export":1', b'"fastapi_lens_export":2'),
        (b'"schema":%d' % known_version(), b'"schema":%d' % (known_version() + 1)),
        (b'"max_us"', b'"most_us"'),
    ],
)
def test_a_file_of_another_format_or_schema_is_refused(
    old: bytes, new: bytes, tmp_path: Path
) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, deltas(8, 5))
    run("export", file, "--database", source)
    file.write_bytes(file.read_bytes().replace(old, new, 1))

    done = run("import", file, "--database", tmp_path / "target.db")

    assert (done.exit_code, (tmp_path / "target.db").exists()) == (4, False)


def test_a_file_that_is_missing_or_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]\n")

    missing = run("import", tmp_path / "nothing.jsonl", "--database", tmp_path / "target.db")
    other = run("import", tmp_path / "other.json", "--database", tmp_path / "target.db")

    assert (missing.exit_code, other.exit_code) == (4, 4)
    assert "there is no file" in missing.stderr
    assert "is not an export of fastapi_lens" in other.stderr


def test_a_file_is_replaced_only_when_asked_and_only_by_a_whole_one(tmp_path: Path) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    fill(source, [delta(1)])
    file.write_text("precious")

    assert run("export", file, "--database", source).exit_code == 2
    assert file.read_text() == "precious"
    assert run("export", file, "--database", source, "--overwrite").exit_code == 0
    assert file.read_text().startswith('{"fastapi_lens_export":1,')
    assert run("export", tmp_path / "no" / "folder", "--database", source).exit_code == 1
    assert [each.name for each in tmp_path.glob("*.part")] == []


def test_gzip_holds_the_same_lines(tmp_path: Path) -> None:
    source = url_of(tmp_path / "source.db")
    fill(source, [delta(1)])
    for name in ("a.jsonl", "a.jsonl.gz"):
        run("export", tmp_path / name, "--database", source)

    plain = (tmp_path / "a.jsonl").read_bytes().splitlines()[1:-1]
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()[1:-1] == plain


def test_the_note_of_an_import_stays_in_the_database(tmp_path: Path) -> None:
    source, target = url_of(tmp_path / "source.db"), url_of(tmp_path / "target.db")
    file = tmp_path / "1.jsonl"
    fill(source, [delta(1, status=204)])
    run("export", file, "--database", source)
    run("import", file, "--database", target)
    change(target, sa.delete(STATUS))

    # It was in, whatever was deleted since.
    assert run("import", file, "--database", target).stderr == "All rows were already imported.\n"
    assert moved(target)[3] == []
    change(target, sa.delete(META).where(META.c.name.startswith("import:")))


def test_the_log_the_settings_and_what_was_done_move_too_and_exceptions_are_added_up(
    database_url: str, tmp_path: Path
) -> None:
    source, file = url_of(tmp_path / "source.db"), tmp_path / "out.jsonl"
    for url, second in ((source, 1), (database_url, 2)):
        fill(url, deltas(1))
        database = Database(url)
        LogWriter(database, worker(f"{APP}-1", APP)).write(
            LogBatch(1, (request(second),), (exception(second, calls=second),))
        )
        entry = AuditEntry(at_us=second, actor="ci", client="", action="save")
        write_section(database, APP, "retention", Stored({"ttl_days": second}, 0), entry)
        database.close()

    run("export", file, "--database", source)
    assert run("import", file, "--database", database_url).exit_code == 0

    by_table = dict(zip(MOVED, moved(database_url), strict=True))
    ((_, _, _, _, message, _, _, calls, first_at, _),) = by_table[EXCEPTION]
    assert (calls, message, first_at) == (3, "at 2", exception(1).first_at)
    # Both were in the same minute.
    assert [row[-1] for row in by_table[EXCEPTION_COUNT]] == [3, 3]
    assert len(by_table[REQUEST]) == len(by_table[AUDIT]) == 2
    # Those that are there already win.
    assert by_table[SETTING] == [(APP, "retention", '{"ttl_days": 2}', 1)]
